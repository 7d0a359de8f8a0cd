// Sign-in by token: what `stentor token` mints is pasted here.

import { api } from '../api.js';
import { h } from '../dom.js';
import { icon } from '../icons.js';
import { session } from '../session.js';
import { showDialog } from '../ui/dialog.js';
import { field } from '../ui/field.js';
import { button } from '../ui/parts.js';
import { createAccountEntry } from './account-entry.js';

const HELP = 'Ask whoever runs this server for one. It is kept until this tab is closed.';

/** A page of its own, where nothing can be shown without a token. */
export function signInPanel() {
  const { node, submit } = tokenForm();
  const enter = button('Sign in', { kind: 'primary', type: 'submit' });
  const form = h('form', { class: 'form', novalidate: true }, node, enter);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    enter.disabled = true;
    await submit().catch(() => {});
    enter.disabled = false;
  });
  return h(
    'div',
    { class: 'sign-in panel' },
    icon('key'),
    h('h1', { tabindex: '-1', text: 'Sign in' }),
    session.hasAccounts && createAccountEntry({ open: true }),
    h('p', { class: 'muted', text: session.hasAccounts ? 'Or with a token.' : 'This server asks for a token.' }),
    form,
  );
}

/** The same in a dialog, over what is shown. Resolves with true where a token was taken. */
export function signIn() {
  const { node, submit } = tokenForm();
  return showDialog({ title: 'Sign in with a token', body: node, submit, submitLabel: 'Sign in' });
}

function tokenForm() {
  const input = h('textarea', { class: 'input', rows: '4', required: true, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' });
  const token = field('Token', input, HELP);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      input.form?.requestSubmit();
    }
  });
  async function submit() {
    const value = input.value.trim().replace(/^Bearer\s+/i, '');
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(value)) {
      token.error(value ? 'That doesn’t look like a token: three parts with dots between are expected.' : 'Paste a token first.');
      input.focus();
      throw new Error('not a token');
    }
    const before = session.token;
    session.token = value;
    try {
      await api.me();
    } catch (error) {
      session.token = before;
      token.error(error.status === 401 ? `The server doesn’t take this token: ${error.message}` : error.message);
      input.focus();
      throw error;
    }
    session.changed();
    return true;
  }
  return { node: token.node, submit };
}
