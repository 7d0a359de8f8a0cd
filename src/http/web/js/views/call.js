// The page of calls: who one is, who is there, what rings, and the call.

import { account } from '../account.js';
import { api } from '../api.js';
import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { canCapture } from '../capture.js';
import { fill, h, setAttribute, setText } from '../dom.js';
import { session } from '../session.js';
import { field, textInput } from '../ui/field.js';
import { badge, button, empty, notice, pageHead, setBadge } from '../ui/parts.js';
import { announce, toast } from '../ui/toast.js';
import { createAccountEntry } from './account-entry.js';
import { createPeople } from './call-people.js';
import { createRinging } from './call-ringing.js';
import { createCallStage } from './call-stage.js';
import { createChatPanel } from './chat-panel.js';
import { createContactList } from './contact-list.js';

const STATES = {
  idle: ['Not signed in', 'neutral'],
  connecting: ['Connecting', 'accent'],
  open: ['Reachable', 'ok'],
  lost: ['Connecting again', 'warn'],
  refused: ['Not signed in', 'bad'],
  replaced: ['Signed in elsewhere', 'warn'],
  'signed-out': ['Signed out', 'bad'],
};

const ENDINGS = {
  hung_up: 'The call has ended.',
  everybody_left: 'Everybody has left.',
  cancelled: 'The call was cancelled.',
  declined: 'The call was declined.',
  busy: 'The line is busy.',
  do_not_disturb: 'They don’t want to be disturbed.',
  no_answer: 'Nobody answered.',
  unreachable: 'They can’t be reached at present.',
  lost: 'The connection to the other was lost.',
  node_gone: 'The server that held the call is gone.',
  server_stopping: 'The server is restarting: the call has ended.',
  left: 'You have left the call.',
  moved: 'The call goes on on another of your devices.',
};

export async function mount({ root, signal }) {
  const status = badge('', 'neutral');
  const who = h('p', {}, h('span', { class: 'call-who' }), ' ', status);
  const leave = button('Sign out', { kind: 'quiet', on: { click: () => phone.signOut() } });
  const quiet = button('Do not disturb', { kind: 'quiet', on: { click: () => act(() => account.setUndisturbed(!account.me.undisturbed_until)) } });
  const head = pageHead('Calls', { subtitle: who, actions: [quiet, leave] });
  quiet.hidden = true;
  const { features } = await api.server(signal);
  if (signal.aborted) return;
  if (!features.includes('calls')) {
    fill(root, head, empty('call', 'Calls are turned off', 'Whoever runs this server can turn them on in its configuration.'));
    return;
  }
  const hasAccounts = features.includes('accounts');
  if (!session.canCall) {
    fill(root, head, notice('warn', 'This token doesn’t call.', 'To call, sign in with a token that has the role user.'));
    return;
  }
  if (hasAccounts) await account.load(signal);
  if (signal.aborted) return;
  const insecure = canCapture() ? null : notice('warn', 'No camera here.', 'Browsers hand out cameras only to pages from HTTPS or from localhost.');
  const trouble = h('div', { class: 'call-trouble' });
  const entry = hasAccounts ? createAccountEntry({ open: features.includes('sign-up') }) : signInForm();
  const ringing = createRinging(act);
  const rejoin = notice('neutral', 'You were in a call.', 'It may still go on.', button('Rejoin', { kind: 'primary', on: { click: () => act(() => phone.rejoin()) } }));
  const people = hasAccounts
    ? createContactList({ act, write: (user) => converse({ user }, contacts.nameOf(user)) })
    : createPeople({
      ring: (name) => act(() => phone.ring(name)),
      write: features.includes('chat') && ((user) => converse({ user }, user)),
      isAsked: features.includes('user-service'),
    });
  const conversation = h('div', { class: 'call-chat' });
  let panel = null;
  const stage = createCallStage({ act, signal });
  fill(root, head, insecure, ringing.node, trouble, rejoin, entry, h('div', { class: 'call-both' }, stage.node, conversation), people.node);

  /** Shows a conversation, in place of the one before. */
  function converse(with_, title) {
    panel = with_ && createChatPanel({ conversation: with_, title: `Chat with ${title}`, act, close: () => converse(null) });
    fill(conversation, panel?.node);
    panel?.update();
    panel?.node.querySelector('textarea').focus();
  }

  /** Beside a call is what is written in it. */
  function followCall() {
    const id = phone.call?.id;
    const shown = panel?.conversation.call;
    if (id && shown !== id) {
      panel = createChatPanel({ conversation: { call: id }, title: 'Chat of this call', act });
      fill(conversation, panel.node);
    } else if (!id && shown) {
      panel = null;
      fill(conversation);
    }
  }

  /** Runs something that may be refused, and says why it was. */
  async function act(fn) {
    fill(trouble);
    try {
      await fn();
    } catch (error) {
      fill(trouble, notice('bad', '', error.message));
    }
  }

  function draw() {
    const { state, user, busy } = phone;
    const isHere = ['open', 'lost'].includes(state) && user !== null;
    const isSignedIn = Boolean(session.token) && (!hasAccounts || account.me !== null);
    const [text, kind] = STATES[state];
    setText(who.firstElementChild, isHere ? `You are ${contacts.nameOf(user)}.` : 'See and hear each other, from browser to browser.');
    setBadge(status, text, kind);
    leave.hidden = !isHere || Boolean(session.token);
    entry.hidden = isHere || isSignedIn;
    quiet.hidden = !isHere || !account.me || busy;
    root.classList.toggle('in-call', busy);
    setAttribute(quiet, 'aria-pressed', String(Boolean(account.me?.undisturbed_until)));
    if (features.includes('chat')) followCall();
    panel?.update();
    rejoin.hidden = !isHere || !phone.left || phone.busy;
    people.node.hidden = !isHere || phone.busy;
    if (state === 'refused' && !trouble.childElementCount) fill(trouble, notice('bad', 'Signing in failed.', phone.reason));
    ringing.update();
    people.update();
    stage.update();
  }

  function signInForm() {
    const input = textInput({ maxlength: '64', required: true, autocomplete: 'username' });
    const name = field('Your name', input, 'Letters, digits and . _ @ - ; this is how others call you.');
    const form = h('form', { class: 'form panel call-entry', novalidate: true }, name.node, button('Sign in', { kind: 'primary', type: 'submit' }));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const value = input.value.trim();
      if (!/^[A-Za-z0-9._@-]{1,64}$/.test(value)) {
        name.error(value ? 'Use letters without accents, digits and . _ @ - only.' : 'Enter your name.');
        input.focus();
        return;
      }
      fill(trouble);
      phone.signIn(value);
    });
    return form;
  }

  phone.addEventListener('change', draw, { signal });
  phone.addEventListener('over', ({ detail }) => {
    const text = ENDINGS[detail] ?? 'The call has ended.';
    toast(text);
    announce(text);
  }, { signal });
  for (const source of [phone.chat, contacts, account]) source.addEventListener('change', draw, { signal });
  const mayEnter = hasAccounts ? account.me !== null : Boolean(session.token);
  if (mayEnter && phone.state === 'idle') phone.signIn(session.me.user);
  draw();
}
