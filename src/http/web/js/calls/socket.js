// The web socket of calls: signs in, numbers what is asked, acknowledges what comes, and goes on
// where it was when the network drops it. `src/calls/messages.schema.json` says what is spoken.

import { backoff } from '../rtc/backoff.js';
import { Said } from './said.js';

const VERSION = 1;
const ACK_MS = 3000;
const ACK_MESSAGES = 100;
/** Characters: the server keeps a few times as much. */
const ACK_LENGTH = 100_000;
const PING_MS = 20_000;
/** A socket that is being opened for so long opens no more. */
const OPENING_MS = 45_000;
/** An answer that is waited for comes sooner, or there is no way any more. */
const DOUBT_MS = 3000;
/** What is said while there is no socket waits, up to so many messages. */
const MOST_WAITING = 200;
/** Except for this: later it isn't true. */
const OF_THE_MOMENT = 'path_report';
const REPLACED = 4003;
const SIGNED_OUT = 4006;
const EXPIRED = 4007;

/**
 * Events: `state` (see `state`), `message` (with the message in `detail`) and `begun`: a session
 * that isn't the one before, so whatever was known is void.
 */
export class CallSocket extends EventTarget {
  /** idle, connecting, open, lost (and coming back), refused (see `reason`), replaced or signed-out. */
  state = 'idle';
  reason = null;
  #introduce;
  #socket = null;
  #session = null;
  #seq = 0;
  #acked = 0;
  #unacked = 0;
  #request = 0;
  #asked = new Map();
  #waiting = [];
  #said = new Said();
  #attempt = 0;
  #heardAt = 0;
  #pingedAt = -Infinity;
  #timers = [];
  #doubt = null;

  /** `introduce()` gives what `hello` says beside its version: device, capabilities, who. */
  constructor(introduce) {
    super();
    this.#introduce = introduce;
  }

