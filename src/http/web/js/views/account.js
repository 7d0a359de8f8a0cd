// One's account: the name that others see, the password, and where one is signed in.

import { account } from '../account.js';
import { api } from '../api.js';
import { fill, h } from '../dom.js';
import * as format from '../format.js';
import { link } from '../router.js';
import { confirmDialog } from '../ui/dialog.js';
import { field, textInput } from '../ui/field.js';
import { button, empty, notice, pageHead } from '../ui/parts.js';
import { table } from '../ui/table.js';
import { announce, toast } from '../ui/toast.js';
import { SHORTEST } from './account-entry.js';

export async function mount({ root, signal }) {
  const head = (subtitle) => pageHead('Your account', { subtitle });
  if (!account.me) await account.load(signal);
  if (signal.aborted) return;
  if (!account.me) {
    fill(root, head(), empty('user', 'Nobody is signed in here', 'An account is had where calls are.', button('Calls', { kind: 'primary', href: link.call() })));
    return;
  }
  const devices = createDevices(signal);
  const name = h('p', {}, 'You are found by the name ', h('strong', { text: account.me.name }), '.');
  fill(root, head(name), h('div', { class: 'account' }, createName(), createPassword(() => devices.refresh())), devices.node);
  await devices.refresh();
}

/** A panel with a form that is sent, and what came of it. `send` gives what to say. */
function formPanel({ title, fields, label, send }) {
  const trouble = h('div', { class: 'account-trouble' });
  const submit = button(label, { kind: 'primary', type: 'submit' });
  const form = h('form', { class: 'form panel-body', novalidate: true, 'aria-label': title }, fields, trouble, h('div', {}, submit));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    fill(trouble);
    submit.disabled = true;
    try {
      const said = await send();
      if (said) {
        toast(said);
        announce(said);
      }
    } catch (error) {
      fill(trouble, notice('bad', '', error.message));
    } finally {
      submit.disabled = false;
    }
  });
  return h('section', { class: 'panel' }, h('div', { class: 'panel-head' }, h('h2', { text: title })), form);
}

function createName() {
  const input = textInput({ maxlength: '64', autocomplete: 'name', value: account.me.display_name });
  const shown = field('Name that others see', input);
  return formPanel({
    title: 'Name',
    fields: [shown.node],
    label: 'Save the name',
    async send() {
      const value = input.value.trim();
      if (!value) {
        shown.error('Say what others are to see.');
        input.focus();
        return null;
      }
      await account.setDisplayName(value);
      return 'The name is saved.';
    },
  });
}

function createPassword(changed) {
  const secret = (autocomplete) => textInput({ type: 'password', maxlength: '128', autocomplete });
  const inputs = { old: secret('current-password'), fresh: secret('new-password'), again: secret('new-password') };
  const old = field('Current password', inputs.old);
  const fresh = field('New password', inputs.fresh, `${SHORTEST} characters at least. Your other devices are signed out.`);
  const again = field('New password once more', inputs.again);
  const refuse = (place, text) => {
    place.error(text);
    place.input.focus();
    return null;
  };
  return formPanel({
    title: 'Password',
    fields: [old.node, fresh.node, again.node],
    label: 'Change the password',
    async send() {
      if (!inputs.old.value) return refuse(old, 'Say the password that you have.');
      if (inputs.fresh.value.length < SHORTEST) return refuse(fresh, `A password has ${SHORTEST} characters at least.`);
      if (inputs.fresh.value !== inputs.again.value) return refuse(again, 'The two are not the same.');
      await api.changePassword(inputs.old.value, inputs.fresh.value);
      for (const input of Object.values(inputs)) input.value = '';
      await changed();
      return 'The password is changed.';
    },
  });
}

/** Gives {node, refresh()}. */
function createDevices(signal) {
  const trouble = h('div', { class: 'account-trouble' });
  const list = table({
    label: 'Devices',
    keyOf: (device) => device.id,
    emptyText: 'Signed in nowhere.',
    columns: [
      { label: 'Device', text: (device) => (device.is_this ? `${device.name || 'A device'} (this one)` : device.name || 'A device') },
      { label: 'Signed in', text: (device) => format.time(device.created_at) },
      { label: 'Last seen', text: (device) => format.time(device.seen_at) },
      { label: 'Actions', hidden: true, class: 'is-actions', create: (cell, device) => { cell.append(signOut(device)); } },
    ],
  });

  function signOut(device) {
    if (device.is_this) return h('span', { class: 'muted account-here', text: 'In use' });
    const name = device.name || 'a device';
    return button('Sign out', {
      small: true,
      'aria-label': `Sign out ${name}, signed in ${format.time(device.created_at)}`,
      on: {
        async click() {
          const done = await confirmDialog({
            title: `Sign out ${name}?`,
            text: 'It can do nothing in your name until somebody signs in there again. A call on it ends.',
            label: 'Sign it out',
            act: () => api.endDevice(device.id),
          });
          if (!done) return;
          toast('The device is signed out.');
          announce('The device is signed out.');
          await refresh();
          list.node.focus();
        },
      },
    });
  }

  async function refresh() {
    fill(trouble);
    try {
      const found = await api.devices(signal);
      found.sort((a, b) => Number(b.is_this) - Number(a.is_this) || b.seen_at.localeCompare(a.seen_at));
      list.update(found);
    } catch (error) {
      if (!signal.aborted) fill(trouble, notice('bad', '', error.message, button('Try again', { on: { click: refresh } })));
    }
  }

  const node = h('section', { class: 'panel' }, h('div', { class: 'panel-head' }, h('h2', { text: 'Where you are signed in' })), trouble, list.node);
  return { node, refresh };
}
