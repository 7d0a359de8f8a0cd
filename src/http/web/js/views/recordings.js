// Recordings that one may see: of calls that one was in, of channels that one looks after. Each is
// played here, by links that are good for a while.

import { account } from '../account.js';
import { api } from '../api.js';
import { fill, h, reconcile, setText } from '../dom.js';
import * as format from '../format.js';
import { session } from '../session.js';
import { confirmDialog } from '../ui/dialog.js';
import { badge, button, empty, notice, pageHead, setBadge } from '../ui/parts.js';
import { createRecordingPlayer } from './recording-player.js';

const STATES = {
  recording: ['Goes on', 'bad'],
  ending: ['Being stored', 'accent'],
  ended: ['Files are made', 'accent'],
  ready: ['Ready', 'ok'],
  failed: ['No file', 'warn'],
};
/** What isn't ready is looked at again. */
const AGAIN_MS = 3000;

export async function mount({ root, signal }) {
  const list = h('ul', { class: 'recordings' });
  const trouble = h('div', { class: 'call-trouble' });
  const none = empty('record', 'There are no recordings yet', 'A call that is recorded is here once it has ended, for everybody who was in it.');
  const more = button('Earlier recordings', { on: { click: () => load(next) } });
  let known = [];
  let next = null;
  let timer = null;
  fill(root, pageHead('Recordings', { subtitle: h('p', { text: 'Those of calls that you were in, and of channels that you look after.' }) }), trouble, none, list, more);
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });

  async function load(before) {
    clearTimeout(timer);
    fill(trouble);
    try {
      const page = await api.recordings(before, signal);
      const fresh = new Set(page.recordings.map(({ id }) => id));
      known = [...known.filter(({ id }) => !fresh.has(id)), ...page.recordings].sort((a, b) => b.started_ms - a.started_ms);
      if (before || next === null) next = page.next;
      draw();
    } catch (error) {
      if (signal.aborted) return;
      fill(trouble, notice('bad', '', error.message, button('Try again', { on: { click: () => load(before) } })));
    }
    if (known.some(({ state }) => ['recording', 'ending', 'ended'].includes(state)) && !signal.aborted) timer = setTimeout(load, AGAIN_MS);
  }

  function draw() {
    none.hidden = known.length > 0;
    more.hidden = next === null;
    reconcile(list, known, ({ id }) => id, create, update);
  }

  function create(recording) {
    const { id } = recording;
    const name = nameOf(recording);
    const player = createRecordingPlayer(name);
    const current = () => known.find((each) => each.id === id);
    const play = button('Play', { icon: 'play', small: true, kind: 'primary', 'aria-label': `Play ${name}`, on: { click: () => player.toggle(current()) } });
    const remove = button('Delete', { icon: 'trash', small: true, kind: 'quiet', hideLabel: true, 'aria-label': `Delete ${name}`, on: { click: () => ask(recording) } });
    remove.hidden = session.me?.role === 'user' && recording.started_by !== account.me?.id && recording.started_by !== session.me.user;
    return h(
      'li',
      { class: 'panel' },
      h('div', { class: 'recording-head' }, h('div', { class: 'recording-text' }, h('h2', { text: name }), h('p', { class: 'muted small' })), badge('', 'neutral'), play, remove),
      player.node,
    );
  }

  function update(node, recording) {
    const size = recording.files.reduce((sum, file) => sum + file.bytes, 0);
    const people = recording.participants.map((p) => p.name).join(', ');
    const parts = [
      format.time(recording.started_at),
      recording.duration_ms !== null && format.duration(recording.duration_ms / 1000),
      size > 0 && format.bytes(size),
      people,
      recording.reason,
    ];
    setText(node.querySelector('p'), parts.filter(Boolean).join(' · '));
    setBadge(node.querySelector('.badge'), ...(STATES[recording.state] ?? [recording.state, 'neutral']));
    node.querySelector('.button-primary').hidden = recording.state !== 'ready' || recording.files.length === 0;
  }

  async function ask(recording) {
    const done = await confirmDialog({
      title: 'Delete this recording?',
      text: `“${nameOf(recording)}” is deleted for everybody who was in it, with its files.`,
      label: 'Delete it',
      act: () => api.deleteRecording(recording.id),
    });
    if (!done) return;
    known = known.filter(({ id }) => id !== recording.id);
    draw();
    root.querySelector('h1').focus();
  }

  await load();
}

function nameOf({ kind, of, participants, started_at: at }) {
  if (kind === 'channel') return `Channel ${of}, ${format.time(at)}`;
  const me = account.me?.id ?? session.me?.user;
  const others = [...new Set(participants.filter((p) => p.user !== me).map((p) => p.name))];
  return others.length ? `Call with ${others.join(', ')}` : 'Call';
}
