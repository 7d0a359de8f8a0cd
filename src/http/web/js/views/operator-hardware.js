// What the hardware can do, what was chosen, and what is left of it.

import { fill, h, reconcile, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { badge, notice } from '../ui/parts.js';
import { table } from '../ui/table.js';

const DIRECTIONS = { decode: 'Decode', scale: 'Scale', encode: 'Encode' };

/** Gives {node, update(hardware), fail(error)}. */
export function hardwarePanel() {
  const required = badge('Hardware required', 'accent', true);
  const trouble = h('div', { class: 'hardware-trouble' });
  const meters = h('div', { class: 'meters' });
  const choices = table({
    label: 'What was chosen',
    keyOf: (choice) => `${choice.direction} ${choice.codec}`,
    emptyText: 'Nothing is chosen before the probe is done.',
    columns: [
      { label: 'Codec', text: (choice) => format.codec(choice.codec) },
      { label: 'Direction', text: (choice) => DIRECTIONS[choice.direction ?? 'encode'] },
      { label: 'Done by', badge: (choice) => (choice.backend ? [format.backend(choice.backend), choice.backend === 'software' ? 'neutral' : 'ok'] : ['Nothing', 'neutral', choice.error]) },
      { label: 'Implementation', class: 'mono', text: (choice) => choice.implementation ?? format.NONE },
      { label: 'Device', class: 'cell-note', text: (choice) => choice.device ?? choice.error ?? format.NONE },
    ],
  });
  const devices = h('div', { class: 'devices' });
  const probing = h('p', { class: 'muted panel-body', text: 'The probe is running…' });
  const node = h(
    'section',
    { class: 'panel' },
    h('div', { class: 'panel-head' }, h('h2', { text: 'Hardware' }), required),
    trouble,
    meters,
    h('h3', { class: 'panel-part', text: 'What was chosen' }),
    choices.node,
    h('h3', { class: 'panel-part', text: 'Devices, as probed' }),
    probing,
    devices,
  );

  return {
    node,
    update(hardware) {
      drawTrouble(trouble, hardware);
      required.hidden = !hardware.require_hardware;
      drawMeters(meters, hardware);
      choices.update([...hardware.choices].sort((a, b) => rank(a) - rank(b)));
      probing.hidden = Boolean(hardware.probe) || Boolean(hardware.error);
      reconcile(devices, hardware.probe?.devices ?? [], (d) => `${d.backend} ${d.id}`, createDevice, updateDevice);
    },
    fail(error) {
      trouble.dataset.shown = '';
      fill(trouble, notice('bad', 'Not up to date.', error.message));
    },
  };
}

/** Drawn anew only where the words change. */
function drawTrouble(host, { error, choices }) {
  const found = [
    ...(error ? [['bad', 'The probe failed.', error]] : []),
    ...choices.flatMap((choice) => (choice.fallbacks ?? []).map((f) => [
      'warn',
      `${DIRECTIONS[choice.direction]} ${format.codec(choice.codec)}: ${format.backend(f.from)} gave way to ${format.backend(f.to)}.`,
      f.reason,
    ])),
  ];
  const key = JSON.stringify(found);
  if (host.dataset.shown === key) return;
  host.dataset.shown = key;
  fill(host, found.map(([kind, title, text]) => notice(kind, title, text)));
}

/** Encoders first: they are what runs short. */
const rank = (choice) => (choice.direction === 'decode' ? 1 : 0) + (choice.backend ? 0 : 2);

function drawMeters(host, { budget, gpus }) {
  const parts = [
    ...budget.map((b) => ({ key: `b ${b.resource}`, label: b.resource, ratio: b.capacity > 0 ? b.used / b.capacity : 0, text: `${format.amount(b.used)} of ${format.amount(b.capacity)} ${b.unit}` })),
    // A GPU without encoders has no use of them to show.
    ...gpus.flatMap((gpu) => [
      ['GPU', gpu.gpu_ratio, format.percent(gpu.gpu_ratio)],
      ['encoder', gpu.encoder_ratio, format.percent(gpu.encoder_ratio)],
      ['decoder', gpu.decoder_ratio, format.percent(gpu.decoder_ratio)],
      ['memory', gpu.memory_used_bytes / gpu.memory_total_bytes, `${format.bytes(gpu.memory_used_bytes)} of ${format.bytes(gpu.memory_total_bytes)}`],
    ].filter(([, ratio]) => Number.isFinite(ratio)).map(([label, ratio, text]) => ({ key: `g ${gpu.index} ${label}`, label: `${gpu.name} ${gpu.index} ${label}`, ratio, text }))),
  ];
  host.hidden = parts.length === 0;
  reconcile(host, parts, (part) => part.key, createMeter, updateMeter);
}

function createMeter() {
  return h(
    'div',
    { class: 'meter' },
    h('div', { class: 'meter-text' }, h('span', {}), h('span', { class: 'num muted' })),
    h('div', { class: 'meter-track', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '100' }, h('span', {})),
  );
}

function updateMeter(node, { label, ratio, text }) {
  const [words, track] = node.children;
  const part = Math.min(1, Math.max(0, ratio));
  setText(words.firstElementChild, label);
  setText(words.lastElementChild, text);
  setAttribute(track, 'aria-label', label);
  setAttribute(track, 'aria-valuenow', Math.round(part * 100));
  setAttribute(track, 'aria-valuetext', text);
  track.dataset.kind = ratio >= 0.95 ? 'bad' : ratio >= 0.8 ? 'warn' : 'ok';
  track.firstElementChild.style.transform = `scaleX(${part.toFixed(3)})`;
}

const entryTables = new WeakMap();

function createDevice(device) {
  const entries = table({
    label: `What ${device.name} can do`,
    keyOf: (entry) => `${entry.codec} ${entry.direction} ${entry.implementation}`,
    emptyText: 'Nothing was found on this device.',
    columns: [
      { label: 'Codec', text: (entry) => format.codec(entry.codec) },
      { label: 'Direction', text: (entry) => DIRECTIONS[entry.direction] ?? entry.direction },
      { label: 'Implementation', class: 'mono', text: (entry) => entry.implementation },
      { label: 'Result', badge: (entry) => (entry.works ? ['Works', 'ok'] : ['Doesn’t work', 'neutral']) },
      { label: 'Speed', num: true, text: (entry) => (entry.megapixels_per_second === null ? format.NONE : `${Math.round(entry.megapixels_per_second)} Mpx/s`) },
      { label: 'Why not', class: 'cell-note', text: (entry) => entry.reason || format.NONE },
    ],
  });
  const node = h(
    'details',
    { class: 'device' },
    h('summary', {}, h('strong', {}), h('span', { class: 'muted' }), h('span', { class: 'device-count' })),
    entries.node,
  );
  entryTables.set(node, entries);
  return node;
}

function updateDevice(node, device) {
  const [name, about, tally] = node.firstElementChild.children;
  const works = device.entries.filter((entry) => entry.works).length;
  setText(name, device.name || device.id);
  setText(about, [format.backend(device.backend), device.id, device.driver].filter(Boolean).join(' · '));
  setText(tally, `${works} of ${device.entries.length} work`);
  entryTables.get(node).update(device.entries);
}
