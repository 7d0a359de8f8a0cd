// The call that this device was in and may come back to: it was left, or the page was loaded again.

import { isOver } from './farewells.js';
import { store, stored } from './kept.js';

const CALL_KEY = 'stentor.call';

export class Past {
  /** Its id; null: none. */
  call = null;

  /** This device is in the call: should the page go, it is remembered. */
  enter(call) {
    this.call = null;
    store(CALL_KEY, call);
  }

  /** This device is in no call any more. */
  leave() {
    store(CALL_KEY, null);
  }

  /** A session begins that knows of no call; `call` is the one that the device was in, if any. */
  begin(call) {
    this.call = call ?? stored(CALL_KEY);
  }

  /** A message of the server's: perhaps there is nothing to come back to. */
  take(message) {
    const { type, call, cause } = message;
    if (!call || call !== this.call) return;
    const isGone = type === 'call_ended' || (type === 'left' && cause !== 'left') || (type === 'error' && isOver(message));
    if (!isGone) return;
    this.call = null;
    if (stored(CALL_KEY) === call) store(CALL_KEY, null);
  }
}