  start() {
    this.#timers = [
      setInterval(() => this.#acknowledge(), ACK_MS),
      setInterval(() => this.#ping(), PING_MS),
    ];
    this.#connect();
  }

  /** Signs out: nobody waits for this device. */
  stop() {
    this.#end('idle');
    this.#socket?.close(1000);
    this.#socket = null;
  }

  say(message) {
    if (this.state === 'open') this.#sayNow(message);
    else if (message.type !== OF_THE_MOMENT && this.#waiting.length < MOST_WAITING) this.#waiting.push(message);
  }

  /** Says something that is answered. Resolves with the answer, rejects with the error's detail. */
  ask(message) {
    this.#request += 1;
    const request = this.#request;
    return new Promise((resolve, reject) => {
      this.#asked.set(request, { resolve, reject });
      this.say({ ...message, request });
      const askedAt = performance.now();
      setTimeout(() => {
        if (this.#asked.has(request) && this.#heardAt < askedAt) this.doubt();
      }, DOUBT_MS);
    });
  }

  /** The network may have changed: asks, and connects anew where no answer comes. */
  doubt() {
    if (this.state !== 'open' || this.#doubt !== null) return;
    const asked = performance.now();
    const socket = this.#socket;
    this.#sendPing();
    this.#doubt = setTimeout(() => {
      this.#doubt = null;
      if (this.#socket === socket && this.#heardAt < asked) this.#abandon();
    }, DOUBT_MS);
  }

  #connect() {
    this.#become(this.#session ? 'lost' : 'connecting');
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
    this.#socket = socket;
    this.#heardAt = performance.now();
    this.#pingedAt = -Infinity;
    socket.addEventListener('open', () => {
      const { token } = this.#introduce();
      const resume = { type: 'resume', version: VERSION, session: this.#session, seq: this.#seq, ...(token && { token }) };
      this.#send(this.#session ? resume : { type: 'hello', version: VERSION, ...this.#introduce() });
    });
    socket.addEventListener('message', (event) => {
      if (socket !== this.#socket) return;
      this.#unacked += event.data.length;
      this.#take(JSON.parse(event.data));
    });
    socket.addEventListener('close', (event) => {
      if (socket === this.#socket) this.#lose(event.code);
    });
  }

  #lose(code) {
    this.#socket = null;
    if (code === REPLACED) {
      this.#end('replaced');
      return;
    }
    if (code === SIGNED_OUT || code === EXPIRED) {
      this.reason = code === EXPIRED ? 'The sign-in has expired.' : 'This device was signed out.';
      this.#end('signed-out');
      return;
    }
    if (this.state === 'refused') return;
    this.#become(this.#session ? 'lost' : 'connecting');
    this.#attempt += 1;
    this.#timers.push(setTimeout(() => this.#connect(), backoff(this.#attempt)));
  }

  #take(message) {
    this.#heardAt = performance.now();
    if (message.seq > 0) {
      if (message.seq <= this.#seq) return;
      this.#seq = message.seq;
      if (this.#seq - this.#acked >= ACK_MESSAGES || this.#unacked >= ACK_LENGTH) this.#acknowledge();
    }
    if (message.type === 'welcome') this.#welcome(message);
    else if (message.type === 'error' && message.seq === 0) this.#turnAway(message);
    if (message.request) this.#said.acknowledge(message.request);
    const asked = this.#asked.get(message.request);
    if (asked) {
      this.#asked.delete(message.request);
      if (message.type === 'error') asked.reject(Object.assign(new Error(message.detail), { code: message.code }));
      else asked.resolve(message);
    }
    if (message.type !== 'pong') this.dispatchEvent(new CustomEvent('message', { detail: message }));
  }

  #welcome(message) {
    this.#attempt = 0;
    if (!message.resumed) {
      this.#session = message.session;
      this.#acked = 0;
      this.#waiting = [];
      this.#said.take();
      this.#forget('The server has forgotten what was asked.');
      this.dispatchEvent(new Event('begun'));
    } else this.#missAnswers();
    this.#become('open');
    for (const message of [...this.#said.take(), ...this.#waiting.splice(0)]) this.#sayNow(message);
  }

  /** An error before anybody is signed in: a session that is over, or someone who isn't let in. */
  #turnAway({ code, detail }) {
    if (code === 'not_resumable') {
      this.#session = null;
      this.#seq = 0;
      this.#send({ type: 'hello', version: VERSION, ...this.#introduce() });
    } else if (code === 'unavailable') {
      this.#socket?.close(1000);
    } else {
      this.reason = detail;
      this.#end('refused');
      this.#socket?.close(1000);
    }
  }

  #sayNow(message) {
    this.#said.keep(message, this.#request);
    this.#send(message);
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #acknowledge() {
    if (this.state !== 'open' || this.#seq === this.#acked) return;
    this.#acked = this.#seq;
    this.#unacked = 0;
    this.#send({ type: 'ack', seq: this.#seq });
  }

  /** Timers of a page that nobody sees are late: what counts is that the last ping was answered. */
  #ping() {
    const isOpen = this.state === 'open';
    const isGone = isOpen ? this.#heardAt < this.#pingedAt : performance.now() - this.#heardAt > OPENING_MS;
    if (isGone) this.#abandon();
    else if (isOpen) this.#sendPing();
  }

  #sendPing() {
    this.#pingedAt = performance.now();
    this.#request += 1;
    this.#send({ type: 'ping', request: this.#request });
  }

  /** Whoever is gone answers no farewell either: that isn't waited for. */
  #abandon() {
    const socket = this.#socket;
    if (!socket) return;
    this.#lose(4000);
    socket.close(4000);
  }

  #end(state) {
    clearTimeout(this.#doubt);
    this.#doubt = null;
    for (const timer of this.#timers.splice(0)) {
      clearInterval(timer);
      clearTimeout(timer);
    }
    this.#session = null;
    this.#forget('The connection was closed.');
    this.#become(state);
  }

  /** What was answered has come again by now. What wasn't, and doesn't wait, was lost. */
  #missAnswers() {
    const waiting = new Set(this.#waiting.map(({ request }) => request));
    for (const [request, { reject }] of [...this.#asked]) {
      if (waiting.has(request)) continue;
      this.#asked.delete(request);
      reject(new Error('The connection was lost. Try again.'));
    }
  }

  #forget(why) {
    for (const { reject } of this.#asked.values()) reject(new Error(why));
    this.#asked.clear();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }
}
