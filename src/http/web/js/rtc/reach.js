// Requests to the page's own server, and to another node on which a call lives. The page's policy
// has it speak to its own server alone. For another node there is a worker, whose policy the server
// makes when it is started: so a node that came after the page was loaded is reached, too.

const NO_BODY = [204, 205, 304];
const outposts = new Map();
let last = 0;

/** As `fetch`, of texts. */
export function reach(url, options = {}) {
  const { href, origin } = new URL(url, location.href);
  return origin === location.origin ? fetch(href, options) : ask(origin, href, options);
}

/** The worker ends with the page: `keepalive` is for one's own server. */
function ask(origin, url, { signal, keepalive: _, ...options }) {
  signal?.throwIfAborted();
  const outpost = outpostAt(origin);
  last += 1;
  const id = last;
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      outpost.waiting.delete(id);
      outpost.worker.postMessage({ id });
      reject(signal.reason);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    outpost.waiting.set(id, (answer) => {
      signal?.removeEventListener('abort', giveUp);
      if (answer) resolve(responseOf(answer));
      else reject(new TypeError('Nobody answers.'));
    });
    outpost.worker.postMessage({ id, url, options });
  });
}

function outpostAt(origin) {
  const known = outposts.get(origin);
  if (known) return known;
  const worker = new Worker(new URL(`./outpost.js?node=${origin}`, import.meta.url));
  const outpost = { worker, waiting: new Map() };
  outposts.set(origin, outpost);
  /** The next question is for another one, with a policy of its time. */
  const retire = () => {
    if (outposts.get(origin) === outpost) outposts.delete(origin);
  };
  const settle = (id, answer) => {
    const done = outpost.waiting.get(id);
    outpost.waiting.delete(id);
    done?.(answer);
  };
  worker.addEventListener('message', ({ data: { id, answer } }) => {
    if (!answer) retire();
    settle(id, answer);
    if (!outpost.waiting.size && outposts.get(origin) !== outpost) worker.terminate();
  });
  worker.addEventListener('error', () => {
    retire();
    for (const id of [...outpost.waiting.keys()]) settle(id, null);
    worker.terminate();
  });
  return outpost;
}

function responseOf({ url, status, headers, text }) {
  const response = new Response(NO_BODY.includes(status) ? null : text, { status, headers });
  return Object.defineProperty(response, 'url', { value: url });
}
