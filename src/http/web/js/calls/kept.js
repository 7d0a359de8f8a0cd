// What this tab remembers until it is closed: a reload is the same device, and two tabs are two.

const DEVICE_KEY = 'stentor.device';
const kept = new Map();

export function device() {
  const known = stored(DEVICE_KEY);
  if (known) return known;
  const made = `web-${randomHex(8)}`;
  store(DEVICE_KEY, made);
  return made;
}

/** By what pages from plain HTTP have, too: `randomUUID` is for secure contexts. */
export function randomHex(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return [...values].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function stored(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return kept.get(key) ?? null;
  }
}

export function store(key, value) {
  kept.set(key, value);
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    // Storage is blocked: it is kept as long as the page.
  }
}
