// Calls between pages of two nodes, each in a home of its own: they go through the node on which
// they live where they have to, and no longer than that.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { launchChromium, openPage, PROGRAM } from './support/chromium.mjs';
import { longestPause, movesAgain, noteFrames } from './support/frames.mjs';
import { cutFrom, Networks, OPEN, PAGE, RELAY } from './support/networks.mjs';
import { startPublicServer } from './support/public-server.mjs';
import { startRedis } from './support/redis.mjs';
import { canStart } from './support/server.mjs';
import { until } from './support/until.mjs';

const SEEN_MS = 30_000;
/** From the cut to pictures that move. */
const MOVE_MS = 3000;

describe('a call between two nodes', { skip: !canStart && 'it starts servers of its own' }, () => {
  let networks = null;
  let redis = null;
  const nodes = [];
  const browsers = [];

  before(async () => {
    networks = new Networks();
    redis = await startRedis();
    const more = (url) => `
[directory]
redis_url = "${redis.url}"
public_url = "${url}/"
[fanout]
bind = ["${new URL(url).hostname}"]
shards = 1
[calls]
mesh_most = 2
`;
    const keys = generateKeyPairSync('ed25519');
    nodes.push(...await Promise.all([PAGE, RELAY].map((address) => startPublicServer(networks, more, { address, keys }))));
    const flags = [`--ignore-certificate-errors-spki-list=${nodes.map(({ pin }) => pin).join()}`];
    browsers.push(...await Promise.all([0, 1].map((n) => launchChromium({ program: networks.program(n, PROGRAM), flags }))));
  });
  after(async () => {
    for (const browser of browsers) await browser.close();
    for (const node of nodes) await node.stop();
    await redis?.stop();
    networks?.remove();
  });

  /** In home `n`, by way of its node. */
  async function signIn(t, n, name) {
    const page = await openPage(t, browsers[n], `${nodes[n].url}/#/call`, { ignoreHTTPSErrors: true });
    // The call's own node; and what comes to it a moment too late, or before a worker is there.
    page.faults.allow(/foreign request: .*\/wh[ei]p\/call-|40[14]|422|503|ERR_/);
    await page.evaluate(noteFrames);
    await page.getByLabel('Token').fill(nodes[n].token({ role: 'user', user: name }));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  const both = (name) => nodes.reduce((sum, node) => sum + node.metric(name), 0);
  const sees = (page, user, from) => until(`${user} moves`, () => movesAgain(page, user, from, 10), SEEN_MS);
  const shows = (page, user, text) => page.locator(`.call-tile[data-user="${user}"]`).getByText(text, { exact: true }).waitFor({ timeout: SEEN_MS });
  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
  /** How many others are heard through the server. */
  const heard = (page) => page.evaluate(async () => {
    let count = 0;
    for (const peer of window.peers.filter((each) => each.getTransceivers().every(({ direction }) => direction === 'recvonly'))) {
      for (const stats of (await peer.getStats()).values()) count += Number(stats.type === 'inbound-rtp' && stats.kind === 'audio' && stats.packetsReceived > 10);
    }
    return count;
  });

  /** All of these, [page, whom], ring at one moment: that is one call, which nobody has to accept. */
  async function ringAtOnce(pairs) {
    for (const [page, user] of pairs) await page.getByRole('button', { name: `Call ${user}`, exact: true }).waitFor();
    const at = Date.now() + 500;
    await Promise.all(pairs.map(([page, user]) => page.evaluate(([label, moment]) => {
      const button = document.querySelector(`button[aria-label="${label}"]`);
      setTimeout(() => button.click(), moment - Date.now());
    }, [`Call ${user}`, at])));
    await Promise.all(pairs.map(([page, user]) => until(`${user} moves`, async () => {
      // A page that was held up is rung by the other.
      const accept = page.getByRole('button', { name: 'Accept' });
      if (await accept.isVisible()) await accept.click({ timeout: 1000 }).catch(() => {});
      return movesAgain(page, user, 0, 20);
    }, SEEN_MS)));
  }

  test('falls back one way where that is cut, returns, and as a group goes through the server', async (t) => {
    const [alice, bob, carol] = await Promise.all([signIn(t, 0, 'alice'), signIn(t, 1, 'bob'), signIn(t, 1, 'carol')]);
    const pair = [[alice, 'bob'], [bob, 'alice']];
    await ringAtOnce(pair);
    for (const [page, user] of pair) await shows(page, user, 'Direct');
    assert.equal(both('stentor_calls_current'), 1);
    // A call that has just begun may stutter; of this one a way that falls silent is seen at once.
    const settled = Date.now() + 2000;
    for (const [page, user] of pair) await sees(page, user, settled);

    const cut = Date.now();
    networks.route(0, cutFrom(0));
    await shows(bob, 'alice', 'In by server, out direct');
    await shows(alice, 'bob', 'In direct, out by server');
    const [last] = await bob.evaluate((at) => window.shownAt.alice.filter((time) => time < at + 500).slice(-1), cut);
    const again = await until('Alice moves again', () => movesAgain(bob, 'alice', Math.max(cut, last) + 100), SEEN_MS);
    t.diagnostic(`cut to moving pictures: ${again - cut} ms`);
    assert.ok(again - cut < MOVE_MS, `within ${MOVE_MS} ms`);
    assert.deepEqual([both('stentor_calls_directions{path="server"}'), both('stentor_calls_directions{path="direct"}')], [1, 1]);

    const lifted = Date.now();
    networks.route(0, OPEN);
    for (const [page, user] of pair) await shows(page, user, 'Direct');
    t.diagnostic(`lifted to direct: ${Date.now() - lifted} ms`);
    await until('the server is left', () => both('stentor_calls_legs{kind="publish"}') === 0 && both('stentor_fanout_viewers') === 0, SEEN_MS);
    for (const [page, user] of pair) await sees(page, user, Date.now());
    t.diagnostic(`Alice's longest pause on the way back: ${await longestPause(bob, 'alice', again, Date.now())} ms`);

    const began = Date.now();
    await press(alice, 'Add people');
    await alice.getByRole('checkbox', { name: 'carol' }).check();
    await press(alice, 'Ring them');
    await press(carol, 'Accept');
    const pages = { alice, bob, carol };
    for (const [name, page] of Object.entries(pages)) {
      for (const user of Object.keys(pages).filter((each) => each !== name)) {
        await shows(page, user, 'By server');
        await sees(page, user, Date.now());
      }
      await until(`${name} hears both`, async () => (await heard(page)) >= 2, SEEN_MS);
    }
    t.diagnostic(`accept to all seen by the server: ${Date.now() - began} ms`);
    // All of it is on the call's own node.
    const legs = nodes.map((node) => ['publish', 'watch'].map((kind) => node.metric(`stentor_calls_legs{kind="${kind}"}`)));
    assert.deepEqual(legs.sort(), [[0, 0], [3, 6]]);

    await press(carol, 'Leave');
    await carol.getByText('You have left the call.').first().waitFor();
    await until('nobody watches Carol', () => both('stentor_calls_legs{kind="watch"}') <= 2, SEEN_MS);
  });
});
