// Figures as text. Pure; a missing figure is an en dash, so that columns keep their width.

export const NONE = '–';

const CODECS = { h264: 'H.264', h265: 'H.265', vp8: 'VP8', vp9: 'VP9', av1: 'AV1', opus: 'Opus', aac: 'AAC' };
const BACKENDS = { nvenc: 'NVENC', vaapi: 'VAAPI', software: 'Software' };
const SOURCES = { whip: 'Browser camera', rtsp: 'RTSP', srt: 'SRT', file: 'File', synthetic: 'Synthetic' };

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

/** The server's words, which begin in lower case and have no full stop, as a sentence. */
export function sentence(text) {
  if (!text) return '';
  const end = /[.!?]$/.test(text) ? '' : '.';
  return text[0].toUpperCase() + text.slice(1) + end;
}

/** Bits per second. */
export function bitrate(bps) {
  if (missing(bps)) return NONE;
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(bps >= 1e8 ? 0 : bps >= 1e7 ? 1 : 2)} Mb/s`;
  return `${Math.round(bps / 1e3)} kb/s`;
}

export function bytes(count) {
  if (missing(count)) return NONE;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function milliseconds(ms) {
  if (missing(ms)) return NONE;
  return `${ms > 0 && ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** A ratio of 0 to 1. */
export function percent(ratio) {
  if (missing(ratio)) return NONE;
  const value = ratio * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

export function count(value) {
  return missing(value) ? NONE : value.toLocaleString('en');
}

export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Seconds as the two largest units. */
export function duration(seconds) {
  if (missing(seconds)) return NONE;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Running time as a clock. */
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  return `${hours ? `${hours}:` : ''}${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
}

/** `{width, height}`. */
export function resolution(size) {
  return size?.width && size?.height ? `${size.width}×${size.height}` : NONE;
}

/** Frames per second from a number or `{numerator, denominator}`. */
export function frameRate(rate) {
  if (missing(rate)) return NONE;
  const value = typeof rate === 'number' ? rate : rate.numerator / rate.denominator;
  return `${Number(value.toFixed(2))} fps`;
}

export function decimal(value, digits = 1) {
  return missing(value) ? NONE : value.toFixed(digits);
}

export const codec = (name) => (name ? CODECS[name] ?? name.toUpperCase() : NONE);
export const backend = (name) => (name ? BACKENDS[name] ?? name : NONE);
export const sourceKind = (kind) => SOURCES[kind] ?? kind;

/** A plain figure of any size, with three digits at least. */
export function amount(value) {
  if (missing(value)) return NONE;
  return Math.abs(value) >= 100 ? count(Math.round(value)) : decimal(value);
}

/** A date-time as local time of day, with the date where it isn't today. */
export function time(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return NONE;
  const day = at.toDateString() === new Date().toDateString() ? '' : `${at.toLocaleDateString()} `;
  return day + at.toLocaleTimeString();
}

/** Milliseconds since 1970 as hours and minutes, with the date where it isn't today. */
export function moment(ms) {
  const at = new Date(ms);
  const day = at.toDateString() === new Date().toDateString() ? '' : `${at.toLocaleDateString([], { day: 'numeric', month: 'short', year: 'numeric' })}, `;
  return day + at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
