// What leaves this browser, once a second.

import { h, setText } from '../dom.js';
import * as format from '../format.js';
import { publisher } from '../publisher.js';
import { readStats } from '../rtc/stats.js';
import { sparkline } from '../ui/sparkline.js';

const LIMITS = { none: 'None', cpu: 'This computer', bandwidth: 'The network', other: 'Other' };

const FIGURES = [
  ['bitrate', 'Bitrate', (s) => format.bitrate(s.bitrate)],
  ['picture', 'Picture', (s) => format.resolution(s)],
  ['fps', 'Frame rate', (s) => format.frameRate(s.fps === null ? null : Math.round(s.fps))],
  ['codec', 'Codec', (s) => (s.videoCodec ? format.codec(s.videoCodec.toLowerCase()) : format.NONE)],
  ['rtt', 'Round trip', (s) => format.milliseconds(s.roundTripMs)],
  ['loss', 'Packet loss', (s) => format.percent(s.lossRatio)],
  ['limit', 'Held back by', (s) => LIMITS[s.limitation] ?? format.NONE],
  ['encode', 'Encoding', (s) => (s.codecMs === null ? format.NONE : `${format.milliseconds(s.codecMs)} a frame`)],
];

/** Gives {node, update()}. Beside the form the panel is there from the start: nothing moves when
 *  sending begins. On narrow screens it would push the form away. */
export function createPublishStats(signal) {
  const line = sparkline(60);
  const values = new Map();
  const node = h(
    'section',
    { class: 'panel publish-stats', 'aria-label': 'What is sent' },
    h('dl', { class: 'figures' }, FIGURES.map(([key, label]) => {
      const value = h('dd', { text: format.NONE, dataset: { stat: key } });
      values.set(key, value);
      return h('div', {}, h('dt', { text: label }), value);
    })),
    line.node,
  );
  let before = null;
  const timer = setInterval(turn, 1000);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });

  async function turn() {
    const peer = publisher.client?.peer;
    if (!peer || !publisher.live) {
      if (before) for (const value of values.values()) setText(value, format.NONE);
      before = null;
      return;
    }
    const stats = await readStats(peer, before?.peer === peer ? before : null).catch(() => null);
    if (!stats || signal.aborted || publisher.client?.peer !== peer) return;
    stats.peer = peer;
    before = stats;
    for (const [key, , text] of FIGURES) setText(values.get(key), text(stats));
    if (stats.bitrate !== null) line.push(stats.bitrate);
  }

  return { node, update: () => node.classList.toggle('is-idle', !publisher.busy) };
}
