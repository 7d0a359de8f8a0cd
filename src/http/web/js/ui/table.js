// Tables that are refreshed in place. On a phone each row becomes a card (in CSS, by data-label);
// roles are spelled out, since a table that isn't displayed as one loses them.

import { h, reconcile, setAttribute, setText } from '../dom.js';
import { badge, setBadge } from './parts.js';

/**
 * `columns`: {label, num, text(item)} for text; {label, badge(item)} for [text, kind, title];
 * {label, create(cell, item)} for anything else, which gives a function that patches the cell.
 * Gives {node, update(items)}.
 */
export function table({ label, columns, keyOf, emptyText }) {
  const body = h('tbody', { role: 'rowgroup' });
  const head = h('tr', { role: 'row' }, columns.map((column) => h(
    'th',
    { scope: 'col', role: 'columnheader', class: column.num ? 'is-num' : null },
    column.hidden ? h('span', { class: 'visually-hidden', text: column.label }) : column.label,
  )));
  const grid = h('table', { role: 'table', 'aria-label': label }, h('thead', { role: 'rowgroup' }, head), body);
  const none = h('p', { class: 'table-empty muted', text: emptyText, hidden: true });
  const node = h('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': label }, grid, none);
  const patches = new WeakMap();

  function create(item) {
    const row = h('tr', { role: 'row' });
    patches.set(row, columns.map((column) => {
      const cell = h('td', { role: 'cell', class: column.num ? 'is-num' : column.class, dataset: { label: column.label } });
      row.append(cell);
      return filler(column, cell, item);
    }));
    return row;
  }

  return {
    node,
    update(items) {
      none.hidden = items.length > 0;
      grid.hidden = items.length === 0;
      reconcile(body, items, keyOf, create, (row, item) => patches.get(row).forEach((patch) => patch(item)));
    },
  };
}

function filler(column, cell, first) {
  if (column.create) return column.create(cell, first) ?? (() => {});
  if (column.badge) {
    const mark = badge('', 'neutral');
    cell.append(mark);
    return (item) => {
      const [text, kind, title] = column.badge(item);
      setBadge(mark, text, kind);
      setAttribute(mark, 'title', title || null);
    };
  }
  return (item) => setText(cell, column.text(item));
}
