// Repeats a request while the page is visible. One at a time: a slow answer delays the next
// question, it never piles them up.

/**
 * Calls `ask(signal)` at once and then `intervalMs` after each answer, until `signal` aborts.
 * `onError(error)` hears failures; after each in a row the pause doubles, up to 30 s. Returns a
 * function that asks again now.
 */
export function poll(ask, { intervalMs, signal, onError = () => {} }) {
  let timer = null;
  let failures = 0;
  let asking = false;
  let again = false;

  async function turn() {
    if (signal.aborted) return;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    clearTimeout(timer);
    try {
      await ask(signal);
      failures = 0;
    } catch (error) {
      if (!signal.aborted) {
        failures += 1;
        onError(error);
      }
    }
    asking = false;
    if (signal.aborted) return;
    if (again) {
      again = false;
      turn();
    } else if (!document.hidden) {
      timer = setTimeout(turn, Math.min(intervalMs * 2 ** failures, 30_000));
    }
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) clearTimeout(timer);
    else turn();
  }, { signal });
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  turn();
  return turn;
}
