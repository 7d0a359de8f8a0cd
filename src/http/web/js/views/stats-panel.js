// The statistics overlay: what arrives, how, and how late.

import { h, setText } from '../dom.js';
import * as format from '../format.js';
import { LatencyMeter } from '../rtc/latency.js';
import { readStats } from '../rtc/stats.js';
import { sparkline } from '../ui/sparkline.js';

const INTERVAL_MS = 1000;

/** Gives {node, shown, toggle(), setChannel(channel)}. */
export function createStatsPanel(client, signal) {
  const line = sparkline(60);
  const values = new Map();
  const list = h('dl', {}, ROWS.map(([key, label]) => {
    const value = h('dd', { text: format.NONE, dataset: { stat: key } });
    values.set(key, value);
    return [h('dt', { text: label }), value];
  }));
  const node = h('div', { class: 'stage-stats', role: 'group', 'aria-label': 'Statistics', hidden: true, tabindex: '0' }, list, line.node);
  const meter = new LatencyMeter();
  let channel = null;
  let before = null;
  let timer = null;

  async function turn() {
    const { peer } = client;
    if (!peer || client.status.state !== 'connected') {
      before = null;
      return;
    }
    const stats = await readStats(peer, before?.peer === peer ? before : null).catch(() => null);
    if (!stats || signal.aborted || client.peer !== peer) return;
    stats.peer = peer;
    before = stats;
    const latency = meter.read(stats, channel?.latency_ms ?? null);
    for (const [key, , text] of ROWS) setText(values.get(key), text(stats, client, latency));
    if (stats.bitrate !== null) line.push(stats.bitrate);
  }

  function toggle() {
    node.hidden = !node.hidden;
    clearInterval(timer);
    before = null;
    if (!node.hidden) {
      turn();
      timer = setInterval(turn, INTERVAL_MS);
    }
  }

  signal.addEventListener('abort', () => clearInterval(timer), { once: true });

  return {
    node,
    toggle,
    get shown() {
      return !node.hidden;
    },
    setChannel(next) {
      channel = next;
    },
  };
}

/** [key, label, text of (figures, client, latency)] */
const ROWS = [
  ['rendition', 'Rendition', (_, client) => (client.layer ? `${client.layer.rid}${client.layer.auto ? ' (auto)' : ''}` : client.rendition)],
  ['resolution', 'Picture', (s) => [format.resolution(s), s.fps === null ? null : `${Math.round(s.fps)} fps`].filter(Boolean).join(' · ')],
  ['codec', 'Codec', (s) => [s.videoCodec && format.codec(s.videoCodec.toLowerCase()), s.audioCodec && format.codec(s.audioCodec.toLowerCase())].filter(Boolean).join(' + ') || format.NONE],
  ['bitrate', 'Bitrate', (s) => format.bitrate(s.bitrate)],
  ['latency', 'Latency', (_, __, latency) => (latency ? `${format.milliseconds(latency.ms)}${latency.measured ? '' : ' (estimated)'}` : format.NONE)],
  ['loss', 'Packet loss', (s) => `${format.percent(s.lossRatio)} (${format.count(s.lostTotal)} in all)`],
  ['jitter', 'Jitter', (s) => format.milliseconds(s.jitterMs)],
  ['rtt', 'Round trip', (s) => format.milliseconds(s.roundTripMs)],
  ['buffer', 'Buffer', (s) => format.milliseconds(s.bufferMs)],
  ['decode', 'Decoding', (s) => `${format.milliseconds(s.codecMs)} a frame`],
  ['frames', 'Frames', (s) => `${format.count(s.frames)} decoded, ${format.count(s.dropped ?? 0)} dropped`],
  ['freezes', 'Freezes', (s) => format.count(s.freezes)],
  ['path', 'Path', (s) => (s.path ? `${s.path.protocol} ${s.path.kind} → ${s.path.remote}` : format.NONE)],
];
