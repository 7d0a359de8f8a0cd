// What is in a file, by ffprobe and ffmpeg: neither may complain.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

const MOST_BYTES = 1 << 30;

/** {video, audio, seconds}: streams as ffprobe has them. */
export function probe(file) {
  const found = JSON.parse(run('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-of', 'json', file]));
  const of = (kind) => found.streams.find((stream) => stream.codec_type === kind);
  return { video: of('video'), audio: of('audio'), seconds: Number(found.format.duration) };
}

/** Sizes of its pictures such as `1280x720`, in order, each once for as long as it lasts. */
export function sizes(file) {
  const args = ['-v', 'error', '-select_streams', 'v', '-skip_frame', 'nokey', '-show_entries', 'frame=width,height', '-of', 'csv=p=0:s=x', file];
  const all = run('ffprobe', args).toString().split('\n').map((line) => line.replace(/x$/, '')).filter(Boolean);
  return all.filter((size, n) => size !== all[n - 1]);
}

/** Decodes all of it. */
export function decode(file) {
  run('ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-fps_mode', 'passthrough', '-enc_time_base', '-1', '-f', 'null', '-']);
}

/** The loudest sample, in dB below the loudest that there can be. */
export function loudest(file) {
  const { stderr } = spawnSync('ffmpeg', ['-hide_banner', '-i', file, '-map', 'a', '-af', 'volumedetect', '-f', 'null', '-']);
  return Number(stderr.toString().match(/max_volume: (-?[\d.]+) dB/)?.[1] ?? NaN);
}

/** Some pictures a second as {luma(x, y), chroma(x, y)}. */
export function pictures(file, perSecond) {
  const { video: { width, height } } = probe(file);
  const bytes = run('ffmpeg', ['-v', 'error', '-i', file, '-vf', `fps=${perSecond}`, '-pix_fmt', 'yuv420p', '-f', 'rawvideo', '-']);
  const size = (width * height * 3) / 2;
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, n) => {
    const at = (place) => bytes[n * size + place];
    const small = (x, y) => (y >> 1) * (width / 2) + (x >> 1);
    return {
      luma: (x, y) => at(y * width + x),
      chroma: (x, y) => [at(width * height + small(x, y)), at((width * height * 5) / 4 + small(x, y))],
    };
  });
}

function run(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { maxBuffer: MOST_BYTES });
  if (error) throw error;
  assert.equal(stderr.toString(), '', `${program} complains of ${args.at(-1)}`);
  assert.equal(status, 0, `${program} ${args.join(' ')}`);
  return stdout;
}
