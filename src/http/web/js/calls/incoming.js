// The call that rings here, until it is answered, stops, or should have.

/** What says that it stopped comes by then, or got lost. */
const LATE_MS = 5000;
const ENDS = ['ring_stopped', 'left', 'call_ended'];
/** Refusals of a call that doesn't ring here. */
const GONE = ['call_over', 'unknown_call', 'not_invited', 'not_ringing', 'answered_elsewhere', 'withdrawn'];

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
  take({ type, call, code }) {
    if (!call || call !== this.rings?.call) return;
    if (ENDS.includes(type) || (type === 'error' && GONE.includes(code))) this.end();
  }

  end() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.rings = null;
  }
}
