// Where a plot's ticks stand, and how its figures are written. Pure.

import * as format from '../format.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Steps between ticks: milliseconds up to half a day, then days. */
const TIMES = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];
const DAYS = [1, 2, 7, 14, 30, 90, 365];

/** Round figures from 0 to at least `top`: `count` of them, about. */
export function valueTicks(top, count = 4) {
  if (!(top > 0)) return [0, 1];
  const rough = top / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const ticks = [];
  for (let at = 0; ticks.length < 20; at += 1) {
    ticks.push(Number((at * step).toPrecision(12)));
    if (at * step >= top * 0.999) break;
  }
  return ticks;
}

/** Round local times within: {at, text}, no more than `most`. Hours that the clock skips or has twice included. */
export function timeTicks(from, to, most) {
  const rough = (to - from) / Math.max(1, most);
  const step = TIMES.find((s) => s >= rough);
  return step ? within(from, to, step) : days(from, to, DAYS.find((d) => d * 24 * HOUR >= rough) ?? 730);
}

function within(from, to, step) {
  const ticks = [];
  const start = new Date(from);
  start.setHours(0, 0, 0, 0);
  // Counted from local midnight by the wall's clock, so that labels stay round when it changes.
  for (let day = start; day <= to; day = nextDay(day, 1)) {
    for (let ms = 0; ms < 24 * HOUR; ms += step) {
      const at = new Date(day.getFullYear(), day.getMonth(), day.getDate(), 0, 0, 0, ms).getTime();
      if (at >= from && at <= to && at > (ticks.at(-1)?.at ?? -1)) ticks.push({ at, text: ms === 0 ? dayText(at) : clockText(at) });
    }
  }
  return ticks;
}

function days(from, to, step) {
  const ticks = [];
  const start = new Date(from);
  start.setHours(0, 0, 0, 0);
  for (let day = start; day <= to; day = nextDay(day, step)) {
    if (day >= from) ticks.push({ at: day.getTime(), text: dayText(day) });
  }
  return ticks;
}

const nextDay = (day, count) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + count);
const dayText = (at) => new Date(at).toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
const clockText = (at) => new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

/** A moment in words, with the offset from UTC where it isn't plain. */
export function moment(at, stepMs) {
  const day = stepMs >= 24 * HOUR;
  return new Date(at).toLocaleString(undefined, {
    weekday: 'short', day: 'numeric', month: 'short', year: 'numeric',
    ...(!day && { hour: '2-digit', minute: '2-digit', timeZoneName: 'short' }),
  });
}

const UNITS = {
  count: ['', (value) => (Number.isInteger(value) ? format.count(value) : format.decimal(value, value < 10 ? 2 : 1))],
  ratio: ['%', (value) => format.percent(value)],
  milliseconds: ['ms', (value) => (value >= 10_000 ? `${format.decimal(value / 1000)} s` : format.milliseconds(value))],
  seconds: ['', (value) => format.duration(value)],
  bits_per_second: ['', (value) => format.bitrate(value)],
  pixels: ['px', (value) => `${Math.round(value)} px`],
};

/** A figure of a report's column. */
export function figure(value, unit) {
  if (value === null || value === undefined) return format.NONE;
  return UNITS[unit] ? UNITS[unit][1](value) : String(value);
}

/** What stands beside an axis. */
export const unitName = (unit) => ({ count: 'how many', ratio: 'share', milliseconds: 'milliseconds', seconds: 'time', bits_per_second: 'bits a second', pixels: 'pixels' }[unit] ?? '');
