// The operator's overview: what runs, what is wrong, what is left.

import { api } from '../api.js';
import { fill, h, setText } from '../dom.js';
import * as format from '../format.js';
import { alerts } from '../model.js';
import { poll } from '../poll.js';
import { link } from '../router.js';
import { session } from '../session.js';
import { button, notice, pageHead } from '../ui/parts.js';
import { toast } from '../ui/toast.js';
import { editChannel } from './channel-dialog.js';
import { channelTable } from './operator-channels.js';
import { hardwarePanel } from './operator-hardware.js';

const REFRESH_MS = 2000;
/** The probe's report changes rarely; its budget is what moves. */
const HARDWARE_MS = 5000;

const TILES = [
  ['channels', 'Channels live'],
  ['viewers', 'Viewers'],
  ['input', 'Coming in'],
  ['restarts', 'Worker restarts'],
  ['uptime', 'Up for'],
  ['version', 'Version'],
];

export function mount({ root, signal }) {
  if (!session.admin) {
    fill(root, pageHead('Operator'), notice('warn', 'This page is for operators.', 'Sign in with a token that has the role admin.'));
    return;
  }
  let channels = null;
  let hardware = null;
  const create = button('New channel', { icon: 'plus', kind: 'primary', on: { click: onCreate } });
  const subtitle = h('p', { text: 'Channels, renditions, encoders.' });
  const trouble = h('div', { class: 'alerts' });
  const values = new Map();
  const tiles = h('dl', { class: 'tiles' }, TILES.map(([key, label]) => {
    const value = h('dd', { class: 'num', text: format.NONE });
    values.set(key, value);
    return h('div', { class: 'tile' }, h('dt', { text: label }), value);
  }));
  const list = channelTable({ changed: () => ask() });
  const devices = hardwarePanel();
  fill(
    root,
    pageHead('Operator', { subtitle, actions: [create] }),
    trouble,
    tiles,
    h('section', { class: 'panel' }, h('div', { class: 'panel-head' }, h('h2', { text: 'Channels' })), list.node),
    devices.node,
  );

  const ask = poll(async (s) => {
    const [list_, server] = await Promise.all([api.channels(s), api.server(s)]);
    channels = list_;
    list.update(channels);
    drawTiles(server);
    drawAlerts(null);
  }, { intervalMs: REFRESH_MS, signal, onError: drawAlerts });

  poll(async (s) => {
    hardware = await api.hardware(s);
    devices.update(hardware);
    drawAlerts(null);
  }, { intervalMs: HARDWARE_MS, signal, onError: (error) => devices.fail(error) });

  function drawTiles(server) {
    const live = channels.filter((channel) => channel.source_state === 'live').length;
    const set = (key, text) => setText(values.get(key), text);
    set('channels', `${live} of ${channels.length}`);
    set('viewers', `${format.count(server.viewers)} of ${format.count(server.max_viewers)}`);
    set('input', format.bitrate(channels.reduce((sum, channel) => sum + (channel.bitrate ?? 0), 0)));
    set('restarts', format.count(channels.reduce((sum, channel) => sum + channel.worker.restarts, 0)));
    set('uptime', format.duration(server.uptime_seconds));
    set('version', server.version);
    setText(subtitle, server.draining ? 'Draining: no new viewers are taken.' : 'Channels, renditions, encoders.');
  }

  /** Drawn anew only where the words change: a screen reader isn't told the same thing twice. */
  function drawAlerts(error) {
    const found = alerts(channels, hardware);
    if (error) found.unshift({ kind: 'bad', title: 'Not up to date.', text: error.message });
    const key = JSON.stringify(found);
    if (trouble.dataset.shown === key) return;
    trouble.dataset.shown = key;
    fill(trouble, found.map(({ kind, title, text, channel }) => notice(kind, title, text, channel && button('Open', { small: true, href: link.operator(channel), 'aria-label': `Open ${channel}` }))));
  }

  async function onCreate() {
    const made = await editChannel();
    if (!made) return;
    toast(`${made.name} is made.`);
    ask();
  }
}
