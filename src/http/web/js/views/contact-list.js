// The user's contacts: who is there, who asks, and a way to ask.

import { api } from '../api.js';
import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { h, reconcile, setAttribute, setText } from '../dom.js';
import { confirmDialog } from '../ui/dialog.js';
import { field, textInput } from '../ui/field.js';
import { attachMenu } from '../ui/menu.js';
import { badge, button, setBadge } from '../ui/parts.js';
import { callSeveral } from './people-dialog.js';

const AVAILABILITY = {
  available: ['Available', 'ok'],
  in_call: ['In a call', 'warn'],
  do_not_disturb: ['Not to be disturbed', 'bad'],
};
const AWAY = ['Away', 'neutral'];

/** `act(fn)` runs what may be refused and says why; `write(user)` opens a conversation. */
export function createContactList({ act, write }) {
  const input = textInput({ maxlength: '32', autocapitalize: 'off' });
  const name = field('Add a contact by name', input);
  const form = h('form', { class: 'call-by-name', novalidate: true }, name.node, button('Ask', { type: 'submit' }));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (!value) {
      name.error('Whom?');
      return;
    }
    act(async () => {
      try {
        await api.askContact(value);
      } catch (error) {
        if (error.status !== 404) throw error;
        name.error(`Nobody here has the name ${value}.`);
        return;
      }
      input.value = '';
      await contacts.refresh();
    });
  });
  const settle = (fn) => act(async () => {
    await fn();
    await contacts.refresh();
  });

  const several = button('Call several', { icon: 'people', small: true, 'aria-haspopup': 'dialog', on: { click: () => callSeveral() } });
  const nobody = h('p', { class: 'muted', text: 'No contacts yet. Ask somebody by their name.' });
  const list = h('ul', { class: 'call-people', 'aria-label': 'Contacts' });
  const asking = h('ul', { class: 'call-people', 'aria-label': 'Requests' });
  const asked = h('ul', { class: 'call-people', 'aria-label': 'Waiting for an answer' });
  const blocked = h('ul', { class: 'call-people', 'aria-label': 'Blocked' });

  function createContact({ id, display_name: shown }) {
    const unread = h('span', { class: 'badge', dataset: { kind: 'accent' } });
    unread.hidden = true;
    return h(
      'li',
      {},
      h('span', { class: 'call-name', text: shown }),
      unread,
      badge('', 'neutral'),
      button('Call', { icon: 'call', small: true, kind: 'primary', 'aria-label': `Call ${shown}`, on: { click: () => act(() => phone.ring(id)) } }),
      button('Write', { small: true, 'aria-label': `Write to ${shown}`, on: { click: () => write(id) } }),
      createMore(id, shown),
    );
  }

  /** What is seldom wanted, and asked about before it is done. */
  function createMore(id, shown) {
    const more = button('More', { icon: 'more', small: true, kind: 'quiet', hideLabel: true, 'aria-label': `More about ${shown}`, title: 'More' });
    const host = h('span', { class: 'call-more' }, more);
    const ask = (title, text, label, fn) => confirmDialog({ title, text, label, act: async () => { await fn(); await contacts.refresh(); } });
    attachMenu(more, host, `More about ${shown}`, () => [
      { label: 'Remove…', act: () => ask(`Remove ${shown}?`, 'Neither of you rings or sees the other then, until one asks again.', 'Remove', () => api.endContact(id)) },
      { label: 'Block…', act: () => ask(`Block ${shown}?`, 'They can’t ring, write to or ask you until you unblock them.', 'Block', () => api.block(id)) },
    ]);
    return host;
  }

  function updateContact(node, { id, display_name: shown }) {
    const availability = phone.people.get(id);
    const [unread, state] = node.querySelectorAll('.badge');
    setText(node.querySelector('.call-name'), shown);
    setBadge(state, ...(availability ? AVAILABILITY[availability] ?? [availability, 'neutral'] : AWAY));
    const count = phone.chat.unread({ user: id });
    unread.hidden = count === 0;
    setText(unread, count ? `${count} unread` : '');
    node.querySelector('.button-primary').disabled = availability !== 'available' || !phone.canRing;
  }

  const row = (shown, text, ...actions) => h('li', {}, h('span', { class: 'call-name', text: shown }), h('span', { class: 'muted', text }), ...actions);
  const createAsking = ({ id, display_name: shown }) => row(
    shown,
    'asks to be a contact',
    button('Accept', { small: true, kind: 'primary', 'aria-label': `Accept ${shown}`, on: { click: () => settle(() => api.acceptContact(id)) } }),
    button('Decline', { small: true, 'aria-label': `Decline ${shown}`, on: { click: () => settle(() => api.endContact(id)) } }),
  );
  const createAsked = ({ id, display_name: shown }) => row(
    shown,
    'hasn’t answered yet',
    button('Withdraw', { small: true, 'aria-label': `Withdraw the request to ${shown}`, on: { click: () => settle(() => api.endContact(id)) } }),
  );
  const createBlocked = ({ id, display_name: shown }) => row(
    shown,
    'is blocked',
    button('Unblock', { small: true, 'aria-label': `Unblock ${shown}`, on: { click: () => settle(() => api.unblock(id)) } }),
  );

  const node = h('section', { class: 'panel', 'aria-label': 'People' }, h('div', { class: 'panel-head' }, h('h2', { text: 'Contacts' }), several), h('div', { class: 'panel-body call-people-body' }, asking, nobody, list, asked, blocked, form));
  return {
    node,
    update() {
      nobody.hidden = contacts.contacts.length > 0;
      several.hidden = contacts.contacts.length < 2;
      several.disabled = !phone.canRing;
      reconcile(list, contacts.contacts, (p) => p.id, createContact, updateContact);
      reconcile(asking, contacts.received, (p) => p.id, createAsking);
      reconcile(asked, contacts.sent, (p) => p.id, createAsked);
      reconcile(blocked, contacts.blocks, (p) => p.id, createBlocked);
      setAttribute(asking, 'hidden', contacts.received.length ? null : '');
    },
  };
}
