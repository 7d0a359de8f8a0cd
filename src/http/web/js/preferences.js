// Small choices that outlast a visit: volume, statistics shown, devices. Never secrets.

const PREFIX = 'stentor.';

export function preference(name, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Storage is blocked or full: the choice lives as long as the page.
  }
}
