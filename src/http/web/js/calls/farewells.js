// Calls that this device has left, as long as the server may not know: it is told until it answers,
// and nothing that is said of such a call meanwhile opens it again.

import { backoff, sleep } from '../rtc/backoff.js';

/** An answer comes sooner, or what was said got lost. */
const ANSWER_MS = 10_000;
const LATE = new Error('no answer');

/** Might the same be taken another time? Without a code it is the connection that failed. */
export const mayPass = ({ code }) => !code || ['unavailable', 'too_many_requests'].includes(code);

/** There is nothing to come back to: the call is over, or this user's no more. */
export const isOver = ({ code }) => ['call_over', 'unknown_call', 'not_invited', 'withdrawn'].includes(code);

export class Farewells {
  #ask;
  #canSay;
  /** By call. */
  #said = new Map();

  /** `ask(message)` gives the server's answer, `canSay()` whether it hears. */
  constructor({ ask, canSay }) {
    this.#ask = ask;
    this.#canSay = canSay;
  }

  /** `type`: hang_up or leave. */
  say(type, call) {
    const saying = {};
    this.#said.set(call, saying);
    this.#repeat(type, call, saying);
  }

  /** Whether a message is of a call that was left, as far as the server may not know that. */
  covers({ type, call }) {
    if (!this.#said.has(call)) return false;
    if (['call_ended', 'left'].includes(type)) this.#said.delete(call);
    return true;
  }

  /** The call is entered again. */
  takeBack(call) {
    this.#said.delete(call);
  }

  forget() {
    this.#said.clear();
  }

  async #repeat(type, call, saying) {
    for (let attempt = 1; this.#said.get(call) === saying; attempt += 1) {
      const error = await this.#sayOnce({ type, call });
      // More are in it than this page knew of: it goes on without this device.
      if (error?.code === 'only_the_host' && type === 'hang_up') type = 'leave';
      else if (error && mayPass(error)) await sleep(backoff(attempt));
      else if (this.#said.get(call) === saying) this.#said.delete(call);
    }
  }

  /** Gives why it was refused; null: it was taken. */
  async #sayOnce(message) {
    const answered = this.#ask(message).then(() => null, (error) => error);
    for (;;) {
      const error = await Promise.race([answered, sleep(ANSWER_MS).then(() => LATE)]);
      if (error !== LATE || this.#canSay()) return error;
    }
  }
}
