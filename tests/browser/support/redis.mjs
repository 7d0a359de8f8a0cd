// A real Redis that keeps nothing.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { until } from './until.mjs';

const START_MS = 20_000;

/** Gives {url, stop()}. Its socket is a file, which is reached from every network. */
export async function startRedis() {
  const folder = mkdtempSync(path.join(tmpdir(), 'stentor-redis-'));
  const file = path.join(folder, 'redis.sock');
  const child = spawn('redis-server', ['--port', '0', '--unixsocket', file, '--dir', folder, '--save', ''], { stdio: 'ignore' });
  // A test run that is interrupted leaves nothing behind.
  process.once('exit', () => child.kill('SIGKILL'));
  const answers = () => new Promise((resolve) => {
    const socket = connect(file, () => socket.write('PING\r\n'));
    socket.once('error', () => resolve(false));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
  });
  await until('Redis answers', answers, START_MS);
  return {
    url: `redis+unix://${file}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
