// The call itself: everybody's picture, one's own, how each path runs, and the controls.

import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { h, reconcile, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { icon, setIcon } from '../icons.js';
import { select } from '../ui/field.js';
import { badge, button, setBadge } from '../ui/parts.js';

/** Tiles on a page. */
const SIZES = [9, 16, 25];

/** Gives {node, update()}. */
export function createCallStage(signal) {
  const others = h('div', { class: 'call-tiles' });
  const pager = createPager(() => update());
  /** Everybody is heard, whoever is on the page. */
  const unseen = h('div', { hidden: true });
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
    unseen,
    pager.node,
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

  function update() {
    node.hidden = !phone.busy;
    if (!phone.busy) {
      for (const list of [others, unseen]) reconcile(list, [], () => '');
      own.srcObject = null;
      return;
    }
    const all = phone.call.participants.filter((p) => p.user !== phone.user && p.state !== 'out');
    const people = pager.page(all);
    reconcile(others, people, (p) => p.user, createTile, updateTile);
    reconcile(unseen, all.filter((p) => !people.includes(p)), (p) => p.user, () => h('audio', { autoplay: true }), play);
    tellScreen(people);
    if (own.srcObject !== phone.own.stream) own.srcObject = phone.own.stream;
    own.hidden = !phone.own.media.video;
    setText(trouble, phone.own.trouble);
    microphone.update();
    camera.update();
    drawTime();
  }

  /** Pictures that nobody looks at needn't be sent. */
  function tellScreen(people) {
    const tile = others.firstElementChild;
    if (!tile) return;
    const height = Math.round(tile.clientHeight * devicePixelRatio);
    phone.call.parties.show({ page: pager.at, pageSize: pager.size, users: people.map((p) => p.user), height });
  }

  return { node, update };
}

/** Pages of 9, 16 or 25 tiles, where one is not enough. */
function createPager(changed) {
  const sizes = select(SIZES.map((n) => [String(n), `${n} on a page`]), String(SIZES[0]), { 'aria-label': 'Pictures on a page' });
  const back = button('Previous page', { icon: 'back', hideLabel: true, on: { click: () => turn(-1) } });
  const on = button('Next page', { icon: 'chevron', hideLabel: true, on: { click: () => turn(1) } });
  const place = h('span', { class: 'num' });
  const node = h('div', { class: 'call-pager', role: 'group', 'aria-label': 'Pages' }, back, place, on, sizes);
  const pager = { node, at: 0, size: SIZES[0], page };
  sizes.addEventListener('change', () => {
    pager.size = Number(sizes.value);
    pager.at = 0;
    changed();
  });

  function turn(by) {
    pager.at += by;
    changed();
  }

  function page(people) {
    const pages = Math.max(1, Math.ceil(people.length / pager.size));
    pager.at = Math.min(Math.max(pager.at, 0), pages - 1);
    node.hidden = people.length <= SIZES[0];
    back.disabled = pager.at === 0;
    on.disabled = pager.at === pages - 1;
    setText(place, `${pager.at + 1} / ${pages}`);
    return people.slice(pager.at * pager.size, (pager.at + 1) * pager.size);
  }

  return pager;
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
  const video = h('video', { autoplay: true, playsinline: true, 'aria-label': `Picture of ${contacts.nameOf(user)}` });
  return h(
    'div',
    { class: 'call-tile', dataset: { user } },
    video,
    h('div', { class: 'call-tile-cover' }, icon('user'), h('p', { class: 'call-tile-state', role: 'status' })),
    h('div', { class: 'call-tile-foot' }, h('span', { class: 'call-name', text: contacts.nameOf(user) }), badge('', 'neutral')),
  );
}

function updateTile(node, participant) {
  const party = phone.call.parties.get(participant.user);
  play(node.querySelector('video'), participant);
  setText(node.querySelector('.call-name'), contacts.nameOf(participant.user));
  const state = stateOf(participant, party);
  node.querySelector('.call-tile-cover').hidden = state === null;
  setText(node.querySelector('.call-tile-state'), state ?? '');
  const [text, kind, title] = pathOf(participant, party);
  node.classList.toggle('call-tile-speaks', phone.call.parties.speaker === participant.user);
  const path = node.querySelector('.badge');
  path.hidden = !text;
  setBadge(path, text, kind);
  setAttribute(path, 'title', title);
}

function play(element, { user }) {
  const stream = phone.call.parties.get(user)?.stream ?? null;
  if (element.srcObject !== stream) element.srcObject = stream;
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
