// Somebody else's tile: their picture or what stands in for it, their name, the way it comes and
// how that fares.

import { contacts } from '../calls/contacts.js';
import { hear } from '../calls/listening.js';
import { phone } from '../calls/phone.js';
import { WORDS } from '../calls/quality.js';
import { h, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { icon, setIcon } from '../icons.js';
import { badge, button, setBadge } from '../ui/parts.js';
import { signalBars } from '../ui/signal-bars.js';
import { bothWays, waysOf } from './call-way.js';

/** `enlarge(user)` shows one larger than the rest, or no longer; `act(fn)` runs what may be refused. */
export function tiles({ enlarge, act }) {
  const bars = new WeakMap();

  function create({ user }) {
    const name = contacts.nameOf(user);
    const video = h('video', { autoplay: true, playsinline: true });
    const signal = signalBars();
    const larger = button('', { icon: 'expand', hideLabel: true, small: true, on: { click: () => enlarge(user) } });
    larger.classList.add('call-tile-enlarge');
    const cancel = button('Stop ringing', { small: true, 'aria-label': `Stop ringing ${name}`, on: { click: () => act(() => phone.cancel(user)) } });
    const node = h(
      'div',
      { class: 'call-tile', dataset: { user }, role: 'group' },
      video,
      h('div', { class: 'call-tile-cover' }, icon('user'), h('p', { class: 'call-tile-state', role: 'status' }), cancel),
      h('div', { class: 'call-tile-foot' }, signal.node, h('span', { class: 'call-name', text: name }), badge('', 'neutral')),
      larger,
    );
    bars.set(node, signal);
    return node;
  }

  function update(node, participant, { large, canEnlarge }) {
    const { user, media } = participant;
    const { parties } = phone.call;
    const party = parties.get(user);
    const name = contacts.nameOf(user);
    const video = node.querySelector('video');
    play(video, participant);
    setAttribute(node, 'aria-label', name);
    setAttribute(video, 'aria-label', `${media.screen ? 'Screen' : 'Picture'} of ${name}`);
    setText(node.querySelector('.call-name'), name);
    const state = stateOf(participant, party);
    node.querySelector('.call-tile-cover').hidden = state === null;
    setText(node.querySelector('.call-tile-state'), state ?? '');
    node.querySelector('.call-tile-cover .button').hidden = participant.state !== 'ringing' || !phone.isGroup;
    node.classList.toggle('call-tile-speaks', parties.speaker === user);
    node.classList.toggle('call-tile-large', large === user);
    node.classList.toggle('call-tile-screen', Boolean(media.screen));
    drawWay(node, participant, party);
    const larger = node.querySelector('.call-tile-enlarge');
    larger.hidden = !canEnlarge;
    setIcon(larger.querySelector('.icon'), large === user ? 'shrink' : 'expand');
    const label = large === user ? `Show ${name} as small as the others` : `Enlarge ${name}`;
    setAttribute(larger, 'aria-label', label);
    setAttribute(larger, 'title', label);
  }

  function drawWay(node, { media }, party) {
    const ways = waysOf(party);
    const [text, kind] = bothWays(ways);
    const path = node.querySelector('.badge');
    path.hidden = !ways;
    setBadge(path, media.audio ? text : `${text} · muted`, kind);
    const rtt = party?.roundTripMs ?? null;
    const protocol = party?.figures?.path?.protocol ?? '';
    setAttribute(path, 'title', rtt === null ? protocol : `${protocol}, round trip ${format.milliseconds(rtt)}`);
    const signal = bars.get(node);
    signal.node.toggleAttribute('hidden', !ways);
    if (ways) signal.set(party.quality, `Connection: ${WORDS[party.quality].toLowerCase()}`);
  }

  return { create, update };
}

/** Puts somebody's stream into a `video` or an `audio`. */
export function play(element, { user }) {
  hear(element, phone.call.parties.get(user)?.stream ?? null, phone.speaker);
}

/** What stands in for the picture; null where there is one. */
function stateOf({ state, media }, party) {
  if (state === 'ringing') return 'Ringing…';
  if (state === 'lost') return 'Connecting again…';
  // Of whom nothing comes there may be no connection.
  if (!party?.connected) return media.audio || media.video ? 'Connecting…' : 'Microphone and camera are off.';
  return media.video ? null : 'The camera is off.';
}
