// The page of calls: who one is, who is there, what rings, and the call.

import { api } from '../api.js';
import { phone } from '../calls/phone.js';
import { canCapture } from '../capture.js';
import { fill, h, setText } from '../dom.js';
import { session } from '../session.js';
import { field, textInput } from '../ui/field.js';
import { badge, button, empty, notice, pageHead, setBadge } from '../ui/parts.js';
import { announce, toast } from '../ui/toast.js';
import { createPeople } from './call-people.js';
import { createCallStage } from './call-stage.js';

const STATES = {
  idle: ['Not signed in', 'neutral'],
  connecting: ['Connecting', 'accent'],
  open: ['Reachable', 'ok'],
  lost: ['Connecting again', 'warn'],
  refused: ['Not signed in', 'bad'],
  replaced: ['Signed in elsewhere', 'warn'],
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
  const head = pageHead('Calls', { subtitle: who, actions: [leave] });
  const { features } = await api.server(signal);
  if (signal.aborted) return;
  if (!features.includes('calls')) {
    fill(root, head, empty('call', 'Calls are turned off', 'Whoever runs this server can turn them on in its configuration.'));
    return;
  }
  if (!session.canCall) {
    fill(root, head, notice('warn', 'This token doesn’t call.', 'To call, sign in with a token that has the role user.'));
    return;
  }
  const insecure = canCapture() ? null : notice('warn', 'No camera here.', 'Browsers hand out cameras only to pages from HTTPS or from localhost.');
  const trouble = h('div', { class: 'call-trouble' });
  const entry = signInForm();
  const ringing = createRinging(act);
  const rejoin = notice('neutral', 'You were in a call.', 'It may still go on.', button('Rejoin', { kind: 'primary', on: { click: () => act(() => phone.rejoin()) } }));
  const people = createPeople((name) => act(() => phone.ring(name)));
  const stage = createCallStage(signal);
  fill(root, head, insecure, ringing.node, trouble, rejoin, entry, stage.node, people.node);

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
    const { state, user } = phone;
    const isHere = ['open', 'lost'].includes(state) && user !== null;
    const [text, kind] = STATES[state];
    setText(who.firstElementChild, isHere ? `You are ${user}.` : 'See and hear each other, from browser to browser.');
    setBadge(status, text, kind);
    leave.hidden = !isHere || Boolean(session.token);
    entry.hidden = isHere || Boolean(session.token);
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
        name.error(value ? 'Use letters without accents, digits and . _ @ - only.' : 'Say who you are first.');
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
  if (session.token && phone.state === 'idle') phone.signIn(session.me.user);
  draw();
}

/** Who calls, and whether to answer. */
function createRinging(act) {
  const title = h('h2', { class: 'call-ringing-title' });
  const accept = button('Accept', { icon: 'call', kind: 'primary', on: { click: () => act(() => phone.accept()) } });
  const decline = button('Decline', { icon: 'hang-up', kind: 'danger', on: { click: () => phone.decline() } });
  const node = h('section', { class: 'panel call-ringing', role: 'alert' }, title, h('div', { class: 'call-ringing-actions' }, accept, decline));
  node.hidden = true;
  return {
    node,
    update() {
      const rings = phone.ringing;
      const isNew = rings && node.hidden;
      if (rings) setText(title, `${rings.from} calls you`);
      node.hidden = !rings;
      // Nobody is torn away from what they type.
      if (isNew && !['INPUT', 'TEXTAREA'].includes(document.activeElement?.tagName)) accept.focus();
    },
  };
}
