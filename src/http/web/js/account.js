// Whoever signed in with a name and a password: their account, and the token that lasts while the
// page is open. On a server without accounts there is nobody.

import { api } from './api.js';
import { session } from './session.js';

const DEVICE_KEY = 'stentor.account-device';
/** By name: what this browser is known by at the next sign-in. It opens nothing, so it may outlive the tab. */
const KNOWN_KEY = 'stentor.known';
const MOST_KNOWN = 5;
/** A timer's longest wait. */
const MOST_MS = 2 ** 31 - 1;

/** Events: `change`, and `token` where there is another. */
class Account extends EventTarget {
  /** {id, name, display_name, device, undisturbed_until}; null: nobody, or not asked yet. */
  me = null;
  #renewal = null;

  /** Who the token at hand is; null where it is nobody's. */
  async load(signal) {
    let me = null;
    if (session.token) {
      try {
        me = await api.account(signal);
        this.#plan(expiryOf(session.token));
      } catch (error) {
        // A server that is away for a moment changes nothing.
        if (![401, 403, 404].includes(error.status)) throw error;
      }
    }
    this.me = me;
    this.#changed();
    return this.me;
  }

  async signUp(name, displayName, password) {
    await api.signUp({ name, display_name: displayName || name, password });
    await this.signIn(name, password);
  }

  async signIn(name, password) {
    const device = stored();
    const key = known()[name.toLowerCase()];
    const wish = { name, password, device_name: deviceName(), ...(device && { device }), ...(key && { device_key: key }) };
    const { token, device: own, device_key: next, user } = await api.signIn(wish);
    store(own);
    remember(user.name, next);
    session.token = token;
    await this.load();
    session.changed();
  }

  /** The device's token is good for nothing from then on, here and anywhere. */
  async signOut() {
    if (this.me) await api.signOut().catch(() => {});
    this.forget();
  }

  forget() {
    clearTimeout(this.#renewal);
    this.me = null;
    session.token = null;
    this.#changed();
  }

  async setUndisturbed(on) {
    await (on ? api.doNotDisturb() : api.disturb());
    await this.load();
  }

  /** Others see it once they look again. */
  async setDisplayName(name) {
    await api.changeDisplayName(name);
    await this.load();
  }

  /** Half way to its end, so that a server that is away for a while is no matter. */
  #plan(expiry) {
    clearTimeout(this.#renewal);
    const wait = Math.max(10_000, (expiry - Date.now()) / 2);
    this.#renewal = setTimeout(() => this.renew(), Math.min(wait, MOST_MS));
  }

  /** Asks for another token; whoever came with one that an operator made has that one alone. */
  async renew() {
    if (!this.me) return;
    const before = session.token;
    let next = null;
    try {
      next = await api.renew();
    } catch (error) {
      if (error.status === 401) return;
    }
    // Whoever has signed out meanwhile stays so, and so does whoever has signed in.
    if (session.token !== before) return;
    if (next) {
      session.token = next.token;
      this.dispatchEvent(new Event('token'));
    }
    this.#plan(expiryOf(session.token));
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

/** Milliseconds since 1970 at which a token ends. */
export function expiryOf(token) {
  try {
    const part = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(part)).exp * 1000;
  } catch {
    return Date.now();
  }
}

/** What the user will know this browser by. */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = /Firefox/.test(agent) ? 'Firefox' : /Edg/.test(agent) ? 'Edge' : /Chrom/.test(agent) ? 'Chromium' : /Safari/.test(agent) ? 'Safari' : 'Browser';
  const system = /Android/.test(agent) ? 'Android' : /iPhone|iPad/.test(agent) ? 'iOS' : /Windows/.test(agent) ? 'Windows' : /Mac/.test(agent) ? 'macOS' : /Linux/.test(agent) ? 'Linux' : 'a computer';
  return `${browser} on ${system}`;
}

function stored() {
  try {
    return sessionStorage.getItem(DEVICE_KEY);
  } catch {
    return null;
  }
}

function known() {
  try {
    return JSON.parse(localStorage.getItem(KNOWN_KEY)) ?? {};
  } catch {
    return {};
  }
}

/** The last few who signed in here. */
function remember(name, key) {
  const { [name]: _, ...others } = known();
  const kept = Object.entries(others).slice(1 - MOST_KNOWN);
  try {
    localStorage.setItem(KNOWN_KEY, JSON.stringify({ ...Object.fromEntries(kept), [name]: key }));
  } catch {
    // Storage is blocked: strangers who guess may keep this browser waiting, too.
  }
}

function store(device) {
  try {
    sessionStorage.setItem(DEVICE_KEY, device);
  } catch {
    // Storage is blocked: the next sign-in is another device.
  }
}

export const account = new Account();
