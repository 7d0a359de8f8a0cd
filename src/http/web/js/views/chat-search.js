// Finding what was written in a conversation.

import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { fill, h, setAttribute } from '../dom.js';
import * as format from '../format.js';
import { field, textInput } from '../ui/field.js';
import { button } from '../ui/parts.js';

/** Gives {button, node}: what opens it, and what is opened. */
export function createChatSearch({ conversation, act }) {
  const input = textInput({ type: 'search', maxlength: '256' });
  const words = field('Find messages', input);
  const result = h('p', { class: 'muted small', role: 'status' });
  const found = h('ol', { class: 'chat-messages chat-found', 'aria-label': 'Found' });
  const more = button('More', { small: true, on: { click: () => look(next) } });
  const form = h('form', { class: 'chat-form', role: 'search', novalidate: true }, words.node, button('Find', { type: 'submit' }));
  const node = h('div', { class: 'chat-search', hidden: true }, form, result, found, more);
  const open = button('Find messages', { icon: 'search', kind: 'quiet', small: true, hideLabel: true, 'aria-expanded': 'false', on: { click: toggle } });
  let next = null;
  more.hidden = true;

  function toggle() {
    node.hidden = !node.hidden;
    setAttribute(open, 'aria-expanded', String(!node.hidden));
    if (!node.hidden) input.focus();
  }

  function look(before) {
    return act(async () => {
      const page = await phone.chat.search(conversation, input.value.trim(), before);
      if (before === undefined) fill(found);
      found.append(...page.entries.map(({ message }) => entry(message)));
      next = page.next;
      more.hidden = next === undefined;
      result.textContent = found.childElementCount ? `${format.plural(found.childElementCount, 'message')}${more.hidden ? '' : ' and more'}` : 'Nothing was found.';
    });
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (input.value.trim()) look();
    else words.error('What for?');
  });
  node.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    toggle();
    open.focus();
  });
  return { button: open, node };
}

function entry({ from, at_ms: at, text }) {
  const who = from === phone.user ? 'You' : contacts.nameOf(from);
  return h('li', { class: 'chat-message' }, h('p', { class: 'chat-meta', text: `${who} ${format.moment(at)}` }), h('p', { class: 'chat-text', text }));
}
