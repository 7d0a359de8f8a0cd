// Pages of 9, 16 or 25 tiles, where one is not enough.

import { h, setText } from '../dom.js';
import { preference, remember } from '../preferences.js';
import { select } from '../ui/field.js';
import { button } from '../ui/parts.js';

const SIZES = [9, 16, 25];

/** Gives {node, at, size, page(people)}. */
export function createPager(changed) {
  const known = preference('call-page', SIZES[0]);
  const first = SIZES.includes(known) ? known : SIZES[0];
  const sizes = select(SIZES.map((n) => [String(n), `${n} on a page`]), String(first), { 'aria-label': 'Pictures on a page' });
  const back = button('Previous page', { icon: 'back', hideLabel: true, on: { click: () => turn(-1) } });
  const on = button('Next page', { icon: 'chevron', hideLabel: true, on: { click: () => turn(1) } });
  const place = h('span', { class: 'num', role: 'status' });
  const node = h('div', { class: 'call-pager', role: 'group', 'aria-label': 'Pages' }, back, place, on, sizes);
  const pager = { node, at: 0, size: first, page };
  sizes.addEventListener('change', () => {
    pager.size = Number(sizes.value);
    remember('call-page', pager.size);
    pager.at = 0;
    changed();
  });

  function turn(by) {
    pager.at += by;
    changed();
    // A button that can do no more is about to lose the focus.
    const pressed = by > 0 ? on : back;
    if (pressed.disabled) (pressed === on ? back : on).focus();
  }

  function page(people) {
    const pages = Math.max(1, Math.ceil(people.length / pager.size));
    pager.at = Math.min(Math.max(pager.at, 0), pages - 1);
    node.hidden = people.length <= SIZES[0];
    back.disabled = pager.at === 0;
    on.disabled = pager.at === pages - 1;
    setText(place, pages > 1 ? `Page ${pager.at + 1} of ${pages}` : `${people.length} people`);
    return people.slice(pager.at * pager.size, (pager.at + 1) * pager.size);
  }

  return pager;
}
