// The ways that media takes between two browsers: directly where their routers let it, by the
// server's relay where they don't. Chromium at both ends, each behind a router of its own.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchChromium, openPage, PROGRAM } from './support/chromium.mjs';
import { allowedPeers, CONE, Networks, NO_UDP, ONLY_443, OPEN, RELAY, SYMMETRIC } from './support/networks.mjs';
import { startPublicServer } from './support/public-server.mjs';
import { canStart } from './support/server.mjs';
import { until } from './support/until.mjs';

const FIRST_FRAME_MS = 20_000;
/** Media that has to arrive at each end while the server's line is watched. */
const WATCHED_BYTES = 80_000;
/** What keeps relays alive that nobody needs. */
const KEPT_ALIVE_BYTES = 3000;
/** Reports of both ends, once a second, as a share of the media. */
const REPORTS_SHARE = 0.15;

/** A candidate behind a NAT is found by asking the server, or by the other end's first packet. */
const TRANSLATED = ['srflx', 'prflx'];
const HOST = ['host'];
/** A client's first report of a call comes some seconds after its beginning. */
const REPORTED_MS = 15_000;

/**
 * Routers of both homes, each end's candidate, and bytes at the relay until the call goes directly.
 * Between two cones the first packets are lost, since the other end has sent none yet; until they
 * are sent again what there is to say goes by the relay.
 */
const DIRECT = [
  { name: 'without a NAT', rules: [OPEN, OPEN], caller: HOST, callee: HOST, first: 3000, isReported: true },
  { name: 'one end behind a NAT', rules: [CONE, OPEN], caller: TRANSLATED, callee: HOST, first: 3000 },
  { name: 'both ends behind port-restricted cones', rules: [CONE, CONE], caller: TRANSLATED, callee: TRANSLATED, first: 60_000 },
];

const RELAYED = [
  { name: 'both ends behind symmetric NATs, over UDP', rules: [SYMMETRIC, SYMMETRIC], protocol: 'udp', relays: 1, isReported: true },
  { name: 'no UDP at either end, over TCP', rules: [NO_UDP, NO_UDP], protocol: 'tcp', relays: 2, isReported: true },
  { name: 'nothing but port 443 at either end, over TLS', rules: [ONLY_443, ONLY_443], protocol: 'tls', relays: 2 },
];

/** TURN over TLS at port 443, at an address of its own. */
const TURN = `
[fanout]
shards = 1
[turn]
enabled = true
listen = ["${RELAY}:3478"]
tls_listen = ["${RELAY}:443"]
allowed_peers = ${JSON.stringify(allowedPeers)}
`;

/** In the page: notes when Accept was pressed, and when the other's first picture was shown. */
function noteTimes() {
  addEventListener('click', ({ target }) => {
    if (target.closest?.('button')?.textContent === 'Accept') window.acceptedAt = Date.now();
  }, true);
  const noted = new WeakSet();
  const look = () => {
    const video = document.querySelector('.call-tile video');
    if (video && !noted.has(video)) {
      noted.add(video);
      video.requestVideoFrameCallback(() => { window.firstFrameAt = Date.now(); });
    }
    if (!window.firstFrameAt) setTimeout(look, 5);
  };
  look();
}

/** The pair that media takes, and what has arrived by it. */
function transport(page) {
  return page.evaluate(async () => {
    const report = await window.peers.at(-1).getStats();
    const all = [...report.values()];
    const selected = all.find((s) => s.type === 'transport')?.selectedCandidatePairId;
    const pair = report.get(selected);
    const media = all.filter((s) => s.type === 'inbound-rtp');
    const local = pair && report.get(pair.localCandidateId);
    const remote = pair && report.get(pair.remoteCandidateId);
    return {
      local: local?.candidateType,
      remote: remote?.candidateType,
      protocol: local?.protocol,
      relayProtocol: local?.relayProtocol,
      bytes: media.reduce((sum, s) => sum + s.bytesReceived, 0),
      frames: media.find((s) => s.kind === 'video')?.framesDecoded ?? 0,
      sound: media.find((s) => s.kind === 'audio')?.packetsReceived ?? 0,
    };
  });
}

const described = ({ local, remote, protocol, relayProtocol }) =>
  `${local} to ${remote} over ${relayProtocol ? `${relayProtocol.toUpperCase()} to the relay` : protocol.toUpperCase()}`;

