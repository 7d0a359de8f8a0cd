// What the client decides about calls, on plain data.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Connection } from '../../src/http/web/js/calls/connection.js';
import { grid } from '../../src/http/web/js/calls/grid.js';
import { Reporting } from '../../src/http/web/js/calls/reporting.js';
import { UpLine } from '../../src/http/web/js/calls/line.js';
import { Party } from '../../src/http/web/js/calls/party.js';
import { level, smooth } from '../../src/http/web/js/calls/quality.js';
import { describe as described, sample } from '../../src/http/web/js/calls/reporter.js';
import { CallSocket } from '../../src/http/web/js/calls/socket.js';
import { reach } from '../../src/http/web/js/rtc/reach.js';
import { account } from '../../src/http/web/js/account.js';
import { session } from '../../src/http/web/js/session.js';
import { fakeSockets, pretend } from './support/pretend.mjs';

const ASSUMED = 4_000_000;

/** Gives a line the same readings twice a second; what it said, as [at, bps]. */
function run(line, readings, from, until) {
  const said = [];
  for (let now = from; now <= until; now += 500) if (line.handle(readings, now)) said.push([now, line.bps]);
  return said;
}

describe('the line up', () => {
  test('is what all connections have together, once they have been held back for a while', () => {
    const line = new UpLine(ASSUMED);
    const readings = [{ id: 1, available: 300_000, limited: true }, { id: 2, available: 250_000, limited: true }];
    const said = run(line, readings, 0, 10_000);
    assert.deepEqual(said, [[4000, 550_000]], 'once, and not at once');
  });

  test('is found although an encoder that sends less is content for a moment', () => {
    const line = new UpLine(ASSUMED);
    const said = [];
    for (let now = 0; now <= 8000; now += 500) {
      const isOdd = (now / 500) % 2 === 1;
      const readings = [{ id: 1, available: 300_000, limited: isOdd }, { id: 2, available: 300_000, limited: !isOdd }];
      if (line.handle(readings, now)) said.push(line.bps);
    }
    assert.deepEqual(said, [600_000]);
  });

  test('isn’t narrow because one other’s is, or as long as more is found', () => {
    const one = new UpLine(ASSUMED);
    assert.deepEqual(run(one, [{ id: 1, available: 300_000, limited: true }, { id: 2, available: 900_000, limited: false }], 0, 10_000), []);
    const growing = new UpLine(ASSUMED);
    for (let now = 0; now < 8000; now += 500) {
      assert.ok(!growing.handle([{ id: 1, available: 300_000 * 1.1 ** (now / 500), limited: true }], now), `at ${now}`);
    }
    assert.deepEqual(run(new UpLine(ASSUMED), [], 0, 10_000), [], 'nothing is sent');
  });

  test('is tried to be wider while nothing holds it back, up to what was assumed', () => {
    const line = new UpLine(ASSUMED, 600_000);
    const said = run(line, [{ id: 1, available: 700_000, limited: false }], 0, 60_000);
    assert.deepEqual(said.slice(0, 2), [[5000, 780_000], [10_000, 1_014_000]]);
    assert.equal(said.at(-1)[1], ASSUMED);
    assert.deepEqual(run(line, [{ id: 1, available: 700_000, limited: false }], 60_500, 90_000), []);
  });
});

test('tiles are as large as they can be', () => {
  const cases = [
    [1, 1280, 640, 1, 1],
    [2, 1280, 400, 2, 1],
    [3, 864, 590, 2, 2],
    [9, 1232, 640, 3, 3],
    [16, 1232, 640, 4, 4],
    [25, 1232, 640, 5, 5],
    [2, 390, 500, 1, 2],
    [9, 390, 500, 2, 5],
  ];
  for (const [count, width, height, columns, rows] of cases) {
    assert.deepEqual(grid(count, width, height), { columns, rows }, `${count} in ${width} by ${height}`);
  }
});

test('a way is as good as its worst figure', () => {
  assert.equal(level({ arrives: false, loss: 0, roundTripMs: 1 }), 0);
  assert.equal(level({ arrives: true, loss: null, roundTripMs: null }), 4);
  assert.equal(level({ arrives: true, loss: 0.02, roundTripMs: 20 }), 3);
  assert.equal(level({ arrives: true, loss: 0, roundTripMs: 350 }), 2);
  assert.equal(level({ arrives: true, loss: 0.2, roundTripMs: 20 }), 1);
  assert.equal(smooth(null, 0.5), 0.5);
  assert.equal(smooth(1, null), 1);
  assert.equal(smooth(1, 0), 0.8);
});

