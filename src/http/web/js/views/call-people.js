// Who is there, and a way to ring whoever isn't shown.

import { phone } from '../calls/phone.js';
import { h, reconcile } from '../dom.js';
import { field, textInput } from '../ui/field.js';
import { badge, button, setBadge } from '../ui/parts.js';

const AVAILABILITY = {
  available: ['Available', 'ok'],
  in_call: ['In a call', 'warn'],
  do_not_disturb: ['Not to be disturbed', 'bad'],
};

/** `ring(name)` calls someone. Gives {node, update()}. */
export function createPeople(ring) {
  const list = h('ul', { class: 'call-people' });
  const nobody = h('p', { class: 'muted', text: 'Nobody else is here. Open this page in another browser, or wait.' });
  const input = textInput({ maxlength: '64' });
  const name = field('Call by name', input);
  const form = h('form', { class: 'call-by-name', novalidate: true }, name.node, button('Call', { icon: 'call', type: 'submit' }));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (value) ring(value);
    else name.error('Whom?');
  });

  function create([user]) {
    return h(
      'li',
      {},
      h('span', { class: 'call-name', text: user }),
      badge('', 'neutral'),
      button('Call', { icon: 'call', small: true, kind: 'primary', 'aria-label': `Call ${user}`, on: { click: () => ring(user) } }),
    );
  }

  return {
    node: h('section', { class: 'panel', 'aria-label': 'People' }, h('div', { class: 'panel-head' }, h('h2', { text: 'People' })), h('div', { class: 'panel-body call-people-body' }, nobody, list, form)),
    update() {
      const people = [...phone.people].sort(([a], [b]) => a.localeCompare(b));
      nobody.hidden = people.length > 0;
      reconcile(list, people, ([user]) => user, create, (node, [, availability]) => {
        setBadge(node.querySelector('.badge'), ...(AVAILABILITY[availability] ?? [availability, 'neutral']));
        node.querySelector('button').disabled = availability !== 'available';
      });
    },
  };
}
