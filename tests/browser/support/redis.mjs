// A real Redis that keeps nothing.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

import { freePort } from './server.mjs';
import { until } from './until.mjs';

const START_MS = 20_000;

/** Gives {url, stop()}. */
export async function startRedis() {
  const port = await freePort();
  const child = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' });
  // A test run that is interrupted leaves nothing behind.
  process.once('exit', () => child.kill('SIGKILL'));
  const answers = () => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('error', () => resolve(false));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
  });
  await until('Redis answers', answers, START_MS);
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
