// A log of events as a daemon leaves it: a day with calls, viewers and reports.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const MINUTE = 60_000;
const VIDEO = { codec: 'h264', resolution: { width: 1280, height: 720 }, frame_rate: 30, bitrate_bps: 2_000_000 };

/** Writes the log below a state folder; gives how many calls were begun. `now` is when it ends. */
export function writeLog(state, now = Date.now()) {
  const events = [];
  const add = (at, type, subject, data = {}, cause) => events.push({ at, type, subject, data, cause });
  let calls = 0;
  for (let minute = 24 * 60; minute > 0; minute -= 10) {
    const at = now - minute * MINUTE;
    // More towards the evening.
    const busy = 1 + Math.round(4 * Math.sin((Math.PI * (1440 - minute)) / 1440));
    for (let n = 0; n < busy; n += 1) {
      calls += 1;
      oneCall(add, at + n * 7000, calls);
    }
    for (let n = 0; n < busy * 2; n += 1) {
      const subject = { channel: n % 3 ? 'news' : 'sport' };
      const session = `v${minute}-${n}`;
      const rendition = n % 2 ? '720p' : '360p';
      add(at + n * 1000, 'viewer.joined', subject, { session, rendition, location: { country: n % 2 ? 'DE' : 'FR' } });
      add(at + n * 1000 + 15 * MINUTE, 'viewer.left', subject, { session, rendition, lasted_ms: 15 * MINUTE }, n % 5 ? 'left' : 'silent');
    }
  }
  const past = events.filter((event) => event.at < now).sort((a, b) => a.at - b.at);
  const lines = past.map(({ at, type, subject, data, cause }, number) => JSON.stringify({
    id: id(at, number), time: new Date(at).toISOString(), node: 'story', type, version: 1, ...subject, cause, data,
  }));
  mkdirSync(path.join(state, 'events'), { recursive: true });
  writeFileSync(path.join(state, 'events', `${'0'.repeat(20)}.jsonl`), `${lines.join('\n')}\n`);
  return { calls };
}

function oneCall(add, at, number) {
  const subject = { call: `call${number}`, user: `user${number % 40}`, device: `d${number % 40}` };
  add(at, 'call.started', subject);
  add(at, 'call.invited', { ...subject, user: 'bert' }, { by: subject.user });
  if (number % 6 === 0) {
    add(at + 45_000, 'call.missed', subject, {}, 'no_answer');
    add(at + 45_000, 'call.ended', subject, { reason: 'no_answer', lasted_ms: 45_000 }, 'no_answer');
    return;
  }
  add(at + 4000, 'call.answered', subject, { after_ms: 4000 });
  add(at + 4000, 'call.joined', subject, { how: 'answered' });
  add(at + 4400, 'call.connected', subject, { after_ms: 200 + (number % 50) * 10 });
  for (const cause of ['joined', ...(number % 3 ? ['bandwidth_changed'] : ['network_changed', 'bandwidth_changed'])]) {
    add(at + 5000, 'call.configured', subject, { after: { video: VIDEO, audio_bps: 32_000 } }, cause);
  }
  for (let minute = 1; minute < 9; minute += 4) add(at + minute * MINUTE, 'client.report', subject, report(number));
  if (number % 9 === 0) add(at + 8 * MINUTE, 'call.left', subject, {}, 'lost');
  add(at + 9 * MINUTE, 'call.ended', subject, { reason: 'hung_up', lasted_ms: 9 * MINUTE }, 'hung_up');
}

function report(number) {
  const quality = { user: 'bert', direction: 'receive', path: number % 4 ? 'direct' : 'server', bitrate_bps: 600_000 + (number % 17) * 100_000, lost_permille: number % 12, round_trip_ms: 20 + (number % 60), frozen_permille: number % 25, width: 1280, height: number % 3 ? 720 : 360 };
  return {
    reason: 'periodic',
    client: number % 2 ? 'phone, Chromium 156' : 'computer, Firefox 153',
    width: 1920,
    height: 1080,
    network: number % 2 ? 'cellular' : 'ethernet',
    location: { country: ['DE', 'FR', 'US'][number % 3] },
    quality: [quality],
  };
}

/** A UUID of version 7. */
function id(at, number) {
  const ms = at.toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-${number.toString(16).padStart(12, '0')}`;
}
