// One conversation: what was written, how far it was read, and a line to write in.

import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { h, reconcile, setText } from '../dom.js';
import * as format from '../format.js';
import { field } from '../ui/field.js';
import { button } from '../ui/parts.js';
import { createChatSearch } from './chat-search.js';

/** `conversation`: {user} or {call}. `close`, where the panel can be closed. Gives {node, update()}. */
export function createChatPanel({ conversation, title, act, close }) {
  const { chat } = phone;
  const room = () => chat.room(conversation);
  const earlier = button('Earlier messages', { small: true, on: { click: () => act(() => chat.earlier(conversation)) } });
  const list = h('ol', { class: 'chat-messages' });
  const log = h('div', { class: 'chat-log', role: 'log', 'aria-label': 'Messages', tabindex: '0' }, list);
  const state = h('p', { class: 'chat-state muted', role: 'status' });
  const input = h('textarea', { class: 'input chat-input', rows: '2', maxlength: '4000', autocomplete: 'off' });
  const line = field('Message', input);
  const form = h('form', { class: 'chat-form', novalidate: true }, line.node, button('Send', { kind: 'primary', type: 'submit' }));
  const search = createChatSearch({ conversation, act });
  const node = h(
    'section',
    { class: 'panel chat-panel', 'aria-label': title },
    h('div', { class: 'panel-head' }, h('h2', { text: title }), search.button, close && button('Close', { icon: 'close', kind: 'quiet', hideLabel: true, on: { click: close } })),
    h('div', { class: 'panel-body chat-body' }, search.node, earlier, log, state, form),
  );

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    chat.send(conversation, text);
    // Only what was taken is gone from here.
    input.value = '';
    input.focus();
  });
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  input.addEventListener('input', () => chat.type(conversation, input.value !== ''));
  // What is on the screen has been read once somebody is at the page.
  const look = () => {
    if (node.isConnected && !document.hidden && room().unread > 0) chat.look(conversation);
  };
  act(() => chat.open(conversation));

  return {
    node,
    conversation,
    update() {
      const { messages, sending, next } = room();
      earlier.hidden = next === null;
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      const items = [...messages, ...sending];
      reconcile(list, items, (m) => m.id, createMessage, updateMessage);
      if (atEnd) log.scrollTop = log.scrollHeight;
      setText(state, items.length ? stateOf(room()) : stateOf(room()) || 'Nothing has been written yet.');
      look();
    },
  };
}

function createMessage(message) {
  const isOwn = message.from === undefined || message.from === phone.user;
  const time = h('time', { class: 'num' });
  return h(
    'li',
    { class: 'chat-message', dataset: { own: String(isOwn) } },
    h('p', { class: 'chat-meta' }, h('span', { class: 'chat-from' }), ' ', time),
    h('p', { class: 'chat-text', text: message.text }),
  );
}

function updateMessage(node, message) {
  const isOwn = message.from === undefined || message.from === phone.user;
  setText(node.querySelector('.chat-from'), isOwn ? 'You' : contacts.nameOf(message.from));
  setText(node.querySelector('time'), message.at_ms ? format.moment(message.at_ms) : message.failed ?? 'Sending…');
}

/** Who types; else how far the last own message went. */
function stateOf({ messages, sending, typing, read, delivered }) {
  if (typing.size) return `${[...typing.keys()].map((user) => contacts.nameOf(user)).join(', ')} types…`;
  const last = messages.at(-1);
  if (sending.length || !last || last.from !== phone.user) return '';
  const readers = [...read].filter(([, order]) => order >= last.order).map(([user]) => contacts.nameOf(user));
  if (readers.length) return `Read by ${readers.join(', ')}`;
  return delivered >= last.order ? 'Delivered' : 'Sent';
}
