// Who is there, and a way to ring whoever isn't shown.

import { phone } from '../calls/phone.js';
import { recent } from '../calls/recent.js';
import { h, reconcile, setText } from '../dom.js';
import { field, textInput } from '../ui/field.js';
import { badge, button, setBadge } from '../ui/parts.js';
import { callSeveral } from './people-dialog.js';

const AVAILABILITY = {
  available: ['Available', 'ok'],
  in_call: ['In a call', 'warn'],
  do_not_disturb: ['Not to be disturbed', 'bad'],
};
/** Of whom nothing is known. */
const RECENT = ['Recent', 'neutral'];

const NOBODY = 'Nobody else is here. Open this page in another browser, or wait.';
const NOT_TOLD = 'Who is there isn’t shown here: this server’s operator has a user service, which says of each call whether it may be.';

/**
 * `ring(name)` calls someone; `write(name)`, where there is chat. `isAsked`: a user service decides,
 * so that nobody is seen; those whom one talked with are shown then. Gives {node, update()}.
 */
export function createPeople({ ring, write, isAsked }) {
  const list = h('ul', { class: 'call-people' });
  const several = button('Call several', { icon: 'people', small: true, 'aria-haspopup': 'dialog', on: { click: () => callSeveral() } });
  const nobody = h('p', { class: 'muted' });
  const input = textInput({ maxlength: '64', autocapitalize: 'off' });
  const name = field('Call by name', input);
  const form = h('form', { class: 'call-by-name', novalidate: true }, name.node, button('Call', { icon: 'call', type: 'submit' }));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (value) ring(value);
    else name.error('Whom?');
  });

  function create([user]) {
    const unread = h('span', { class: 'badge', dataset: { kind: 'accent' } });
    unread.hidden = true;
    return h(
      'li',
      {},
      h('span', { class: 'call-name', text: user }),
      unread,
      badge('', 'neutral'),
      button('Call', { icon: 'call', small: true, kind: 'primary', 'aria-label': `Call ${user}`, on: { click: () => ring(user) } }),
      write && button('Write', { small: true, 'aria-label': `Write to ${user}`, on: { click: () => write(user) } }),
    );
  }

  function update(node, [user, availability]) {
    const [unread, state] = node.querySelectorAll('.badge');
    const count = phone.chat.unread({ user });
    unread.hidden = count === 0;
    setText(unread, count ? `${count} unread` : '');
    setBadge(state, ...(availability ? AVAILABILITY[availability] ?? [availability, 'neutral'] : RECENT));
    node.querySelector('.button-primary').disabled = !phone.canRing || (Boolean(availability) && availability !== 'available');
  }

  /** [name, availability] of those who are there, and of those who wrote or were talked with. */
  function everybody() {
    const known = new Map(phone.people);
    const others = isAsked ? [...recent(), ...phone.chat.partners()] : [];
    for (const user of others) if (user !== phone.user && !known.has(user)) known.set(user, null);
    return [...known].sort(([a], [b]) => a.localeCompare(b));
  }

  return {
    node: h('section', { class: 'panel', 'aria-label': 'People' }, h('div', { class: 'panel-head' }, h('h2', { text: 'People' }), several), h('div', { class: 'panel-body call-people-body' }, nobody, list, form)),
    update() {
      const people = everybody();
      several.disabled = !phone.canRing;
      nobody.hidden = people.length > 0 && !isAsked;
      setText(nobody, isAsked ? NOT_TOLD : NOBODY);
      reconcile(list, people, ([user]) => user, create, update);
    },
  };
}
