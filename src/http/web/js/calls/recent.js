// With whom one talked in this tab, the latest first. No longer than the tab: whoever sits here next
// is told nothing.

import { store, stored } from './kept.js';

const KEY = 'stentor.recent';
const MOST = 20;

export function recent() {
  try {
    return JSON.parse(stored(KEY) ?? '[]');
  } catch {
    return [];
  }
}

export function talkedWith(users) {
  if (!users.length) return;
  store(KEY, JSON.stringify([...new Set([...users, ...recent()])].slice(0, MOST)));
}

export function forgetRecent() {
  store(KEY, null);
}
