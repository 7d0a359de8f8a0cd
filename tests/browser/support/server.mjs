// The server under test: the one at STENTOR_URL, or one of its own, started from the programs in
// the folder STENTOR_BIN.

import { spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync, openSync, closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';

import { until } from './until.mjs';

/** The hardware probe is part of a start. */
const START_MS = 60_000;
const STOP_MS = 15_000;

/** Whether tests that need a server with settings of their own can run. */
export const canStart = !process.env.STENTOR_URL;

/**
 * Gives {url, api(method, path, body), token(role, channel), log(), stop(), drain()}. `tokens`: the server
 * asks for tokens, and `api` sends an admin's. `outward`: viewers are also told this machine's own
 * address, where it has one. `grace`: how long viewers have to leave at the end. `origins`: pages
 * elsewhere that may use the server. `more`: sections of the configuration, or what makes them of
 * the server's URL. `prepare(folder)` puts what a daemon before it left into the state folder.
 */
export async function startServer({ tokens = false, outward = false, grace = '1s', origins = [], more = '', prepare = () => {} } = {}) {
  if (process.env.STENTOR_URL) return client(process.env.STENTOR_URL.replace(/\/$/, ''), null, async () => {}, () => '');
  const folder = mkdtempSync(path.join(tmpdir(), 'stentor-browser-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const keys = tokens ? generateKeyPairSync('ed25519') : null;
  mkdirSync(path.join(folder, 'state'));
  prepare(path.join(folder, 'state'));
  if (keys) writeFileSync(path.join(folder, 'key.pem'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(path.join(folder, 'stentor.toml'), `
[server]
state_directory = ${JSON.stringify(path.join(folder, 'state'))}
drain_grace = "${grace}"
[http]
listen = ["127.0.0.1:${port}"]
cors_origins = ${JSON.stringify(origins)}
[access]
keys = [${keys ? JSON.stringify(path.join(folder, 'key.pem')) : ''}]
[fanout]
bind = ${JSON.stringify(['127.0.0.1', ...(outward ? ownAddress() : [])])}
shards = 1
first_port = 0
[whip]
local_addresses = ["127.0.0.1"]
ports = "any"
${typeof more === 'function' ? more(url) : more}`);
  const daemon = runDaemon(folder, ['--demo']);
  const server = client(url, keys?.privateKey ?? null, daemon.stop, daemon.log);
  server.drain = daemon.drain;
  await daemon.ready(async () => (await fetch(`${url}/readyz`)).ok);
  await daemon.ready(async () => {
    const { format, thumbnail } = await server.channel('demo');
    return format?.video && thumbnail;
  });
  return server;
}

/**
 * Starts the program with the folder's stentor.toml, in the network namespace `inside` where one is
 * given. Gives {log(), drain(), stop(), ready(ask)}: `ready` waits until `ask` gives something, and
 * stops the program where it doesn't; `stop` removes the folder, too.
 */
export function runDaemon(folder, flags = [], inside = null) {
  const program = path.resolve(process.env.STENTOR_BIN ?? '../../target/debug', 'stentor');
  const command = [program, 'serve', ...flags, '--config', path.join(folder, 'stentor.toml')];
  // `ip netns exec` becomes the program.
  const [first, ...rest] = inside ? ['ip', 'netns', 'exec', inside, ...command] : command;
  const logFile = path.join(folder, 'log');
  const output = openSync(logFile, 'w');
  const child = spawn(first, rest, { stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  const log = () => readFileSync(logFile, 'utf8');
  let ended = null;
  child.on('exit', (code, signal) => { ended = signal ?? code; });
  child.on('error', (error) => { ended = error.message; });
  // A test run that is interrupted leaves nothing behind.
  process.once('exit', () => {
    if (ended === null) child.kill('SIGTERM');
  });

  async function stop() {
    if (ended === null) {
      child.kill('SIGTERM');
      await until('the server ends', () => ended !== null, STOP_MS).catch(() => process.kill(-child.pid, 'SIGKILL'));
    }
    rmSync(folder, { recursive: true, force: true });
  }

  async function ready(ask) {
    try {
      await until('the server is ready', async () => ended !== null || ask(), START_MS);
      if (ended !== null) throw new Error(`the server ended with ${ended}`);
    } catch (error) {
      const text = log();
      await stop();
      throw new Error(`${error.message}\n${text}`, { cause: error });
    }
  }

  return { log, stop, ready, drain: () => child.kill('SIGTERM') };
}

/** A token that `privateKey` signs. */
export function signToken(privateKey, claims, seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + seconds })}`;
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
}

function client(url, privateKey, stop, log) {
  const signed = (claims, seconds) => signToken(privateKey, claims, seconds);
  const token = (role, channel = '*', seconds = 3600) => signed({ role, channel }, seconds);

  async function api(method, place, body) {
    const response = await fetch(url + place, {
      method,
      headers: {
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(privateKey && { Authorization: `Bearer ${token('admin')}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${place}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  return {
    url,
    api,
    token,
    /** Of someone who calls. */
    userToken: (user, seconds = 3600) => signed({ role: 'user', user }, seconds),
    stop,
    log,
    channel: (name) => api('GET', `/api/v1/channels/${name}`),
    viewers: async (name) => (await api('GET', `/api/v1/channels/${name}/viewers`)).viewers,
    async source(name, state, deadlineMs = 20_000) {
      return until(`${name} is ${state}`, async () => {
        const channel = await api('GET', `/api/v1/channels/${name}`);
        return channel.source_state === state && channel;
      }, deadlineMs);
    },
    /** A channel for this test alone; removed by `t`'s end. */
    async publishable(t, name, second = 'refuse') {
      await api('POST', '/api/v1/channels', { name, source: { kind: 'whip', second_publisher: second }, ladder: [{ height: 180 }] });
      t.after(() => api('DELETE', `/api/v1/channels/${name}`).catch(() => {}));
      await until(`${name} runs`, async () => (await api('GET', `/api/v1/channels/${name}`)).state === 'running', 20_000);
    },
  };
}

function ownAddress() {
  return Object.values(networkInterfaces()).flat().filter((a) => a.family === 'IPv4' && !a.internal).slice(0, 1).map((a) => a.address);
}

/** A TCP port of loopback that nobody has. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
