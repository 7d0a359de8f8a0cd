// How long to wait before another try. Pure: chance is an argument.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * The pause before try `attempt` (1 is the first repetition): doubles from half a second to 15 s,
 * spread by a quarter so that a thousand players don't come back in the same instant.
 */
export function backoff(attempt, random = Math.random()) {
  const base = Math.min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS);
  return Math.round(base * (0.75 + random * 0.5));
}

/** May this failure go away by itself? Without a status the server wasn't reached. */
export function retryable(status) {
  return status === 0 || status === 408 || status === 429 || (status >= 500 && status !== 501);
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}
