// A menu button (WAI-ARIA menu pattern): arrows move, Home and End jump, Escape and Tab close.

import { h, fill } from '../dom.js';
import { icon } from '../icons.js';

/**
 * Ties a menu to `trigger`. `items()` is asked at each opening and gives
 * {label, note, checked, act}, where `checked` makes it one of exclusive choices; the menu is placed
 * by `host`'s CSS.
 */
export function attachMenu(trigger, host, label, items) {
  const menu = h('div', { class: 'menu', role: 'menu', 'aria-label': label, hidden: true });
  trigger.setAttribute('aria-haspopup', 'menu');
  trigger.setAttribute('aria-expanded', 'false');
  host.append(menu);

  // While its entries are replaced, the menu loses focus for a moment; it must not close then.
  let drawing = false;

  const entries = () => [...menu.querySelectorAll('[role^="menuitem"]')];

  function close(giveBack = true) {
    if (menu.hidden) return;
    menu.hidden = true;
    trigger.setAttribute('aria-expanded', 'false');
    if (giveBack) trigger.focus();
  }

  function draw() {
    const focused = entries().indexOf(document.activeElement);
    drawing = true;
    fill(menu, items().map((item) => h(
      'button',
      {
        type: 'button',
        class: 'menu-item',
        role: item.checked === undefined ? 'menuitem' : 'menuitemradio',
        tabindex: '-1',
        'aria-checked': item.checked === undefined ? null : String(item.checked),
        on: { click: () => { close(); item.act(); } },
      },
      item.checked !== undefined && icon('check', 'check'),
      h('span', { class: 'menu-item-text', text: item.label }),
      item.note && h('span', { class: 'menu-item-note', text: item.note }),
    )));
    if (focused >= 0) entries()[Math.min(focused, entries().length - 1)]?.focus();
    drawing = false;
  }

  function open() {
    draw();
    menu.hidden = false;
    trigger.setAttribute('aria-expanded', 'true');
    (menu.querySelector('[aria-checked="true"]') ?? entries()[0])?.focus();
  }

  trigger.addEventListener('click', () => (menu.hidden ? open() : close()));
  menu.addEventListener('keydown', (event) => {
    const all = entries();
    const at = all.indexOf(document.activeElement);
    const to = {
      ArrowDown: (at + 1) % all.length,
      ArrowUp: (at - 1 + all.length) % all.length,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[to]?.focus();
    } else if (event.key === 'Escape') {
      event.preventDefault();
      close();
    } else if (event.key === 'Tab') {
      close(false);
    }
    event.stopPropagation();
  });
  menu.addEventListener('focusout', (event) => {
    if (!drawing && !menu.contains(event.relatedTarget) && event.relatedTarget !== trigger) close(false);
  });
  return { open, close, refresh: () => { if (!menu.hidden) draw(); }, get isOpen() { return !menu.hidden; } };
}
