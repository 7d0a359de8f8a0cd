// What happened: users, calls, their set-up, quality and drops, viewers, over a time that one picks.

import { api } from '../api.js';
import { fill, h, setText } from '../dom.js';
import { poll } from '../poll.js';
import { session } from '../session.js';
import { button, notice, pageHead } from '../ui/parts.js';
import { figure } from '../ui/scale.js';
import { plot } from '../ui/plot.js';
import { toast } from '../ui/toast.js';
import { rangePicker } from './analytics-range.js';
import { reportTable } from './analytics-tables.js';

const REFRESH_MS = 30_000;

/** Plots: their report, the columns of it (all others of numbers where none are named), and how they are drawn. */
const PLOTS = [
  { title: 'Users', report: 'users' },
  { title: 'Calls', report: 'calls', columns: ['started', 'answered', 'ended'] },
  { title: 'Calls at once', report: 'concurrency', columns: ['calls_mean', 'calls_peak'] },
  { title: 'Viewers at once', report: 'concurrency', columns: ['viewers_mean', 'viewers_peak'] },
  { title: 'Call set-up: success', report: 'set-up', columns: ['success'] },
  { title: 'Call set-up: time', report: 'set-up', columns: ['set_up_p50', 'set_up_p95'] },
  { title: 'Without an answer', report: 'unanswered', kind: 'columns' },
  { title: 'Drops by cause', report: 'drops', kind: 'columns' },
  { title: 'Mesh, relayed, server', report: 'ways', columns: ['mesh', 'relayed', 'server'], kind: 'columns' },
  { title: 'Configuration changes', report: 'configurations', kind: 'columns' },
  { title: 'Bit rate received', report: 'quality', columns: ['bitrate'] },
  { title: 'Height of pictures received', report: 'quality', columns: ['height'] },
  { title: 'Time frozen, packets lost', report: 'quality', columns: ['frozen', 'loss'] },
  { title: 'Round trip', report: 'quality', columns: ['round_trip'] },
  { title: 'Viewers by channel', report: 'viewers', kind: 'columns' },
  { title: 'Sizes of pictures received', report: 'sizes', kind: 'columns' },
  { title: 'Codecs agreed on', report: 'codecs', kind: 'columns' },
];

const TABLES = [
  { title: 'Quality', reports: [['quality-by-country', 'Country'], ['quality-by-device', 'Device'], ['quality-by-network', 'Network'], ['quality-by-browser', 'Browser']] },
  { title: 'Channels and renditions', reports: [['renditions', 'Viewers'], ['channels', 'Events']] },
];

export function mount({ root, signal }) {
  if (!session.canAnalyse) {
    fill(root, pageHead('Analytics'), notice('warn', 'This page is for operators.', 'Sign in with a token that has the role admin or analytics.'));
    return;
  }
  const trouble = h('div', { class: 'alerts' });
  const tiles = h('dl', { class: 'tiles' });
  const range = rangePicker({ changed: () => ask() });
  const query = (report) => range.query(report);
  const plots = PLOTS.map((one) => plotPanel(one, query, signal));
  const tables = TABLES.map((one) => reportTable(one, { query, save, ask: (report) => api.report(report, query(report), signal) }));
  fill(
    root,
    pageHead('Analytics', { subtitle: h('p', { text: 'What events add up to. Times are this device’s.' }) }),
    range.node,
    trouble,
    tiles,
    h('div', { class: 'plots' }, plots.map(({ node }) => node)),
    tables.map(({ node }) => node),
  );

  const ask = poll(async (s) => {
    const names = new Set(['totals', ...PLOTS.map(({ report }) => report), ...tables.map((table) => table.report)]);
    const found = new Map();
    // A few at a time: the server answers no more at once.
    for (const name of names) found.set(name, await api.report(name, query(name), s));
    drawTiles(tiles, found.get('totals'));
    plots.forEach((one) => one.update(found.get(one.report)));
    tables.forEach((one) => one.update(found.get(one.report)));
    fill(trouble);
  }, { intervalMs: REFRESH_MS, signal, onError: (error) => fill(trouble, notice('bad', 'Not up to date.', error.message)) });
}

function drawTiles(host, table) {
  const [row] = table.rows;
  if (host.childElementCount !== table.columns.length) {
    fill(host, table.columns.map(({ title }) => h('div', { class: 'tile' }, h('dt', { text: title }), h('dd', { class: 'num' }))));
  }
  table.columns.forEach(({ unit }, at) => setText(host.children[at].lastElementChild, figure(row[at], unit)));
}

function plotPanel({ title, report, columns, kind }, query, signal) {
  const picture = plot({ label: title, kind, signal });
  const more = button(`Export ${title} as CSV`, { icon: 'download', kind: 'quiet', small: true, hideLabel: true, on: { click: () => save(report, query(report)) } });
  const node = h('section', { class: 'panel' }, h('div', { class: 'panel-head' }, h('h2', { text: title }), more), picture.node);
  return {
    node,
    report,
    update(table) {
      const shown = table.columns.map((column, at) => ({ ...column, at })).filter(({ key, unit }) => unit !== 'time' && (!columns || columns.includes(key)));
      picture.update({
        times: table.rows.map((row) => Date.parse(row[0])),
        stepMs: table.step_seconds * 1000,
        unit: shown[0]?.unit ?? 'count',
        series: shown.map(({ title: name, at }) => ({ title: name.replaceAll('_', ' '), values: table.rows.map((row) => row[at]) })),
      });
    },
  };
}

/** The report as a file, for a spreadsheet. */
async function save(report, query) {
  try {
    const link = h('a', { href: URL.createObjectURL(await api.reportFile(report, query)), download: `stentor-${report}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    toast(error.message, 'bad');
  }
}
