// One channel for an operator: its source, worker, renditions, viewers and fall-backs.

import { api } from '../api.js';
import { fill, h, setText } from '../dom.js';
import * as format from '../format.js';
import { alerts, channelState, formatLine, sourceAddress } from '../model.js';
import { poll } from '../poll.js';
import { link } from '../router.js';
import { session } from '../session.js';
import { badge, button, empty, notice, pageHead, setBadge } from '../ui/parts.js';
import { changeChannel, removeChannel } from './channel-actions.js';
import { fallbackTable, renditionTable, viewerTable } from './operator-tables.js';
import { thumbnail } from './thumbnail.js';

const REFRESH_MS = 1500;

export function mount({ root, param: name, signal }) {
  if (!session.admin) {
    fill(root, pageHead(name), notice('warn', 'This page is for operators.', 'Sign in with a token that has the role admin.'));
    return;
  }
  let channel = null;
  const state = badge('Loading', 'neutral');
  const line = h('span', { class: 'num' });
  const edit = button('Change', { icon: 'edit', on: { click: () => changeChannel(channel, () => ask()) }, disabled: true });
  const remove = button('Delete', { icon: 'trash', kind: 'danger', on: { click: () => removeChannel(channel, () => { location.hash = link.operator(); }) }, disabled: true });
  const publish = button('Go live', { icon: 'publish', href: link.publish(name), hidden: true });
  const actions = [button('Watch', { icon: 'play', href: link.watch(name) }), publish, edit, remove];
  const trouble = h('div', { class: 'alerts' });
  const picture = thumbnail(signal);
  const source = facts(['Kind', 'Address', 'State', 'Detail', 'Picture', 'Sound', 'Bitrate', 'Latency in the worker']);
  const worker = facts(['Process', 'Running for', 'Restarts', 'Set by']);
  const renditions = renditionTable();
  const viewers = viewerTable(name, () => ask());
  const fallbacks = fallbackTable();
  fill(
    root,
    h('a', { class: 'back-link', href: link.operator(), text: '← All channels' }),
    pageHead(name, { subtitle: h('p', { class: 'watch-line' }, state, line), actions }),
    trouble,
    h(
      'div',
      { class: 'operator-top' },
      panel('Source', h('div', { class: 'panel-body source-body' }, picture.node, source.node)),
      panel('Worker', h('div', { class: 'panel-body' }, worker.node)),
    ),
    panel('Renditions', renditions.node),
    panel('Viewers', viewers.node),
    panel('Fall-backs', fallbacks.node),
  );

  const ask = poll(async (s) => {
    const [next, watching] = await Promise.all([api.channel(name, s), api.viewers(name, s)]);
    channel = next;
    draw();
    renditions.update(channel.renditions);
    viewers.update(watching);
    fallbacks.update([...channel.fallbacks].reverse());
  }, { intervalMs: REFRESH_MS, signal, onError: onError });

  function draw() {
    const { text, kind } = channelState(channel);
    setBadge(state, text, kind);
    setText(line, `${format.plural(channel.viewers, 'viewer')}${channel.format ? ` · ${formatLine(channel)}` : ''}`);
    edit.disabled = channel.static;
    remove.disabled = channel.static;
    edit.title = channel.static ? 'This channel comes from the configuration file.' : '';
    remove.title = edit.title;
    publish.hidden = channel.source.kind !== 'whip';
    picture.update(channel);
    drawFacts();
    drawAlerts(alerts([channel], null));
  }

  function drawFacts() {
    const { format: seen, worker: process } = channel;
    const audio = seen?.audio;
    source.set('Kind', format.sourceKind(channel.source.kind));
    source.set('Address', sourceAddress(channel.source) || format.NONE);
    source.set('State', channel.source_state ?? format.NONE);
    source.set('Detail', channel.source_detail || format.NONE);
    source.set('Picture', seen?.video ? `${formatLine(channel)}${seen.video.pass_through ? ' · passes through' : ''}` : 'none');
    source.set('Sound', audio ? `${format.codec(audio.codec)} · ${audio.sample_rate_hz / 1000} kHz · ${audio.channels === 1 ? 'mono' : audio.channels === 2 ? 'stereo' : `${audio.channels} channels`}` : 'none');
    source.set('Bitrate', format.bitrate(channel.bitrate));
    source.set('Latency in the worker', format.milliseconds(channel.latency_ms));
    worker.set('Process', process.pid === null ? 'none' : `pid ${process.pid}`);
    worker.set('Running for', format.duration(process.uptime_seconds));
    worker.set('Restarts', format.count(process.restarts));
    worker.set('Set by', channel.static ? 'the configuration file' : 'the API');
  }

  function drawAlerts(found) {
    const key = JSON.stringify(found);
    if (trouble.dataset.shown === key) return;
    trouble.dataset.shown = key;
    fill(trouble, found.map(({ kind, title, text }) => notice(kind, title, text)));
  }

  function onError(error) {
    if (error.status === 404) {
      fill(root, empty('channels', 'There is no such channel', `${name} may have been deleted.`, button('All channels', { kind: 'primary', href: link.operator() })));
    } else drawAlerts([{ kind: 'bad', title: 'Not up to date.', text: error.message }]);
  }

  signal.addEventListener('abort', () => picture.close(), { once: true });
}

function panel(title, body) {
  return h('section', { class: 'panel' }, h('div', { class: 'panel-head' }, h('h2', { text: title })), body);
}

function facts(names) {
  const values = new Map(names.map((name) => [name, h('dd', { text: format.NONE })]));
  const node = h('dl', { class: 'facts' }, names.map((name) => [h('dt', { text: name }), values.get(name)]));
  return { node, set: (name, text) => setText(values.get(name), text) };
}
