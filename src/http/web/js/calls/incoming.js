// The call that rings here, until it is answered, stops, or should have.

import { isOver } from './farewells.js';

/** What says that it stopped comes by then, or got lost. */
const LATE_MS = 5000;
const ENDS = ['ring_stopped', 'left', 'call_ended'];
/** Refusals of a call that goes on, and doesn't ring here. */
const QUIET = ['not_ringing', 'answered_elsewhere'];

export class Incoming {
  /** {call, from, others}; null: nothing rings. */
  rings = null;
  #changed;
  #timer = null;

  /** `changed()` is called when it should have stopped. */
  constructor(changed) {
    this.#changed = changed;
  }

  begin({ call, from, others, stops_in_ms: stopsInMs }) {
    this.end();
    this.rings = { call, from, others };
    this.#timer = setTimeout(() => {
      this.end();
      this.#changed();
    }, stopsInMs + LATE_MS);
  }

  /** A message of the server's: perhaps nothing rings after it. */
  take(message) {
    const { type, call, code } = message;
    if (!call || call !== this.rings?.call) return;
    const isRefused = type === 'error' && (isOver(message) || QUIET.includes(code));
    if (ENDS.includes(type) || isRefused) this.end();
  }

  end() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.rings = null;
  }
}
