// A plot over time, drawn as SVG: lines or stacked columns, axes with units, a legend, and figures
// under the pointer or the arrow keys.

import { fill, h, setText } from '../dom.js';
import { figure, moment, timeTicks, unitName, valueTicks } from './scale.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';
const HEIGHT = 220;
const EDGE = { top: 10, right: 12, bottom: 26, left: 80 };
/** Colours that there are; further series begin anew. */
const COLOURS = 8;

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter(Boolean));
  return element;
}

/**
 * `kind`: lines or columns. Gives {node, update({times, stepMs, unit, series: [{title, values}]})};
 * a value may be null. `signal` ends it.
 */
export function plot({ label, kind = 'lines', signal }) {
  const svg = s('svg', { class: 'plot-picture', tabindex: '0', role: 'img' });
  const tip = h('div', { class: 'plot-tip', hidden: true });
  const spoken = h('p', { class: 'visually-hidden', role: 'status' });
  const legend = h('ul', { class: 'plot-legend' });
  const none = h('p', { class: 'plot-none muted', text: 'Nothing in this time.' });
  const stage = h('div', { class: 'plot-stage' }, svg, tip, none);
  const node = h('div', { class: 'plot' }, stage, legend, spoken);
  let data = null;
  let frame = null;
  let at = null;

  function draw() {
    const width = stage.clientWidth;
    if (!data || width < 80) return;
    const { times, stepMs, unit, series } = data;
    const shown = series.filter(({ values }) => values.some((value) => value !== null));
    const isEmpty = shown.length === 0 || (kind === 'columns' && shown.every(({ values }) => values.every((value) => !value)));
    none.hidden = !isEmpty;
    svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute('height', HEIGHT);
    svg.setAttribute('aria-label', summary(label, data));
    const from = times[0] ?? 0;
    const to = (times.at(-1) ?? 0) + stepMs;
    const ticks = unit === 'ratio' && kind === 'columns' ? [0, 0.25, 0.5, 0.75, 1] : valueTicks(top(shown, times.length));
    const x = (time) => EDGE.left + ((time - from) / (to - from || 1)) * (width - EDGE.left - EDGE.right);
    const y = (value) => HEIGHT - EDGE.bottom - (value / (ticks.at(-1) || 1)) * (HEIGHT - EDGE.top - EDGE.bottom);
    frame = { x, y, width };
    const mark = s('g', { class: 'plot-mark' });
    svg.replaceChildren(
      axes(ticks, timeTicks(from, to, (width - EDGE.left) / 90), unit, frame),
      ...(kind === 'columns' ? columns(series, times, stepMs, frame) : series.map((one, index) => line(one, index, times, stepMs, frame))),
      mark,
    );
    point(at);
  }

  function top(shown, steps) {
    if (kind !== 'columns') return Math.max(0, ...shown.flatMap(({ values }) => values));
    return Math.max(0, ...Array.from({ length: steps }, (_, step) => shown.reduce((sum, { values }) => sum + (values[step] ?? 0), 0)));
  }

  /** Shows a step's figures; null: none. */
  function point(step) {
    at = step;
    const mark = svg.querySelector('.plot-mark');
    tip.hidden = step === null || !data?.times.length;
    mark?.replaceChildren();
    if (tip.hidden || !frame) return;
    const { times, stepMs, unit, series } = data;
    const x = frame.x(times[step] + stepMs / 2);
    mark.append(s('line', { x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
    series.forEach(({ values }, index) => {
      if (kind === 'columns' || values[step] === null) return;
      mark.append(s('circle', { cx: x, cy: frame.y(values[step]), r: 3.5, 'data-colour': index % COLOURS }));
    });
    fill(
      tip,
      h('p', { class: 'plot-tip-time', text: moment(times[step], stepMs) }),
      h('ul', {}, series.filter(({ values }) => kind !== 'columns' || values[step]).map((one) => h(
        'li',
        {},
        h('span', { class: 'plot-swatch', dataset: { colour: series.indexOf(one) % COLOURS } }),
        h('span', { text: one.title }),
        h('span', { class: 'num', text: figure(one.values[step], unit) }),
      ))),
    );
    const room = stage.clientWidth - tip.offsetWidth - 4;
    tip.style.left = `${Math.max(4, Math.min(room, x + (x > frame.width / 2 ? -tip.offsetWidth - 12 : 12)))}px`;
  }

  function speak() {
    if (at === null) return;
    const { times, stepMs, unit, series } = data;
    setText(spoken, `${moment(times[at], stepMs)}: ${series.map(({ title, values }) => `${title} ${figure(values[at], unit)}`).join(', ')}`);
  }

  svg.addEventListener('pointermove', (event) => {
    if (!frame || !data.times.length) return;
    const inside = (event.clientX - svg.getBoundingClientRect().left - EDGE.left) / (frame.width - EDGE.left - EDGE.right);
    point(Math.max(0, Math.min(data.times.length - 1, Math.floor(inside * data.times.length))));
  });
  svg.addEventListener('pointerleave', () => point(null));
  svg.addEventListener('blur', () => point(null));
  svg.addEventListener('keydown', (event) => {
    if (!data?.times.length) return;
    const last = data.times.length - 1;
    const wide = Math.max(1, Math.round(last / 10));
    const to = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, PageUp: (at ?? last) - wide, PageDown: (at ?? 0) + wide, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    point(to === null ? null : Math.max(0, Math.min(last, to)));
    speak();
  });
  const watcher = new ResizeObserver(draw);
  watcher.observe(stage);
  signal.addEventListener('abort', () => watcher.disconnect(), { once: true });

  return {
    node,
    update(next) {
      data = next;
      if (at !== null && at >= next.times.length) at = null;
      fill(legend, next.series.map(({ title }, index) => h('li', {}, h('span', { class: 'plot-swatch', dataset: { colour: index % COLOURS } }), title)));
      draw();
    },
  };
}

/** What is seen, in a sentence. */
function summary(label, { times, stepMs, unit, series }) {
  const most = series.map(({ title, values }) => `${title} ${figure(values.reduce((a, b) => (b === null || (a !== null && a >= b) ? a : b), null), unit)} at most`);
  const span = times.length ? `, from ${moment(times[0], stepMs)} to ${moment(times.at(-1) + stepMs, stepMs)}` : '';
  return `${label}${span}. ${most.join(', ')}. Arrow keys read the figures.`;
}

function axes(values, times, unit, { x, y, width }) {
  const group = s('g', { class: 'plot-axes' });
  for (const value of values) {
    const at = Math.round(y(value)) + 0.5;
    group.append(s('line', { x1: EDGE.left, x2: width - EDGE.right, y1: at, y2: at }), s('text', { x: EDGE.left - 8, y: at + 4, 'text-anchor': 'end' }, figure(value, unit)));
  }
  for (const { at, text } of times) {
    const place = Math.round(x(at)) + 0.5;
    group.append(s('line', { class: 'plot-tick', x1: place, x2: place, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom + 5 }));
    if (place > EDGE.left + 10 && place < width - 24) group.append(s('text', { x: place, y: HEIGHT - 8, 'text-anchor': 'middle' }, text));
  }
  const name = s('text', { class: 'plot-unit', x: 10, y: HEIGHT / 2 - 8, 'text-anchor': 'middle', transform: `rotate(-90 10 ${HEIGHT / 2 - 8})` }, unitName(unit));
  group.append(name);
  return group;
}

/** Broken where there is no value; a value with none beside it is a point. */
function line({ values }, index, times, stepMs, { x, y }) {
  const group = s('g', { class: 'plot-line', 'data-colour': index % COLOURS });
  let path = '';
  values.forEach((value, step) => {
    if (value === null) return;
    const place = `${x(times[step] + stepMs / 2).toFixed(1)} ${y(value).toFixed(1)}`;
    const begins = step === 0 || values[step - 1] === null;
    path += `${begins ? 'M' : 'L'}${place}`;
    if (begins && (values[step + 1] ?? null) === null) group.append(s('circle', { cx: place.split(' ')[0], cy: place.split(' ')[1], r: 2.5 }));
  });
  group.prepend(s('path', { d: path }));
  return group;
}

function columns(series, times, stepMs, { x, y }) {
  const base = times.map(() => 0);
  const wide = times.length ? x(times[0] + stepMs) - x(times[0]) : 0;
  const gap = wide > 4 ? 1 : 0;
  return series.map(({ values }, index) => {
    let path = '';
    values.forEach((value, step) => {
      if (!value) return;
      const [low, high] = [y(base[step]), y(base[step] + value)];
      base[step] += value;
      path += `M${(x(times[step]) + gap / 2).toFixed(1)} ${low.toFixed(1)}V${high.toFixed(1)}h${Math.max(0.5, wide - gap).toFixed(1)}V${low.toFixed(1)}z`;
    });
    return s('path', { class: 'plot-column', 'data-colour': index % COLOURS, d: path });
  });
}
