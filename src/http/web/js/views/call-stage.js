// The call itself: everybody's picture, one's own, how each path runs, and the controls.

import { phone } from '../calls/phone.js';
import { h, reconcile, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { icon, setIcon } from '../icons.js';
import { badge, button, setBadge } from '../ui/parts.js';

/** Gives {node, update()}. */
export function createCallStage(signal) {
  const others = h('div', { class: 'call-tiles' });
  const own = h('video', { class: 'call-own', muted: true, autoplay: true, playsinline: true, 'aria-label': 'Your own picture' });
  own.muted = true;
  const time = h('span', { class: 'call-time num' });
  const trouble = h('p', { class: 'call-note', role: 'status' });
  const microphone = toggle('audio', 'microphone', 'Microphone');
  const camera = toggle('video', 'camera', 'Camera');
  const hangUp = button('Hang up', { icon: 'hang-up', kind: 'danger-solid', on: { click: () => phone.hangUp() } });
  const node = h(
    'section',
    { class: 'call-stage', 'aria-label': 'Call' },
    others,
    own,
    trouble,
    h('div', { class: 'call-controls', role: 'group', 'aria-label': 'Controls' }, time, microphone.node, camera.node, hangUp),
  );
  const timer = setInterval(drawTime, 500);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    for (const video of node.querySelectorAll('video')) video.srcObject = null;
  }, { once: true });

  function drawTime() {
    const since = phone.call?.startedAt;
    setText(time, since ? format.clock((Date.now() - since) / 1000) : '');
  }

  return {
    node,
    update() {
      node.hidden = !phone.busy;
      if (!phone.busy) {
        reconcile(others, [], () => '');
        own.srcObject = null;
        return;
      }
      const people = phone.call.participants.filter((p) => p.user !== phone.user && p.state !== 'out');
      reconcile(others, people, (p) => p.user, createTile, updateTile);
      if (own.srcObject !== phone.own.stream) own.srcObject = phone.own.stream;
      own.hidden = !phone.own.media.video;
      setText(trouble, phone.own.trouble);
      microphone.update();
      camera.update();
      drawTime();
    },
  };
}

/** A button that is pressed while a device is on. */
function toggle(kind, name, label) {
  const picture = icon(name);
  const node = h('button', { type: 'button', class: 'button', on: { click: () => phone.toggle(kind) } }, picture, h('span', { text: label }));
  return {
    node,
    update() {
      const isOn = phone.own.media[kind];
      node.disabled = !phone.own.has(kind);
      setIcon(picture, isOn ? name : `${name}-off`);
      setAttribute(node, 'aria-pressed', String(isOn));
    },
  };
}

function createTile({ user }) {
  const video = h('video', { autoplay: true, playsinline: true, 'aria-label': `Picture of ${user}` });
  return h(
    'div',
    { class: 'call-tile', dataset: { user } },
    video,
    h('div', { class: 'call-tile-cover' }, icon('user'), h('p', { class: 'call-tile-state', role: 'status' })),
    h('div', { class: 'call-tile-foot' }, h('span', { class: 'call-name', text: user }), badge('', 'neutral')),
  );
}

function updateTile(node, participant) {
  const party = phone.call.parties.get(participant.user);
  const video = node.querySelector('video');
  const stream = party?.stream ?? null;
  if (video.srcObject !== stream) video.srcObject = stream;
  const state = stateOf(participant, party);
  node.querySelector('.call-tile-cover').hidden = state === null;
  setText(node.querySelector('.call-tile-state'), state ?? '');
  const [text, kind, title] = pathOf(participant, party);
  const path = node.querySelector('.badge');
  path.hidden = !text;
  setBadge(path, text, kind);
  setAttribute(path, 'title', title);
}

/** What stands in for the picture; null where there is one. */
function stateOf({ state, media }, party) {
  if (state === 'ringing') return 'Ringing…';
  if (state === 'lost') return 'Connecting again…';
  if (!party?.connected) return 'Connecting…';
  return media.video ? null : 'The camera is off.';
}

/** The ways that media takes between the two browsers. */
function pathOf({ media }, party) {
  if (!party?.connected) return ['', 'neutral', null];
  const muted = media.audio ? '' : ' · muted';
  const rtt = party.figures?.roundTripMs ?? null;
  const path = party.figures?.path;
  const title = `${path?.protocol ?? ''}${rtt === null ? '' : `, round trip ${Math.round(rtt)} ms`}`;
  const ways = { in: party.shown, out: party.wanted.out };
  if (ways.in !== ways.out) return [`${ways.in === 'server' ? 'In by server, out direct' : 'In direct, out by server'}${muted}`, 'warn', title];
  if (ways.in === 'server') return [`By server${muted}`, 'warn', title];
  if (!path) return ['', 'neutral', null];
  const isRelayed = path.kind === 'relay' || path.remoteKind === 'relay';
  return isRelayed ? [`Relayed${muted}`, 'warn', title] : [`Direct${muted}`, 'ok', title];
}
