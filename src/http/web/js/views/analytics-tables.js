// A report whose rows are names, as a table; one of some such reports is picked.

import { fill, h, uid } from '../dom.js';
import { button } from '../ui/parts.js';
import { figure } from '../ui/scale.js';
import { table } from '../ui/table.js';

/** Gives {node, report, update(table)}; `report` is the one that is shown. */
export function reportTable({ title, reports }, { query, save, ask }) {
  const select = h('select', { class: 'input', id: uid('report') }, reports.map(([value, text]) => h('option', { value, text })));
  const by = h('label', { class: 'visually-hidden', for: select.id, text: `${title} by` });
  const more = button(`Export ${title} as CSV`, { icon: 'download', kind: 'quiet', small: true, hideLabel: true, on: { click: () => save(select.value, query(select.value)) } });
  const body = h('div', {});
  let shown = null;
  const self = {
    node: h('section', { class: 'panel' }, h('div', { class: 'panel-head' }, h('h2', { text: title }), by, select, more), body),
    get report() {
      return select.value;
    },
    update(found) {
      const key = JSON.stringify(found.columns);
      if (shown?.key !== key) {
        shown = { key, table: made(title, found.columns) };
        fill(body, shown.table.node);
      }
      shown.table.update(found.rows);
    },
  };
  select.addEventListener('change', async () => {
    // The next refresh says what is wrong.
    const found = await ask(select.value).catch(() => null);
    if (found) self.update(found);
  });
  return self;
}

function made(label, columns) {
  return table({
    label,
    keyOf: (row) => row.filter((_, at) => columns[at].unit === 'text').join('\n'),
    emptyText: 'Nothing in this time.',
    columns: columns.map(({ title, unit }, at) => ({
      label: title[0].toUpperCase() + title.slice(1),
      num: unit !== 'text',
      text: (row) => figure(row[at], unit),
    })),
  });
}
