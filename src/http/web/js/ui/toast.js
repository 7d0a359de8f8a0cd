// Short notices that go by themselves, and words for screen readers.

import { h } from '../dom.js';
import { icon } from '../icons.js';

const SHOWN_MS = 6000;

/** `kind`: ok or bad. Errors are announced at once. */
export function toast(text, kind = 'ok') {
  const note = h(
    'div',
    { class: 'toast', dataset: { kind }, role: kind === 'bad' ? 'alert' : 'status' },
    icon(kind === 'bad' ? 'warning' : 'check'),
    h('span', { text }),
  );
  const list = document.getElementById('toasts');
  list.append(note);
  while (list.children.length > 3) list.firstElementChild.remove();
  setTimeout(() => note.remove(), SHOWN_MS);
}

/** Says `text` to a screen reader when it has time. */
export function announce(text) {
  document.getElementById('announcer').textContent = text;
}
