// What a page does with calls, on sockets that the test holds.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { FakeStream, FakeTrack, fakePage, fakeSockets, pretend, settled } from './support/pretend.mjs';

const IN = { state: 'in', media: { audio: true, video: true, screen: false } };

/** Anna's phone, signed in. `sockets` has its sockets, the last one is the one in use. */
async function signIn(t) {
  // What is pretended ends after this.
  t.after(() => phone.signOut());
  const sockets = fakeSockets(t);
  const page = fakePage(t);
  const { Phone } = await import('../../src/http/web/js/calls/phone.js');
  const phone = new Phone();
  phone.signIn('anna');
  const overs = [];
  phone.addEventListener('over', ({ detail }) => overs.push(detail));
  const line = () => sockets.at(-1);
  const welcome = (resumed) => {
    line().dispatchEvent(new Event('open'));
    line().hear({ type: 'welcome', session: 's', user: 'anna', resumed, ice_servers: [] });
  };
  welcome(false);
  return {
    phone,
    overs,
    ...page,
    hear: (message) => line().hear(message),
    /** The last that was said of a type. */
    said: (type) => line().said.findLast((message) => message.type === type),
    count: (type) => line().said.filter((message) => message.type === type).length,
    drop: () => line().drop(),
    come: (resumed) => {
      t.mock.timers.tick(20_000);
      welcome(resumed);
    },
    refuse(type, code) {
      const { request, call } = this.said(type);
      this.hear({ type: 'error', request, call, code, detail: `It is ${code}.` });
      return settled();
    },
  };
}

/** What the server says of a call that this device is in. */
const snapshot = (call, others = ['bert'], host = 'anna') => ({
  type: 'call',
  call,
  host,
  topology: 'mesh',
  recorded: false,
  participants: ['anna', ...others].map((user) => ({ user, ...IN })),
});

async function talk(t, ...others) {
  const scene = await signIn(t);
  await scene.phone.own.open();
  scene.hear(snapshot('c-1', others.length ? others : undefined));
  assert.equal(scene.phone.call.id, 'c-1');
  return scene;
}

describe('hanging up', () => {
  test('ends the call here at once, and nothing late opens it again until the server knows', async (t) => {
    const scene = await talk(t);
    const { phone } = scene;
    phone.hangUp();
    assert.deepEqual([phone.call, scene.overs], [null, ['hung_up']]);
    assert.ok(scene.given.length === 2 && scene.given.every(({ readyState }) => readyState === 'ended'));
    scene.hear(snapshot('c-1'));
    scene.hear({ type: 'participant', call: 'c-1', participant: { user: 'cleo', ...IN } });
    assert.equal(phone.call, null);
    scene.hear({ type: 'call_ended', call: 'c-1', reason: 'hung_up', request: scene.said('hang_up').request });
    await settled();
    assert.deepEqual([scene.count('hang_up'), scene.overs.length], [1, 1]);
    // Whatever the server says of it after that is so.
    scene.hear(snapshot('c-1'));
    assert.equal(phone.call.id, 'c-1');
  });

  test('is said again after a socket that dropped, in the session and in the next', async (t) => {
    for (const resumed of [true, false]) {
      await t.test(resumed ? 'resumed' : 'new', async (t) => {
        const scene = await talk(t);
        scene.phone.hangUp();
        scene.drop();
        scene.come(resumed);
        await settled();
        t.mock.timers.tick(1000);
        await settled();
        assert.equal(scene.said('hang_up')?.call, 'c-1');
        await scene.refuse('hang_up', 'not_in_call');
        scene.hear(snapshot('c-1'));
        assert.equal(scene.phone.call.id, 'c-1');
      });
    }
  });

  test('is said again where it passes, to the last where it doesn’t', async (t) => {
    const scene = await talk(t);
    const { phone } = scene;
    phone.hangUp();
    await scene.refuse('hang_up', 'unavailable');
    t.mock.timers.tick(1000);
    await settled();
    assert.equal(scene.count('hang_up'), 2);
    // Someone was added whom this page hasn't heard of.
    await scene.refuse('hang_up', 'only_the_host');
    assert.equal(scene.said('leave').call, 'c-1');
    scene.hear(snapshot('c-1'));
    assert.equal(phone.call, null);
    await scene.refuse('leave', 'call_over');
    t.mock.timers.tick(60_000);
    await settled();
    assert.deepEqual([scene.count('hang_up'), scene.count('leave')], [2, 1]);
  });

  test('of a group ends it for all where the server says so, and else says why not', async (t) => {
    const scene = await talk(t, 'bert', 'cleo');
    const { phone } = scene;
    const refused = assert.rejects(phone.endForAll(), /only_the_host/);
    await scene.refuse('hang_up', 'only_the_host');
    await refused;
    assert.equal(phone.call.id, 'c-1');
    const over = phone.endForAll();
    await scene.refuse('hang_up', 'call_over');
    await over;
    assert.deepEqual([phone.call, scene.overs], [null, ['hung_up']]);
  });

  test('is forgotten by who comes back', async (t) => {
    const scene = await talk(t, 'bert', 'cleo');
    const { phone } = scene;
    phone.hangUp();
    assert.deepEqual([scene.said('leave').call, phone.left], ['c-1', 'c-1']);
    const back = phone.rejoin();
    await settled();
    scene.hear({ ...snapshot('c-1', ['bert', 'cleo']), request: scene.said('rejoin').request });
    await back;
    assert.equal(phone.call.id, 'c-1');
  });
});

