// Choosing several people: for a call that begins, or to come into one that goes on.

import { account } from '../account.js';
import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { fill, h } from '../dom.js';
import { showDialog } from '../ui/dialog.js';
import { checkbox, field, textInput } from '../ui/field.js';
import { notice } from '../ui/parts.js';

const STATES = { available: '', in_call: 'in a call', do_not_disturb: 'not to be disturbed' };

/** Rings several at once. */
export const callSeveral = () => choose({ title: 'Call several people', label: 'Ring them', taken: [], ring: (users) => phone.ring(...users) });

/** Rings more people into the call. */
export function addPeople() {
  const taken = phone.call.participants.filter((p) => p.state !== 'out').map((p) => p.user);
  return choose({ title: 'Add people to the call', label: 'Ring them', taken, ring: (users) => phone.add(users) });
}

function choose({ title, label, taken, ring }) {
  const trouble = h('div', { class: 'call-trouble' });
  const known = account.me ? contacts.contacts.map((p) => [p.id, p.display_name]) : [...phone.people.keys()].map((user) => [user, user]);
  const choices = known
    .filter(([id]) => !taken.includes(id))
    .sort(([, a], [, b]) => a.localeCompare(b))
    .map(([id, shown]) => {
      const availability = phone.people.get(id);
      const state = availability ? STATES[availability] ?? availability : 'away';
      const box = checkbox(state ? `${shown} (${state})` : shown, false, { value: id });
      // Of those who aren't seen nothing is known.
      box.input.disabled = availability ? availability !== 'available' : Boolean(account.me);
      return box;
    });
  const none = h('p', { class: 'muted', text: 'Nobody else can be rung from a list now.' });
  const list = h('fieldset', { class: 'people-choice' }, h('legend', { class: 'label', text: 'Whom?' }), choices.length ? choices.map(({ node }) => node) : none);
  const input = textInput({ maxlength: '640', autocapitalize: 'off' });
  const names = field('By name', input, 'Several with spaces between.');
  names.node.hidden = account.me !== null;

  async function submit() {
    const typed = account.me ? [] : input.value.split(/[\s,;]+/).filter(Boolean);
    const users = [...new Set([...choices.filter((c) => c.input.checked).map((c) => c.input.value), ...typed])];
    fill(trouble);
    try {
      if (!users.length) throw new Error('Choose somebody first.');
      await ring(users);
    } catch (error) {
      fill(trouble, notice('bad', '', error.message));
      throw error;
    }
    return true;
  }
  return showDialog({ title, body: h('div', { class: 'form' }, list, names.node, trouble), submit, submitLabel: label });
}
