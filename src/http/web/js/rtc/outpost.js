// A worker that speaks to one other node for the page. This script comes with a policy that names
// that node, if the server knows it, and nobody else; what it is asked by `reach.js` it does as it is.

const stops = new Map();

addEventListener('message', async ({ data: { id, url, options } }) => {
  // Given up.
  if (!url) {
    stops.get(id)?.abort();
    return;
  }
  const stop = new AbortController();
  stops.set(id, stop);
  let answer = null;
  try {
    const response = await fetch(url, { ...options, signal: stop.signal });
    const { status, headers } = response;
    answer = { url: response.url, status, headers: [...headers], text: await response.text() };
  } catch {
    // Nobody answers, or the policy is from before the node was known.
  }
  stops.delete(id);
  postMessage({ id, answer });
});
