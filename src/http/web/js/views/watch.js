// The player's page: one channel, watched over WHEP.

import { api } from '../api.js';
import { fill, h, setText } from '../dom.js';
import * as format from '../format.js';
import { channelState, formatLine } from '../model.js';
import { poll } from '../poll.js';
import { link } from '../router.js';
import { session } from '../session.js';
import { WhepClient } from '../rtc/whep.js';
import { badge, button, notice, pageHead, setBadge } from '../ui/parts.js';
import { toast } from '../ui/toast.js';
import { createStage } from './stage.js';

const REFRESH_MS = 3000;

export async function mount({ root, param: name, signal }) {
  if (!session.canView) {
    fill(root, pageHead(name), notice('warn', 'This token publishes only.', 'To watch, sign in with a token that has the role view.'));
    return;
  }
  const state = badge('Loading', 'neutral');
  const line = h('span', { class: 'num' });
  const viewers = h('span', { class: 'num' });
  const subtitle = h('p', { class: 'watch-line' }, state, viewers, line);
  const address = new URL(`/whep/${encodeURIComponent(name)}`, location.href).href;
  const actions = [
    button('Copy page link', { icon: 'copy', small: true, on: { click: () => copy(location.href, 'The link to this page is copied.') } }),
    button('Copy WHEP address', { icon: 'link', small: true, on: { click: () => copy(address, 'The WHEP address is copied.') } }),
    session.admin && button('Operator', { icon: 'operator', small: true, href: link.operator(name) }),
  ];

  const client = new WhepClient({
    url: address,
    token: () => session.token,
    iceServers: await iceServers(signal),
  });
  if (signal.aborted) return;
  const stage = createStage(client, name, signal);
  fill(root, pageHead(name, { subtitle }), stage.node, h('div', { class: 'watch-actions' }, actions));

  poll(async (s) => {
    const channel = await api.channel(name, s);
    const { text, kind, detail } = channelState(channel);
    setBadge(state, text, kind);
    state.title = detail;
    setText(line, formatLine(channel));
    setText(viewers, format.plural(client.viewers ?? channel.viewers, 'viewer'));
    stage.setChannel(channel);
  }, {
    intervalMs: REFRESH_MS,
    signal,
    onError: (error) => {
      if (error.status === 404) setBadge(state, 'No such channel', 'bad');
      else setBadge(state, 'Not up to date', 'warn');
    },
  });
  client.addEventListener('viewers', () => setText(viewers, format.plural(client.viewers, 'viewer')));

  client.start();
  signal.addEventListener('abort', () => client.stop(), { once: true });
}

/** The server's ICE servers; a player without them may still connect. */
async function iceServers(signal) {
  try {
    return (await api.server(signal)).ice_servers ?? [];
  } catch {
    return [];
  }
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    toast(`Not copied. The address is ${text}`, 'bad');
  }
}
