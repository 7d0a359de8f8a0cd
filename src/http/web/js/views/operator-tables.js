// The tables of one channel.

import * as format from '../format.js';
import { RENDITION_STATES } from '../model.js';
import { button } from '../ui/parts.js';
import { table } from '../ui/table.js';
import { endViewer } from './channel-actions.js';

export function renditionTable() {
  return table({
    label: 'Renditions',
    keyOf: (r) => `${r.name} ${r.codec}`,
    emptyText: 'No renditions before the source has sent something.',
    columns: [
      { label: 'Name', class: 'is-strong', text: (r) => r.name },
      { label: 'State', badge: (r) => [...(RENDITION_STATES[r.state] ?? [r.state, 'neutral']), r.error] },
      { label: 'Codec', text: (r) => format.codec(r.codec) },
      { label: 'Picture', text: (r) => [format.resolution(r.resolution), r.frame_rate && format.frameRate(r.frame_rate)].filter(Boolean).join(' · ') },
      { label: 'Target', num: true, text: (r) => format.bitrate(r.bitrate || null) },
      { label: 'Measured', num: true, text: (r) => format.bitrate(r.measured_bitrate) },
      { label: 'Made by', text: madeBy },
      { label: 'Encoding', num: true, text: (r) => (r.pass_through ? format.NONE : format.milliseconds(r.encode_ms)) },
      { label: 'Viewers', num: true, text: (r) => format.count(r.viewers) },
    ],
  });
}

export function viewerTable(channel, changed) {
  return table({
    label: 'Viewers',
    keyOf: (v) => v.session,
    emptyText: 'Nobody watches right now.',
    columns: [
      { label: 'From', class: 'mono', text: (v) => v.address ?? 'connecting' },
      { label: 'State', badge: (v) => (v.connected ? ['Connected', 'ok'] : ['Connecting', 'accent']) },
      { label: 'Rendition', text: (v) => `${v.rendition ?? format.NONE}${v.auto ? ' (auto)' : ''}` },
      { label: 'Watching', num: true, text: (v) => format.duration(v.seconds) },
      { label: 'Average', num: true, text: (v) => (v.seconds >= 1 ? format.bitrate((v.bytes * 8) / v.seconds) : format.NONE) },
      { label: 'Estimate', num: true, text: (v) => format.bitrate(v.estimate) },
      { label: 'Loss', num: true, text: (v) => format.percent(v.lost_fraction) },
      { label: 'Round trip', num: true, text: (v) => format.milliseconds(v.round_trip_ms) },
      { label: 'Resent', num: true, text: (v) => format.count(v.retransmissions) },
      {
        label: 'Actions',
        hidden: true,
        class: 'is-actions',
        create(cell, viewer) {
          cell.append(button(`End the session from ${viewer.address ?? 'this viewer'}`, { icon: 'close', kind: 'quiet', small: true, hideLabel: true, on: { click: () => endViewer(channel, viewer, changed) } }));
        },
      },
    ],
  });
}

export function fallbackTable() {
  return table({
    label: 'Fall-backs',
    keyOf: (f) => `${f.at} ${f.rendition} ${f.from} ${f.to}`,
    emptyText: 'None: everything runs where it was meant to.',
    columns: [
      { label: 'When', class: 'num', text: (f) => format.time(f.at) },
      { label: 'Rendition', text: (f) => f.rendition ?? 'all' },
      { label: 'Change', badge: (f) => [`${format.backend(f.from)} → ${format.backend(f.to)}`, 'warn'] },
      { label: 'Reason', text: (f) => f.reason },
    ],
  });
}

function madeBy(rendition) {
  if (rendition.pass_through) return 'Passed through';
  return [rendition.backend && format.backend(rendition.backend), rendition.encoder].filter(Boolean).join(' · ') || format.NONE;
}
