// Signing in with a name and a password, and making an account where anybody may.

import { account } from '../account.js';
import { fill, h } from '../dom.js';
import { field, segments, textInput } from '../ui/field.js';
import { button, notice } from '../ui/parts.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$/;
/** Characters of a password. */
export const SHORTEST = 10;

/** `open`: anybody may make an account. Gives the form's node. */
export function createAccountEntry({ open }) {
  const trouble = h('div', { class: 'call-trouble' });
  const nameInput = textInput({ maxlength: '32', required: true, autocomplete: 'username', autocapitalize: 'off' });
  const name = field('Name', nameInput, 'This is how others find you: letters, digits, dots, dashes.');
  const shownInput = textInput({ maxlength: '64', autocomplete: 'name' });
  const shown = field('Name that others see', shownInput, 'By default the same.');
  const passwordInput = textInput({ type: 'password', maxlength: '128', required: true, autocomplete: 'current-password' });
  const password = field('Password', passwordInput, `${SHORTEST} characters at least.`);
  const enter = button('Sign in', { kind: 'primary', type: 'submit' });
  let isNew = false;
  const choice = open && segments('What to do', [['in', 'Sign in'], ['up', 'Make an account']], 'in', (value) => {
    isNew = value === 'up';
    draw();
  });
  const form = h('form', { class: 'form panel call-entry', novalidate: true, 'aria-label': 'Account' }, choice?.node, name.node, shown.node, password.node, trouble, enter);

  function draw() {
    shown.node.hidden = !isNew;
    for (const help of [name, password].map(({ node }) => node.querySelector('.help'))) help.hidden = !isNew;
    passwordInput.autocomplete = isNew ? 'new-password' : 'current-password';
    enter.firstElementChild.textContent = isNew ? 'Make the account' : 'Sign in';
    fill(trouble);
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    fill(trouble);
    const [who, secret] = [nameInput.value.trim(), passwordInput.value];
    if (!NAME.test(who)) {
      name.error(who ? 'Use 3 to 32 letters without accents, digits and . _ - only.' : 'Enter your name.');
      nameInput.focus();
      return;
    }
    if (secret.length < SHORTEST) {
      password.error(`A password has ${SHORTEST} characters at least.`);
      passwordInput.focus();
      return;
    }
    enter.disabled = true;
    try {
      await (isNew ? account.signUp(who, shownInput.value.trim(), secret) : account.signIn(who, secret));
    } catch (error) {
      const refused = isNew && [401, 403].includes(error.status);
      fill(trouble, notice('bad', '', refused ? 'Accounts are made by whoever runs this server.' : error.message));
    } finally {
      enter.disabled = false;
    }
  });
  draw();
  return form;
}
