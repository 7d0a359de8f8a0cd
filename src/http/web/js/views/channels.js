// The first page: every channel as a card with a live picture.

import { api } from '../api.js';
import { fill, h, reconcile, setText } from '../dom.js';
import * as format from '../format.js';
import { link } from '../router.js';
import { poll } from '../poll.js';
import { session } from '../session.js';
import { button, empty, notice, pageHead, skeletons } from '../ui/parts.js';
import { textInput } from '../ui/field.js';
import { toast } from '../ui/toast.js';
import { channelCard } from './channel-card.js';
import { editChannel } from './channel-dialog.js';

const REFRESH_MS = 2000;
/** From how many channels on a filter is worth its place. */
const FILTER_FROM = 7;

export function mount({ root, signal }) {
  const cards = new Map();
  let channels = null;

  const subtitle = h('p', { class: 'num', text: 'Loading…' });
  const filter = textInput({ type: 'search', placeholder: 'Filter by name', 'aria-label': 'Filter channels by name', class: 'input filter', hidden: true, on: { input: draw } });
  const create = session.admin && button('New channel', { kind: 'primary', icon: 'plus', on: { click: onCreate } });
  const trouble = h('div', { class: 'channels-trouble' });
  const grid = h('div', { class: 'channel-grid' });
  const rest = h('div', {}, h('div', { class: 'channel-grid', 'aria-hidden': 'true' }, skeletons(4, 'channel-skeleton')));
  fill(root, pageHead('Channels', { subtitle, actions: [filter, create] }), trouble, grid, rest);

  const ask = poll(async (s) => {
    channels = await api.channels(s);
    fill(trouble);
    draw();
  }, {
    intervalMs: REFRESH_MS,
    signal,
    onError: (error) => {
      fill(trouble, notice('bad', 'Not up to date.', error.message));
      if (!channels) fill(rest);
    },
  });

  function draw() {
    const wanted = filter.value.trim().toLowerCase();
    const shown = channels.filter((channel) => channel.name.toLowerCase().includes(wanted));
    filter.hidden = channels.length < FILTER_FROM && !wanted;
    const live = channels.filter((channel) => channel.source_state === 'live').length;
    const viewers = channels.reduce((sum, channel) => sum + channel.viewers, 0);
    setText(subtitle, `${format.plural(channels.length, 'channel')} · ${live} live · ${format.plural(viewers, 'viewer')}`);
    reconcile(grid, shown, (channel) => channel.name, (channel) => {
      const card = channelCard(channel, signal);
      cards.set(channel.name, card);
      return card.node;
    }, (_, channel) => cards.get(channel.name).update(channel));
    for (const [name, card] of cards) {
      if (card.node.isConnected) continue;
      card.close();
      cards.delete(name);
    }
    drawRest(shown, wanted);
  }

  function drawRest(shown, wanted) {
    const kind = shown.length ? 'none' : wanted ? 'no-match' : 'no-channels';
    if (rest.dataset.kind === kind) return;
    rest.dataset.kind = kind;
    if (create) create.hidden = kind === 'no-channels';
    if (kind === 'none') fill(rest);
    else if (kind === 'no-match') fill(rest, empty('channels', 'No channel has that name', 'Change the filter to see others.'));
    else {
      const text = session.admin
        ? 'Make one and point a camera at it: from this browser, over RTSP or SRT, or from a file.'
        : 'When one is made, it appears here.';
      fill(rest, empty('channels', 'No channels yet', text, session.admin && button('New channel', { kind: 'primary', icon: 'plus', on: { click: onCreate } })));
    }
  }

  async function onCreate() {
    const made = await editChannel();
    if (!made) return;
    toast(`${made.name} is made.`);
    ask();
    if (made.source.kind === 'whip') location.hash = link.publish(made.name);
  }

  signal.addEventListener('abort', () => {
    for (const card of cards.values()) card.close();
  }, { once: true });
}
