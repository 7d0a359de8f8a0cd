// Single keys for the player, a sheet that lists them, and a switch that turns them off: they get
// in the way of speech input (WCAG 2.1.4).

import { h } from '../dom.js';
import { preference, remember } from '../preferences.js';
import { showDialog } from '../ui/dialog.js';
import { checkbox } from '../ui/field.js';

const KEYS = [
  { keys: [' ', 'k'], shown: ['Space', 'K'], text: 'Play or pause', action: 'togglePlay' },
  { keys: ['m'], shown: ['M'], text: 'Mute or unmute', action: 'toggleMute' },
  { keys: ['ArrowUp'], shown: ['↑'], text: 'Louder', action: 'changeVolume', argument: 0.05 },
  { keys: ['ArrowDown'], shown: ['↓'], text: 'Quieter', action: 'changeVolume', argument: -0.05 },
  { keys: ['f'], shown: ['F'], text: 'Full screen', action: 'toggleFullscreen' },
  { keys: ['p'], shown: ['P'], text: 'Picture in picture', action: 'togglePip' },
  { keys: ['r'], shown: ['R'], text: 'Choose a rendition', action: 'openRenditions' },
  { keys: ['i'], shown: ['I'], text: 'Statistics', action: 'toggleStats' },
  { keys: ['c'], shown: ['C'], text: 'Connect again', action: 'reconnect' },
  { keys: ['?'], shown: ['?'], text: 'This help', action: 'showHelp' },
];

/** Listens until `signal` aborts. Gives {showHelp()}. */
export function bindShortcuts(actions, signal) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!preference('shortcuts', true) || takesKeys(event.target, event.key) || document.querySelector('dialog[open]')) return;
    const found = KEYS.find((entry) => entry.keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
    if (!found) return;
    event.preventDefault();
    actions[found.action](found.argument);
  }, { signal });
  return { showHelp };
}

/** Elements that need the key themselves. */
function takesKeys(target, key) {
  if (target.closest?.('input, select, textarea, [role="menu"], [contenteditable]')) return true;
  return key === ' ' && Boolean(target.closest?.('button, a, summary'));
}

function showHelp() {
  const enabled = checkbox('Use these keys', preference('shortcuts', true), {
    on: { change: (event) => remember('shortcuts', event.target.checked) },
  });
  return showDialog({
    title: 'Keyboard shortcuts',
    body: h(
      'div',
      { class: 'form' },
      h('dl', { class: 'shortcuts' }, KEYS.map(({ shown, text }) => [h('dt', {}, shown.flatMap((key, i) => [i ? ' ' : null, h('kbd', { text: key })])), h('dd', { text })])),
      enabled.node,
    ),
  });
}
