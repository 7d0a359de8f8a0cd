// Who this device is to the server, and the socket by which it is: signs in by a name or a token,
// says what the browser can do, and shows a token that is good for longer than the one before.

import { account } from '../account.js';
import { api } from '../api.js';
import { session } from '../session.js';
import { UP_BPS, capabilities } from './capabilities.js';
import { device } from './kept.js';
import { CallSocket } from './socket.js';

/** What TURN takes of a user is good for hours: a list is used for so long. */
const FRESH_MS = 10 * 60_000;
/** A call doesn't wait longer for another list. */
const ANSWER_MS = 3000;

/** Events: those of CallSocket, of whichever socket there is. */
export class Connection extends EventTarget {
  /** Of whoever is signed in: STUN and TURN. */
  iceServers = [];
  /** When that was heard. */
  #iceAt = 0;
  #freshening = null;
  /** What the line up was found to carry, in bits per second. */
  upBps = UP_BPS;
  #socket = null;
  #name = null;
  /** The token that the server has seen. */
  #shown = null;

  constructor() {
    super();
    account.addEventListener('token', () => this.#showToken());
    session.addEventListener('change', () => this.#showToken());
  }

  get state() {
    return this.#socket?.state ?? 'idle';
  }

  /** Why nobody could sign in. */
  get reason() {
    return this.#socket?.reason ?? null;
  }

  /** `name` is taken where the server asks for no tokens. */
  open(name) {
    this.#name = name;
    const socket = new CallSocket(() => this.#introduce());
    this.#socket = socket;
    for (const kind of ['state', 'begun']) {
      socket.addEventListener(kind, () => this.dispatchEvent(new Event(kind)));
    }
    socket.addEventListener('message', ({ detail }) => {
      this.#follow(detail);
      this.dispatchEvent(new CustomEvent('message', { detail }));
    });
    socket.start();
  }

  close() {
    this.#socket?.stop();
    this.#socket = null;
  }

  say(message) {
    // What is made anew may need TURN.
    if (message.type === 'restart') this.freshen().then(() => this.#socket?.say(message));
    else this.#socket?.say(message);
  }

  ask(message) {
    return this.#socket?.ask(message) ?? Promise.reject(new Error('Nobody is signed in.'));
  }

  /** Perhaps it is this device's network. */
  doubt() {
    this.#socket?.doubt();
  }

  /** The line up carries this. */
  setLine(upBps) {
    this.upBps = upBps;
    this.say({ type: 'capabilities', capabilities: capabilities(upBps) });
  }

  /** Has `iceServers` be of late. Resolves in any case: the list that is there may do. */
  freshen() {
    if (Date.now() - this.#iceAt < FRESH_MS) return Promise.resolve();
    this.#freshening ??= api.server(AbortSignal.timeout(ANSWER_MS))
      .then((server) => this.#setIceServers(server.ice_servers), () => {})
      .finally(() => { this.#freshening = null; });
    return this.#freshening;
  }

  #setIceServers(servers) {
    this.iceServers = servers;
    this.#iceAt = Date.now();
  }

  #follow(message) {
    if (message.type === 'welcome') this.#setIceServers(message.ice_servers);
    else if (message.type === 'token_expires' && message.request === undefined) {
      // One that wasn't taken before, if there is one.
      this.#showToken();
      account.renew();
    }
  }

  /** A token that came meanwhile is good for longer than the one that the socket was opened with. */
  #showToken() {
    const { token } = session;
    if (this.state !== 'open' || !token || token === this.#shown) return;
    this.#shown = token;
    // What isn't taken changes nothing: the other is good for as long as it was.
    this.ask({ type: 'token', token }).catch(() => {
      if (this.#shown === token) this.#shown = null;
    });
  }

  #introduce() {
    const { token } = session;
    this.#shown = token;
    return { device: account.me?.device ?? device(), capabilities: capabilities(this.upBps), ...(token ? { token } : { user: this.#name }) };
  }
}