describe('media between two browsers', { skip: !canStart && 'it needs a server of its own' }, () => {
  let networks;
  let server;
  let browsers;
  let calls = 0;

  before(async () => {
    networks = new Networks();
    server = await startPublicServer(networks, TURN);
    const flags = [`--ignore-certificate-errors-spki-list=${server.pin}`];
    browsers = await Promise.all([0, 1].map((n) => launchChromium({ program: networks.program(n, PROGRAM), flags })));
  });

  after(async () => {
    await Promise.all(browsers?.map((browser) => browser.close()) ?? []);
    await server?.stop();
    networks?.remove();
  });

  async function signIn(t, browser, user) {
    const page = await openPage(t, browser, `${server.url}/#/call`, { ignoreHTTPSErrors: true });
    page.faults.allow(/401/);
    await page.getByLabel('Token').fill(server.token({ role: 'user', user }));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`You are ${user}.`).waitFor();
    await page.evaluate(noteTimes);
    return page;
  }

  /** Somebody in home 0 calls somebody in home 1. Gives both pages, once both see the other. */
  async function connect(t, rules) {
    rules.forEach((rule, n) => networks.route(n, rule));
    calls += 1;
    const [a, b] = [`alice${calls}`, `bob${calls}`];
    const [alice, bob] = await Promise.all([signIn(t, browsers[0], a), signIn(t, browsers[1], b)]);
    await alice.getByRole('button', { name: `Call ${b}`, exact: true }).click();
    await bob.getByRole('heading', { name: `${a} calls you` }).waitFor();
    const before = networks.carried();
    await bob.getByRole('button', { name: 'Accept' }).click();
    const seen = (page) => until('the other is seen', () => page.evaluate(() => window.firstFrameAt), FIRST_FRAME_MS);
    const frames = await Promise.all([alice, bob].map(seen));
    const accepted = await bob.evaluate(() => window.acceptedAt);
    t.diagnostic(`accept to first frame: ${frames.map((at) => `${at - accepted} ms`).join(' and ')} at caller and callee`);
    return { pages: [alice, bob], users: [a, b], before };
  }

  /** Both ends' pairs, once they are as `fits` wants them, and media moves over them. */
  async function settled(t, pages, fits) {
    const ends = await until('media takes the way that it should', async () => {
      const found = await Promise.all(pages.map(transport));
      return found.every(fits) && found.every((end) => end.frames > 5 && end.sound > 5) && found;
    }, FIRST_FRAME_MS);
    ends.forEach((end, n) => t.diagnostic(`${['caller', 'callee'][n]}: ${described(end)}`));
    return ends;
  }

  /** What crosses the server's line while media arrives at both ends: {page, rest, media}. */
  async function watchLine(pages) {
    const bytes = async () => (await Promise.all(pages.map(transport))).map((end) => end.bytes);
    const [line, first] = [networks.carried(), await bytes()];
    const last = await until('media arrives', async () => {
      const now = await bytes();
      return now.every((count, n) => count > first[n] + WATCHED_BYTES) && now;
    }, FIRST_FRAME_MS);
    const now = networks.carried();
    return { page: now.page - line.page, rest: now.rest - line.rest, media: last[0] + last[1] - first[0] - first[1] };
  }

  /** Reports of one direction, of all calls so far, by the way that it took. */
  function ways() {
    const { columns, rows } = server.report('ways');
    const at = (name) => columns.findIndex(({ key }) => key === name);
    const count = (name) => Math.round(rows.reduce((sum, row) => sum + row[at('samples')] * (row[at(name)] ?? 0), 0));
    return { mesh: count('mesh'), relayed: count('relayed'), server: count('server') };
  }

  /** How each end says that it comes to the other: in its events, once they are counted as `way`. */
  async function reported(users, way, before) {
    const said = (user) => server.events().filter((event) => event.type === 'client.report' && event.user === user)
      .flatMap(({ data }) => data.quality ?? []).find(({ local }) => local);
    return until(`both ends have reported, and it is counted as ${way}`, () => {
      const both = users.map(said);
      return both.every(Boolean) && ways()[way] >= before[way] + 2 && both;
    }, REPORTED_MS);
  }

  async function hangUp([alice, bob]) {
    await bob.getByRole('button', { name: 'Hang up' }).click();
    for (const page of [alice, bob]) await page.getByText('The call has ended.').first().waitFor();
  }

  for (const { name, rules, caller, callee, first, isReported } of DIRECT) {
    test(`goes directly: ${name}`, async (t) => {
      const counted = ways();
      const { pages, users, before: line } = await connect(t, rules);
      const kinds = [[caller, callee], [callee, caller]];
      const isDirect = ({ local, remote, protocol }, n) =>
        protocol === 'udp' && kinds[n][0].includes(local) && kinds[n][1].includes(remote);
      await settled(t, pages, isDirect);
      for (const page of pages) await page.locator('.call-tile').getByText('Direct', { exact: true }).waitFor();
      const watched = await watchLine(pages);
      const rest = networks.carried().rest - line.rest;
      t.diagnostic(`${watched.media} bytes of media arrived while ${watched.rest} came and went at the relay and ${watched.page} at the page; at the relay ${rest} since Accept`);
      assert.ok(watched.rest < KEPT_ALIVE_BYTES, `${watched.rest} bytes at the relay`);
      assert.ok(watched.page < watched.media * REPORTS_SHARE, `${watched.page} bytes at the page`);
      assert.ok(rest < first, `${rest} bytes at the relay since Accept`);
      if (isReported) {
        for (const { path, local, remote, transport: carrier } of await reported(users, 'mesh', counted)) {
          assert.deepEqual([path, local, remote, carrier], ['direct', 'host', 'host', 'udp']);
        }
        assert.equal(ways().relayed, 0);
      }
      await hangUp(pages);
    });
  }

  for (const { name, rules, protocol, relays, isReported } of RELAYED) {
    test(`is relayed: ${name}`, async (t) => {
      const counted = ways();
      const { pages, users } = await connect(t, rules);
      const isRelayed = (end) => [end.local, end.remote].includes('relay')
        && (end.local !== 'relay' || (end.relayProtocol === protocol && end.protocol === 'udp'));
      const ends = await settled(t, pages, isRelayed);
      const own = ends.filter((end) => end.local === 'relay').length;
      assert.ok(own >= relays, `${own} of the ends have a relay`);
      for (const page of pages) await page.locator('.call-tile').getByText('Relayed', { exact: true }).waitFor();
      const watched = await watchLine(pages);
      t.diagnostic(`${watched.media} bytes of media arrived while ${watched.rest} crossed the server's line`);
      assert.ok(watched.rest > watched.media, 'media comes to the server and leaves it');
      if (isReported) {
        for (const { path, local, remote, transport: carrier } of await reported(users, 'relayed', counted)) {
          assert.ok(path === 'direct' && [local, remote].includes('relay'), `${path}: ${local} to ${remote}`);
          if (local === 'relay') assert.equal(carrier, protocol);
        }
      }
      if (protocol !== 'udp') assert.ok([0, 1].every((n) => networks.refused(n) > 0), 'other ways were tried');
      await hangUp(pages);
    });
  }
});
