// Every channel on one line.

import { h, reconcile, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { channelState, formatLine, RENDITION_STATES, sourceAddress } from '../model.js';
import { link } from '../router.js';
import { badge, button, setBadge } from '../ui/parts.js';
import { table } from '../ui/table.js';
import { changeChannel, removeChannel } from './channel-actions.js';

/** `changed()` is called after a change, to ask again. Gives {node, update(channels)}. */
export function channelTable({ changed }) {
  return table({
    label: 'Channels',
    keyOf: (channel) => channel.name,
    emptyText: 'No channels yet. Make one with “New channel”.',
    columns: [
      { label: 'Channel', create: nameCell },
      { label: 'State', create: stateCell },
      { label: 'Source', create: sourceCell },
      { label: 'Renditions', create: renditionCell },
      { label: 'Viewers', num: true, text: (channel) => format.count(channel.viewers) },
      { label: 'Latency', num: true, text: (channel) => format.milliseconds(channel.latency_ms) },
      { label: 'Restarts', num: true, text: (channel) => format.count(channel.worker.restarts) },
      { label: 'Actions', hidden: true, class: 'is-actions', create: (cell, channel) => actionCell(cell, channel, changed) },
    ],
  });
}

function nameCell(cell, channel) {
  cell.append(h('a', { class: 'strong-link', href: link.operator(channel.name), text: channel.name }));
}

function stateCell(cell) {
  const mark = badge('', 'neutral');
  const detail = h('p', { class: 'cell-note' });
  cell.append(mark, detail);
  return (channel) => {
    const state = channelState(channel);
    setBadge(mark, state.text, state.kind);
    setText(detail, state.kind === 'ok' ? '' : state.detail);
  };
}

function sourceCell(cell) {
  const first = h('span', {});
  const second = h('p', { class: 'cell-note' });
  cell.append(first, second);
  return (channel) => {
    setText(first, [format.sourceKind(channel.source.kind), formatLine(channel)].filter(Boolean).join(' · '));
    setText(second, sourceAddress(channel.source));
  };
}

function renditionCell(cell) {
  const list = h('ul', { class: 'chips' });
  cell.append(list);
  return (channel) => reconcile(list, channel.renditions, (r) => `${r.name} ${r.codec}`, () => h('li', { class: 'chip' }), (chip, r) => {
    const [text, kind] = RENDITION_STATES[r.state] ?? [r.state, 'neutral'];
    setText(chip, `${r.name}${r.codec === 'h264' ? '' : ` ${format.codec(r.codec)}`}`);
    setAttribute(chip, 'data-kind', kind);
    setAttribute(chip, 'title', [text, r.pass_through ? 'passed through' : r.encoder, r.error].filter(Boolean).join(' · '));
    setAttribute(chip, 'aria-label', `${chip.textContent}: ${text}`);
  });
}

function actionCell(cell, channel, changed) {
  let current = channel;
  const watch = button(`Watch ${channel.name}`, { icon: 'play', kind: 'quiet', small: true, hideLabel: true, href: link.watch(channel.name) });
  const edit = button(`Change ${channel.name}`, { icon: 'edit', kind: 'quiet', small: true, hideLabel: true, on: { click: () => changeChannel(current, changed) } });
  const remove = button(`Delete ${channel.name}`, { icon: 'trash', kind: 'quiet', small: true, hideLabel: true, on: { click: () => removeChannel(current, changed) } });
  cell.append(h('div', { class: 'row-actions' }, watch, edit, remove));
  return (next) => {
    current = next;
    edit.hidden = next.static;
    remove.hidden = next.static;
  };
}
