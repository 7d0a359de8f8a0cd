// Colour scheme: the system's, or one of the visitor's choice that is remembered.

const KEY = 'stentor.theme';
const ORDER = ['system', 'light', 'dark'];

export const THEMES = {
  system: { label: 'Colours: as the system', icon: 'system' },
  light: { label: 'Colours: light', icon: 'sun' },
  dark: { label: 'Colours: dark', icon: 'moon' },
};

export function theme() {
  return document.documentElement.dataset.theme ?? 'system';
}

/** The one after the current one, set and remembered. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage is blocked: the choice lives as long as the page.
  }
  return next;
}