test('a longer silence is told as one of a minute, and is looked at more closely', async (t) => {
  pretend(t, { MediaStream: class { getTracks() { return []; } } });
  for (const [silentMs, told, isAmiss] of [[null, undefined, false], [12.4, 12, false], [151, 151, true], [3_600_000, 60_000, true], [2 ** 33, 60_000, true]]) {
    const figures = { silentMs, roundTripMs: null, inBitrate: null, raw: { packets: 5, lost: 0, frames: 1 } };
    const peer = Object.assign(new EventTarget(), { connected: true, stream: new MediaStream(), hold() {}, close() {}, measure: async () => figures });
    const party = new Party('bob', 'direct');
    party.setPeer(peer);
    const seen = await party.measure({ audio: true, video: true });
    assert.deepEqual([seen.report.silent_ms, seen.isAmiss], [told, isAmiss], `${silentMs}`);
    party.close();
  }
});

test('another node is asked by a worker, and by another one after nobody answered', async (t) => {
  const workers = [];
  class FakeWorker extends EventTarget {
    asked = [];
    ended = false;

    constructor(url) {
      super();
      this.url = String(url);
      workers.push(this);
    }

    postMessage(message) {
      this.asked.push(message);
    }

    terminate() {
      this.ended = true;
    }

    answer({ id }, answer) {
      this.dispatchEvent(Object.assign(new Event('message'), { data: { id, answer } }));
    }
  }
  const own = t.mock.method(globalThis, 'fetch', async () => new Response('own'));
  pretend(t, { Worker: FakeWorker, location: new URL('https://a.example/#/call') });
  assert.equal(await (await reach('/whep/x', { method: 'POST' })).text(), 'own');
  assert.deepEqual(own.mock.calls[0].arguments, ['https://a.example/whep/x', { method: 'POST' }]);
  assert.equal(workers.length, 0);

  const url = 'https://b.example:8443/whip/call-1';
  const answered = reach(url, { method: 'POST', body: 'v=0', keepalive: true });
  const [worker] = workers;
  assert.match(worker.url, /\/js\/rtc\/outpost\.js\?node=https:\/\/b\.example:8443$/);
  assert.deepEqual(worker.asked, [{ id: worker.asked[0].id, url, options: { method: 'POST', body: 'v=0' } }]);
  worker.answer(worker.asked[0], { url, status: 201, headers: [['location', '/whip/call-1/s']], text: 'v=1' });
  const response = await answered;
  assert.deepEqual([response.status, response.url, response.headers.get('Location'), await response.text()], [201, url, '/whip/call-1/s', 'v=1']);

  const ended = reach(url, { method: 'DELETE' });
  const stopping = new AbortController();
  const stopped = reach(url, { signal: stopping.signal });
  const lost = reach(url);
  worker.answer(worker.asked[1], { url, status: 204, headers: [], text: '' });
  assert.equal((await ended).status, 204);
  stopping.abort();
  await assert.rejects(stopped, { name: 'AbortError' });
  assert.deepEqual(worker.asked.at(-1), { id: worker.asked[2].id });
  worker.answer(worker.asked[3], null);
  await assert.rejects(lost, TypeError);
  assert.ok(worker.ended);
  const again = reach(url);
  assert.deepEqual([workers.length, workers[1].url], [2, worker.url]);
  workers[1].dispatchEvent(new Event('error'));
  await assert.rejects(again, TypeError);
  assert.ok(workers[1].ended);
});

test('a report says what came from someone, and nothing that isn’t known', () => {
  const figures = { inBitrate: 1_500_000.4, roundTripMs: 39.6, frozenSeconds: 5, width: 1280, height: 720, fps: 29.97 };
  const party = { user: 'bob', shown: 'direct', figures, loss: 0.004 };
  const full = { user: 'bob', direction: 'receive', path: 'direct', bitrate_bps: 1_500_000, lost_permille: 4, round_trip_ms: 40, width: 1280, height: 720, frame_rate: 30 };
  assert.deepEqual(sample(party, undefined, 40_000), full);
  // Three of thirty seconds.
  assert.deepEqual(sample(party, { at: 10_000, frozen: 2 }, 40_000), { ...full, frozen_permille: 100 });
  const relayed = { ...party, figures: { ...figures, path: { protocol: 'TLS', kind: 'relay', remoteKind: 'srflx', remote: '192.0.2.1:5' } } };
  assert.deepEqual(sample(relayed, undefined, 40_000), { ...full, local: 'relay', remote: 'srflx', transport: 'tls' });
  const odd = { ...party, figures: { ...figures, path: { protocol: '', kind: 'host', remoteKind: 'pigeon', remote: '' } } };
  assert.deepEqual(sample(odd, undefined, 40_000), { ...full, local: 'host' });
  const silent = { ...party, loss: null, figures: { inBitrate: null, roundTripMs: null, frozenSeconds: null, width: null, height: null, fps: null } };
  assert.deepEqual(sample(silent, { at: 0, frozen: null }, 1), { user: 'bob', direction: 'receive', path: 'direct', bitrate_bps: 0, lost_permille: 0 });
});