describe('what rings', () => {
  const ring = (call) => ({ type: 'ring', call, from: 'bert', others: [], stops_in_ms: 30_000, media: IN.media });

  test('stops by whatever says that it is over', async (t) => {
    const { phone, hear } = await signIn(t);
    for (const end of [
      { type: 'ring_stopped', reason: 'cancelled' },
      { type: 'left', cause: 'left' },
      { type: 'call_ended', reason: 'hung_up' },
      { type: 'error', code: 'call_over', detail: 'It is over.' },
    ]) {
      hear(ring('c-1'));
      hear({ ...end, call: 'c-2' });
      assert.equal(phone.ringing?.call, 'c-1', end.type);
      hear({ ...end, call: 'c-1' });
      assert.equal(phone.ringing, null, end.type);
    }
  });

  test('stops when it should have', async (t) => {
    const { phone, hear } = await signIn(t);
    hear(ring('c-1'));
    let changes = 0;
    phone.addEventListener('change', () => { changes += 1; });
    t.mock.timers.tick(34_000);
    assert.equal(phone.ringing?.call, 'c-1');
    t.mock.timers.tick(2000);
    assert.deepEqual([phone.ringing, changes], [null, 1]);
  });

  test('while another call begins here is told that one is busy', async (t) => {
    const { phone, hear, said, count } = await signIn(t);
    hear(ring('c-1'));
    hear(snapshot('c-1'));
    assert.equal(count('busy'), 0);
    phone.hangUp();
    hear({ type: 'call_ended', call: 'c-1', reason: 'hung_up' });
    hear(ring('c-2'));
    hear(snapshot('c-3'));
    assert.deepEqual([phone.ringing, phone.call.id, said('busy').call], [null, 'c-3', 'c-2']);
  });

  test('stops at once by who declines', async (t) => {
    const { phone, hear, said } = await signIn(t);
    hear(ring('c-1'));
    phone.decline();
    assert.deepEqual([phone.ringing, said('decline').call], [null, 'c-1']);
  });
});

test('a page that is seen again asks whether the server is still there', async (t) => {
  const { phone, page, count } = await signIn(t);
  page.hidden = true;
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(count('ping'), 0);
  page.hidden = false;
  // Answers that came before the question say nothing.
  await new Promise((resolve) => { setImmediate(resolve); });
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(count('ping'), 1);
  t.mock.timers.tick(3000);
  assert.equal(phone.state, 'lost');
});

