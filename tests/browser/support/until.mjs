// Waiting for a condition with a deadline: the only way that these tests wait.

const PAUSE_MS = 50;

/** Calls `ask` until it gives something truthy, which is returned. Its last error is reported. */
export async function until(what, ask, deadlineMs = 10_000) {
  const end = performance.now() + deadlineMs;
  let last = null;
  for (;;) {
    try {
      const value = await ask();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) {
      throw new Error(`not within ${deadlineMs} ms: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`);
    }
    await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
  }
}