test('a browser is named by its kind and version', () => {
  const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0';
  for (const [userAgent, expected] of [
    [`Mozilla/5.0 (X11; Linux x86_64) ${chrome} Safari/537.36`, 'computer, Chromium 140'],
    [`Mozilla/5.0 (Linux; Android 10; K) ${chrome} Mobile Safari/537.36`, 'phone, Chromium 140'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36 Edg/140.0.0.0`, 'computer, Edge 140'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'computer, Firefox 140'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1', 'phone, Safari 18'],
    ['curl', 'computer, another browser'],
  ]) assert.equal(described({ userAgent }), expected);
});

test('what is said without a socket waits, but for what is of the moment', (t) => {
  const sockets = fakeSockets(t);
  const socket = new CallSocket(() => ({}));
  socket.start();
  sockets[0].welcome(false);
  socket.say({ type: 'path_report' });
  assert.deepEqual(sockets[0].types(), ['hello', 'path_report']);
  sockets[0].dispatchEvent(Object.assign(new Event('close'), { code: 1006 }));
  assert.equal(socket.state, 'lost');
  socket.say({ type: 'path_report' });
  socket.say({ type: 'media' });
  t.mock.timers.tick(1000);
  sockets[1].welcome(true);
  assert.deepEqual(sockets[1].types(), ['resume', 'media']);
  socket.stop();
});

/** An open socket of a page whose time `clock.now` is, in milliseconds. */
function openedByTheClock(t) {
  const sockets = fakeSockets(t);
  const clock = { now: 0 };
  pretend(t, { performance: { now: () => clock.now } });
  const socket = new CallSocket(() => ({}));
  socket.start();
  sockets[0].welcome(false);
  return { sockets, socket, clock };
}

test('a socket is given up for a ping that wasn’t answered, however late the timers are', (t) => {
  const { sockets, socket, clock } = openedByTheClock(t);
  const pass = (ms) => {
    clock.now += ms;
    t.mock.timers.tick(20_000);
  };
  for (const pings of [1, 2, 3]) {
    pass(60_000);
    assert.deepEqual([socket.state, sockets[0].types().filter((type) => type === 'ping').length], ['open', pings]);
    clock.now += 50;
    sockets[0].hear({ type: 'pong' });
  }
  pass(60_000);
  assert.equal(socket.state, 'open');
  pass(20_000);
  assert.equal(socket.state, 'lost');
  // The next socket owes nothing.
  pass(1000);
  sockets[1].welcome(true);
  pass(20_000);
  assert.equal(socket.state, 'open');
  socket.stop();
});

test('what may have been lost with a socket is said again on the next, once, as far as it may be', (t) => {
  const sockets = fakeSockets(t);
  const socket = new CallSocket(() => ({}));
  socket.start();
  sockets[0].welcome(false);
  socket.say({ type: 'tiles', call: 'c' });
  t.mock.timers.tick(20_000);
  socket.say({ type: 'media', call: 'c', media: 1 });
  socket.say({ type: 'offer', call: 'c' });
  socket.say({ type: 'decline', call: 'd' });
  socket.say({ type: 'media', call: 'c', media: 2 });
  // It arrived, and what was said before it.
  sockets[0].hear({ type: 'pong', request: sockets[0].said.find(({ type }) => type === 'ping').request });
  sockets[0].drop();
  socket.say({ type: 'busy', call: 'e' });
  t.mock.timers.tick(1000);
  sockets[1].welcome(true);
  assert.deepEqual(sockets[1].said.slice(1), [
    { type: 'decline', call: 'd' },
    { type: 'media', call: 'c', media: 2 },
    { type: 'busy', call: 'e' },
  ]);
  // Without an answer they are said a third time, but not to a session that knows nothing of them.
  sockets[1].drop();
  t.mock.timers.tick(1000);
  sockets[2].welcome(true);
  assert.deepEqual(sockets[2].types(), ['resume', 'decline', 'media', 'busy']);
  sockets[2].drop();
  t.mock.timers.tick(1000);
  sockets[3].welcome(false);
  assert.deepEqual(sockets[3].types(), ['resume']);
  socket.stop();
});

test('who is asked and silent is asked whether anybody is there', async (t) => {
  const { sockets, socket, clock } = openedByTheClock(t);
  const pings = () => sockets[0].types().filter((type) => type === 'ping').length;
  clock.now = 1;
  const lost = assert.rejects(socket.ask({ type: 'invite' }), /lost/);
  clock.now = 2;
  sockets[0].hear({ type: 'presence' });
  t.mock.timers.tick(3000);
  assert.equal(pings(), 0);
  clock.now = 3;
  const alsoLost = assert.rejects(socket.ask({ type: 'invite' }), /lost/);
  t.mock.timers.tick(3000);
  assert.deepEqual([pings(), socket.state], [1, 'open']);
  t.mock.timers.tick(3000);
  assert.equal(socket.state, 'lost');
  t.mock.timers.tick(1000);
  sockets[1].welcome(true);
  await Promise.all([lost, alsoLost]);
  socket.stop();
});

test('a token is shown once to each socket, and again where it wasn’t taken', async (t) => {
  const sockets = fakeSockets(t);
  pretend(t, { navigator: {}, RTCRtpSender: { getCapabilities: () => null }, RTCRtpReceiver: { getCapabilities: () => null } });
  const renewed = t.mock.method(account, 'renew', async () => {});
  account.me = { name: 'anna', device: 'd1' };
  session.token = 'first';
  const connection = new Connection();
  t.after(() => {
    connection.close();
    account.forget();
  });
  connection.open(null);
  const [socket] = sockets;
  const shown = () => socket.said.filter(({ type }) => type === 'token').map(({ token }) => token);
  // Before there is a session nothing is shown but by the hello.
  session.changed();
  socket.welcome(false);
  const { device, token, user } = socket.said[0];
  assert.deepEqual([socket.types(), device, token, user], [['hello'], 'd1', 'first', undefined]);
  session.changed();
  assert.deepEqual(shown(), []);
  session.token = 'second';
  account.dispatchEvent(new Event('token'));
  session.changed();
  assert.deepEqual(shown(), ['second']);

  socket.hear({ type: 'error', seq: 2, request: socket.said.at(-1).request, code: 'not_allowed', detail: 'No.' });
  await new Promise(setImmediate);
  socket.hear({ type: 'token_expires', seq: 3 });
  assert.deepEqual(shown(), ['second', 'second']);
  assert.equal(renewed.mock.callCount(), 1, 'and there may be a better one');
  // What answers a token that was shown is no word of its end.
  socket.hear({ type: 'token_expires', seq: 4, request: socket.said.at(-1).request });
  await new Promise(setImmediate);
  session.changed();
  assert.deepEqual([shown().length, renewed.mock.callCount()], [2, 1]);

  socket.dispatchEvent(Object.assign(new Event('close'), { code: 1006 }));
  session.token = 'third';
  t.mock.timers.tick(1000);
  sockets[1].welcome(true);
  session.changed();
  assert.deepEqual(sockets[1].said.map((said) => [said.type, said.token]), [['resume', 'third']]);
});

test('a token that comes after signing out, or after another’s sign-in, is nobody’s', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => account.forget());
  let answer;
  t.mock.method(globalThis, 'fetch', () => new Promise((resolve) => { answer = resolve; }));
  const heard = [];
  account.addEventListener('token', () => heard.push(session.token));
  for (const [meanwhile, left] of [[() => account.forget(), null], [() => { session.token = 'other'; }, 'other'], [() => {}, 'next']]) {
    account.me = { name: 'anna' };
    session.token = 'first';
    const renewed = account.renew();
    meanwhile();
    answer(Response.json({ token: 'next' }));
    await renewed;
    assert.equal(session.token, left);
  }
  assert.deepEqual(heard, ['next']);
});

test('paths: through the server it is told every two seconds of what stays as it is', () => {
  const reporting = new Reporting();
  const through = { user: 'a', path: 'server', direct_alive: false };
  const due = (now, topology, ...reports) => reporting.isDue(reports, topology, now);
  assert.deepEqual([due(0, 'mesh', through), due(500, 'mesh', through)], [true, true]);
  assert.deepEqual([due(1000, 'server', through), due(2400, 'server', through), due(2500, 'server', through)], [false, false, true]);
  // Someone else, another way, and a direct connection that is still there.
  const other = { ...through, user: 'b' };
  assert.deepEqual([due(2600, 'server', through, other), due(3000, 'server', through, other)], [true, false]);
  assert.equal(due(3100, 'server', through, { ...other, path: 'direct' }), true);
  const alive = { ...through, direct_alive: true };
  assert.deepEqual([due(3200, 'server', alive), due(3700, 'server', alive)], [true, true]);
  assert.equal(due(9000, 'server'), false);
});