describe('a call that was left', () => {
  test('is offered until its end is heard of, and no other’s', async (t) => {
    const { phone, hear } = await signIn(t);
    for (const end of [
      { type: 'call_ended', reason: 'everybody_left' },
      { type: 'left', cause: 'moved' },
      { type: 'error', code: 'call_over', detail: 'It is over.' },
    ]) {
      hear(snapshot('c-1', ['bert', 'cleo']));
      phone.hangUp();
      hear({ type: 'left', call: 'c-1', cause: 'left' });
      hear({ ...end, call: 'c-2' });
      assert.equal(phone.left, 'c-1', end.type);
      hear({ ...end, call: 'c-1' });
      assert.equal(phone.left, null, end.type);
    }
  });

  test('is offered again where coming back failed, unless there is nothing to come back to', async (t) => {
    const scene = await signIn(t);
    const { phone } = scene;
    for (const [code, left] of [['unavailable', 'c-1'], ['call_full', 'c-1'], ['unknown_call', null]]) {
      scene.hear(snapshot('c-1', ['bert', 'cleo']));
      phone.hangUp();
      const refused = assert.rejects(phone.rejoin(), { code });
      await settled();
      assert.equal(phone.left, null);
      await scene.refuse('rejoin', code);
      await refused;
      assert.equal(phone.left, left, code);
    }
  });
});

test('everybody is heard while nothing shows the call, by the speaker that was chosen', async (t) => {
  const made = [];
  class Audio {
    srcObject = null;
    sinkId = '';

    constructor() {
      made.push(this);
    }

    async setSinkId(id) {
      this.sinkId = id;
    }
  }
  const scene = await signIn(t);
  pretend(t, { Audio });
  const { phone, hear } = scene;
  hear(snapshot('c-1'));
  assert.equal(made.length, 0);
  hear({ type: 'path', call: 'c-1', from: 'bert', to: 'anna', path: 'direct' });
  const { stream } = phone.call.parties.get('bert');
  const [audio] = made;
  assert.ok(stream && audio.srcObject === stream && audio.autoplay);
  phone.setSpeaker('headset');
  assert.equal(audio.sinkId, 'headset');
  // The stage of the page of calls plays it, until another page is looked at.
  const stage = new AbortController();
  phone.listening.restUntil(stage.signal);
  assert.equal(audio.srcObject, null);
  stage.abort();
  assert.deepEqual([made.length, made[1].srcObject === stream], [2, true]);
  phone.hangUp();
  assert.equal(made[1].srcObject, null);
});

test('STUN and TURN are asked for anew by who rings, answers or restarts after a while, and in a long call', async (t) => {
  const scene = await signIn(t);
  const { phone, hear, count } = scene;
  let now = Date.now();
  t.mock.method(Date, 'now', () => now);
  const asked = t.mock.method(globalThis, 'fetch', async () => Response.json({ ice_servers: [{ urls: ['turn:new'] }] }));
  const configured = [];
  class Peer extends EventTarget {
    connectionState = 'new';

    constructor({ iceServers }) {
      super();
      configured.push(iceServers.flatMap(({ urls }) => urls).join());
      peers.push(this);
    }

    close() {}

    fail() {
      this.connectionState = 'failed';
      this.dispatchEvent(new Event('connectionstatechange'));
    }
  }
  const peers = [];
  pretend(t, { RTCPeerConnection: Peer });
  const connect = (epoch) => hear({ type: 'peer', call: 'c-1', session: 1, epoch, user: 'bert', offers: false });
  const ring = phone.ring('bert');
  await settled();
  hear({ ...snapshot('c-1'), request: scene.said('invite').request });
  await ring;
  hear({ type: 'configure', call: 'c-1', revision: 1, configuration: { audio_bps: 1 } });
  connect(1);
  assert.deepEqual([asked.mock.callCount(), configured], [0, ['']]);

  now += 11 * 60_000;
  peers.at(-1).fail();
  assert.equal(count('restart'), 0);
  await settled();
  assert.equal(count('restart'), 1);
  connect(2);
  assert.deepEqual([asked.mock.callCount(), configured], [1, ['', 'turn:new']]);

  hear({ type: 'peer_closed', call: 'c-1', session: 1 });
  now += 11 * 60_000;
  for (const step of [20_000, 20_000, 20_000]) {
    t.mock.timers.tick(step);
    hear({ type: 'pong' });
  }
  await settled();
  assert.equal(asked.mock.callCount(), 2);
  phone.hangUp();

  now += 11 * 60_000;
  for (const [enter, count] of [[() => phone.ring('bert'), 3], [() => phone.rejoin(), 4]]) {
    enter().catch(() => {});
    await settled();
    assert.equal(asked.mock.callCount(), count);
    now += 11 * 60_000;
  }
  // Without an answer it goes on with what there is.
  asked.mock.mockImplementation(async () => { throw new TypeError('no network'); });
  hear({ type: 'ring', call: 'c-2', from: 'bert', others: [], stops_in_ms: 30_000, media: IN.media });
  phone.accept().catch(() => {});
  await settled();
  assert.deepEqual([asked.mock.callCount(), scene.said('accept')?.call], [5, 'c-2']);
});

