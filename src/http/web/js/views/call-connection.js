// How each way of a call fares, in figures: for those who wonder why a picture isn't good.

import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { WORDS } from '../calls/quality.js';
import { h, setText } from '../dom.js';
import * as format from '../format.js';
import { preference, remember } from '../preferences.js';
import { sparkline } from '../ui/sparkline.js';
import { signalBars } from '../ui/signal-bars.js';
import { table } from '../ui/table.js';
import { waysOf, wayText } from './call-way.js';

/** Readings in a line: half a minute. */
const KEPT = 60;

/** Gives {node, isOpen, toggle(), update()}. */
export function createConnection() {
  const rows = table({
    label: 'Connections',
    keyOf: ({ user }) => user,
    emptyText: 'Nobody is connected yet.',
    columns: [
      { label: 'With', text: ({ user }) => contacts.nameOf(user) },
      { label: 'Quality', create: createQuality },
      { label: 'From them', badge: ({ party }) => wayText(waysOf(party)?.in) },
      { label: 'To them', badge: ({ party }) => wayText(waysOf(party)?.out) },
      { label: 'Round trip', num: true, text: ({ party }) => format.milliseconds(party.roundTripMs) },
      { label: 'Lost', num: true, text: ({ party }) => format.percent(party.loss) },
      { label: 'Picture', num: true, text: ({ party }) => format.resolution(party.figures) },
      { label: 'Comes in', num: true, create: createRate },
    ],
  });
  const own = h('p', { class: 'panel-part' });
  const node = h('section', { class: 'panel call-connection', 'aria-label': 'Connection', id: 'call-connection' }, h('div', { class: 'panel-head' }, h('h2', { text: 'Connection' })), own, rows.node);
  let isOpen = preference('call-connection', false);

  return {
    node,
    get isOpen() {
      return isOpen;
    },
    toggle() {
      isOpen = !isOpen;
      remember('call-connection', isOpen);
      phone.dispatchEvent(new Event('change'));
    },
    update() {
      node.hidden = !isOpen || !phone.busy;
      if (node.hidden) return;
      const { parties, participants } = phone.call;
      const others = participants.filter((p) => p.user !== phone.user && p.state !== 'out');
      setText(own, describe(parties));
      rows.update(others.map(({ user }) => ({ user, party: parties.get(user) })).filter(({ party }) => party));
    },
  };
}

/** What this device sends, and why not more. */
function describe({ topology, published }) {
  const way = topology === 'server' ? 'The call goes through the server.' : 'The call goes from device to device.';
  if (!published) return way;
  const held = { bandwidth: ', held back by your line', cpu: ', held back by this computer' }[published.limitation] ?? '';
  return `${way} You send ${format.bitrate(published.outBitrate)} to it, ${format.resolution(published)}${held}.`;
}

function createQuality(cell) {
  const bars = signalBars();
  const word = h('span', {});
  cell.append(h('span', { class: 'call-quality' }, bars.node, word));
  bars.node.setAttribute('aria-hidden', 'true');
  return ({ party }) => {
    bars.set(party.quality, '');
    setText(word, WORDS[party.quality]);
  };
}

function createRate(cell) {
  const [line, text] = [sparkline(KEPT), h('span', {})];
  cell.append(text, line.node);
  return ({ party }) => {
    const rate = party.figures?.inBitrate ?? null;
    setText(text, format.bitrate(rate));
    if (rate !== null) line.push(rate);
  };
}
