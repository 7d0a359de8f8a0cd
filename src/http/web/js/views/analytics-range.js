// Which time the page is about: the last so many hours or days, or from one moment to another.

import { h } from '../dom.js';

const HOUR = 3_600_000;
const RANGES = [
  ['1', 'Last hour'],
  ['6', 'Last 6 hours'],
  ['24', 'Last 24 hours'],
  ['168', 'Last 7 days'],
  ['720', 'Last 30 days'],
  ['8760', 'Last year'],
  ['own', 'From … to …'],
];

/** `changed()` is called when another time is picked. Gives {node, query()}. */
export function rangePicker({ changed }) {
  const select = h('select', { class: 'input', id: 'analytics-range' }, RANGES.map(([value, text]) => h('option', { value, text })));
  select.value = '24';
  const from = h('input', { class: 'input', type: 'datetime-local', id: 'analytics-from' });
  const to = h('input', { class: 'input', type: 'datetime-local', id: 'analytics-to' });
  const own = h('div', { class: 'analytics-own', hidden: true }, field('From', from), field('To', to));
  select.addEventListener('change', () => {
    own.hidden = select.value !== 'own';
    if (select.value === 'own' && !from.value) [from.value, to.value] = [local(Date.now() - 24 * HOUR), local(Date.now())];
    changed();
  });
  [from, to].forEach((input) => input.addEventListener('change', () => {
    if (from.value && to.value && from.value < to.value) changed();
  }));

  return {
    node: h('div', { class: 'analytics-range' }, field('Time', select), own),
    query() {
      const [begin, end] = select.value === 'own'
        ? [new Date(from.value), new Date(to.value)]
        : [new Date(Date.now() - Number(select.value) * HOUR), new Date()];
      return new URLSearchParams({ from: begin.toISOString(), to: end.toISOString() });
    },
  };
}

function field(label, input) {
  return h('div', { class: 'field' }, h('label', { for: input.id, text: label }), input);
}

/** As such a field has it, in this device's time. */
function local(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