test('a message is taken where there is no secure context', async (t) => {
  // As pages from plain HTTP have it.
  pretend(t, { crypto: { getRandomValues: (array) => array.fill(0xa5) } });
  const { phone, hear, said } = await signIn(t);
  const conversation = { user: 'bert' };
  const stored = phone.chat.send(conversation, 'Good morning');
  const [{ text, id }] = phone.chat.room(conversation).sending;
  assert.deepEqual([text, id], ['Good morning', 'a5'.repeat(16)]);
  hear({ type: 'chat_stored', conversation, id, order: 1, at_ms: 1, request: said('chat_send').request });
  await stored;
  const { messages, sending } = phone.chat.room(conversation);
  assert.deepEqual([messages.length, sending.length], [1, 0]);
});

describe('what is opened for a call', () => {
  /** Own media, and devices that are handed out once the test says so. */
  async function media(t) {
    const { given, mediaDevices } = fakePage(t);
    const due = [];
    for (const name of ['getUserMedia', 'getDisplayMedia']) {
      const hand = mediaDevices[name];
      mediaDevices[name] = (wanted) => new Promise((resolve) => { due.push(() => resolve(hand(wanted))); });
    }
    const { OwnMedia } = await import('../../src/http/web/js/calls/own-media.js');
    const next = async () => {
      due.shift()();
      await settled();
    };
    return { own: new OwnMedia(), next, live: () => given.filter(({ readyState }) => readyState === 'live').map(({ kind }) => kind) };
  }

  test('too late is closed again, and the next call opens its own', async (t) => {
    const { own, next, live } = await media(t);
    own.open();
    own.close();
    const opened = own.open();
    await next();
    assert.deepEqual(live(), []);
    await next();
    await next();
    await opened;
    assert.deepEqual([live(), own.media], [['video', 'audio'], { audio: true, video: true, screen: false }]);
  });

  test('a screen that is chosen after the end, or twice, isn’t shared', async (t) => {
    const { own, next, live } = await media(t);
    own.share();
    own.close();
    await next();
    assert.deepEqual([live(), own.isSharing], [[], false]);
    own.share();
    own.share();
    await next();
    await next();
    assert.deepEqual([live(), own.isSharing, own.stream.getTracks().length], [['video'], true, 1]);
  });
});

test('what is published begins once there is something, and again after a refusal', async (t) => {
  t.after(() => parties.close());
  fakePage(t);
  class Peer extends EventTarget {
    addTransceiver() {
      return { setCodecPreferences() {} };
    }

    async createOffer() {
      return { sdp: '' };
    }

    async setLocalDescription() {}

    close() {}
  }
  pretend(t, { RTCPeerConnection: Peer, location: { href: 'http://test/', origin: 'http://test' } });
  const posted = t.mock.method(globalThis, 'fetch', async () => new Response('', { status: 403 }));
  const { Parties } = await import('../../src/http/web/js/calls/parties.js');
  const local = new FakeStream();
  const parties = new Parties({ call: 'c-1', topology: 'server', me: 'anna', iceServers: () => [], local, upBps: 1, say() {} });
  parties.take({ type: 'legs', publish: '/whip/c-1', watch: [], token: 'x' });
  await settled();
  assert.equal(posted.mock.callCount(), 0);
  local.addTrack(new FakeTrack('audio'));
  for (const posts of [1, 2]) {
    parties.replace('audio');
    await settled();
    await settled();
    assert.equal(posted.mock.callCount(), posts);
  }
});
