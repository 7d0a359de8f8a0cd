// What the API's fields mean to a person. Pure.

import * as format from './format.js';

/** A channel's state in one word: {text, kind, detail}. */
export function channelState(channel) {
  const detail = channel.reason || channel.source_detail || '';
  if (channel.state === 'refused') return { text: 'Refused', kind: 'bad', detail };
  if (channel.state === 'restarting') return { text: 'Restarting', kind: 'warn', detail };
  if (channel.state === 'starting') return { text: 'Starting', kind: 'neutral', detail };
  return {
    live: { text: 'Live', kind: 'ok', detail },
    lost: { text: 'Slate', kind: 'warn', detail: detail || 'The source is gone; the slate is shown.' },
    connecting: { text: 'Connecting', kind: 'warn', detail },
    waiting: { text: 'Waiting', kind: 'neutral', detail: detail || 'Nobody sends yet.' },
  }[channel.source_state] ?? { text: 'Starting', kind: 'neutral', detail };
}

/** What the source sends, as a line such as "1280×720 · 30 fps · H.264"; empty where unknown. */
export function formatLine(channel) {
  const video = channel.format?.video;
  const audio = channel.format?.audio;
  const parts = [];
  if (video) {
    parts.push(format.resolution(video.resolution));
    if (video.frame_rate) parts.push(format.frameRate(video.frame_rate));
    parts.push(format.codec(video.codec));
  }
  if (audio && !video) parts.push(format.codec(audio.codec), 'audio only');
  return parts.join(' · ');
}

/** Where a source sends from, without secrets: an address, a path, or nothing. */
export function sourceAddress(source) {
  switch (source.kind) {
    case 'rtsp': return source.url;
    case 'srt': return `${source.mode} ${source.address}`;
    case 'file': return source.path;
    case 'synthetic': return '';
    default: return source.second_publisher === 'take_over' ? 'newest publisher wins' : 'one publisher at a time';
  }
}

export const RENDITION_STATES = {
  idle: ['Idle', 'neutral'],
  starting: ['Starting', 'accent'],
  running: ['Running', 'ok'],
  failed: ['Failed', 'bad'],
};

/** The distinct rendition names of a channel, largest picture first. */
export function renditionNames(channel) {
  const seen = new Map();
  for (const rendition of channel?.renditions ?? []) {
    if (!seen.has(rendition.name)) seen.set(rendition.name, rendition);
  }
  return [...seen.values()].sort((a, b) => b.resolution.height - a.resolution.height || b.bitrate - a.bitrate);
}

/** Everything that an operator must not miss: {kind, channel, title, text}. */
export function alerts(channels, hardware) {
  const found = [];
  if (hardware?.error) found.push({ kind: 'bad', title: 'The hardware probe failed.', text: hardware.error });
  for (const channel of channels ?? []) {
    if (channel.state === 'refused') {
      found.push({ kind: 'bad', channel: channel.name, title: `${channel.name} is refused.`, text: channel.reason ?? '' });
    }
    for (const rendition of channel.renditions) {
      if (rendition.state !== 'failed') continue;
      const title = `${channel.name}: ${rendition.name} (${format.codec(rendition.codec)}) failed.`;
      found.push({ kind: 'bad', channel: channel.name, title, text: rendition.error ?? '' });
    }
    const fallback = channel.fallbacks.at(-1);
    if (fallback) {
      const what = fallback.rendition ? ` for ${fallback.rendition}` : '';
      const times = channel.fallbacks.length > 1 ? ` (${channel.fallbacks.length} fall-backs so far)` : '';
      const title = `${channel.name} fell back from ${format.backend(fallback.from)} to ${format.backend(fallback.to)}${what}.`;
      found.push({ kind: 'warn', channel: channel.name, title, text: `${fallback.reason}${times}` });
    }
    if (channel.source_state === 'lost') {
      found.push({ kind: 'warn', channel: channel.name, title: `${channel.name} has lost its source.`, text: channel.source_detail });
    }
  }
  return found.sort((a, b) => (a.kind === 'bad' ? 0 : 1) - (b.kind === 'bad' ? 0 : 1));
}
