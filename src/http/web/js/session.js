// Who is signed in. The token lives in sessionStorage: it ends with the tab, and no other origin
// or later visitor of this browser finds it.

const KEY = 'stentor.token';

class Session extends EventTarget {
  #token = read();
  /** What the server says the token allows; null until asked, or where it allows nothing. */
  me = null;
  /** What the server has; empty until asked, or where it doesn't say. */
  features = [];
  /** Where nobody is signed in: whether one may by a name and a password. */
  hasAccounts = false;

  get token() {
    return this.#token;
  }

  set token(value) {
    this.#token = value || null;
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch {
      // Storage is blocked: the token lives as long as the page.
    }
  }

  get admin() {
    return this.me?.role === 'admin';
  }

  /** May this visitor publish to `channel`, or to any channel where none is given? */
  canPublish(channel) {
    if (!this.me || ['view', 'user', 'analytics'].includes(this.me.role)) return false;
    return !channel || this.me.channel === '*' || this.me.channel === channel;
  }

  /** May this visitor watch? A publish token doesn't cover it. */
  get canView() {
    return this.me !== null && !['publish', 'user', 'analytics'].includes(this.me.role);
  }

  /** May this visitor call others? On a server that asks for no tokens, anybody may. */
  get canCall() {
    return this.me !== null && (this.me.role === 'user' || (this.me.open && this.me.role === 'admin'));
  }

  /** May this visitor read reports? */
  get canAnalyse() {
    return this.me?.channel === '*' && ['admin', 'analytics'].includes(this.me.role);
  }

  /** May this visitor see recordings, where there are some? */
  get canSeeRecordings() {
    return this.me !== null && this.me.role !== 'view' && this.features.includes('recordings');
  }

  authorization() {
    return this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
  }

  changed() {
    this.dispatchEvent(new Event('change'));
  }
}

function read() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const session = new Session();
