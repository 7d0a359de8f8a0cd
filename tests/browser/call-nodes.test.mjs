// Calls between pages of two nodes: they go through the node on which they live.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchChromium, openPage } from './support/chromium.mjs';
import { movesAgain, noteFrames } from './support/frames.mjs';
import { startRedis } from './support/redis.mjs';
import { canStart, startServer } from './support/server.mjs';
import { until } from './support/until.mjs';

const SEEN_MS = 30_000;

describe('a call between two nodes', { skip: !canStart && 'it starts servers of its own' }, () => {
  let redis = null;
  let browser = null;
  let nodes = {};

  before(async () => {
    redis = await startRedis();
    const more = (url) => `
[directory]
redis_url = "${redis.url}"
public_url = "${url}/"
[calls]
mesh_most = 2
`;
    const [a, b] = await Promise.all([startServer({ more }), startServer({ more })]);
    nodes = { a, b };
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    for (const node of Object.values(nodes)) await node.stop();
    await redis?.stop();
  });

  async function signIn(t, node, name) {
    const page = await openPage(t, browser, `${node.url}/#/call`);
    // The call's own node.
    page.faults.allow(/foreign request: .*\/wh[ei]p\/call-/);
    await page.evaluate(noteFrames);
    await page.getByLabel('Your name').fill(name);
    await page.keyboard.press('Enter');
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  const metric = async (node, name) => {
    const text = await (await fetch(`${node.url}/metrics`)).text();
    return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? 0);
  };
  const both = async (name) => (await metric(nodes.a, name)) + (await metric(nodes.b, name));
  const sees = (page, user, from) => until(`${user} moves`, () => movesAgain(page, user, from, 10), SEEN_MS);
  const shows = (page, user, text) => page.locator(`.call-tile[data-user="${user}"]`).getByText(text, { exact: true }).waitFor({ timeout: SEEN_MS });
  /** How many others are heard through the server. */
  const heard = (page) => page.evaluate(async () => {
    let count = 0;
    for (const peer of window.peers.filter((each) => each.getTransceivers().every(({ direction }) => direction === 'recvonly'))) {
      for (const stats of (await peer.getStats()).values()) count += Number(stats.type === 'inbound-rtp' && stats.kind === 'audio' && stats.packetsReceived > 10);
    }
    return count;
  });

  test('falls back one way where that is cut, and as a group goes there with all of them', async (t) => {
    const [alice, bob, carol] = [await signIn(t, nodes.a, 'alice'), await signIn(t, nodes.b, 'bob'), await signIn(t, nodes.b, 'carol')];
    const call = (page, name) => page.getByRole('button', { name: `Call ${name}`, exact: true });
    await call(alice, 'bob').waitFor();
    await call(bob, 'alice').waitFor();
    // Both ring at once: that is one call, which nobody has to accept.
    await Promise.all([call(alice, 'bob').click(), call(bob, 'alice').click()]);
    const pair = [[alice, 'bob'], [bob, 'alice']];
    for (const [page, user] of pair) await sees(page, user, 0);
    for (const [page, user] of pair) await shows(page, user, 'Direct');
    assert.equal(await both('stentor_calls_current'), 1);

    const cut = Date.now();
    await alice.evaluate(() => {
      for (const peer of window.peers) for (const sender of peer.getSenders()) sender.replaceTrack(null);
    });
    await shows(bob, 'alice', 'In by server, out direct');
    const again = await until('Alice moves again', () => movesAgain(bob, 'alice', cut + 500), SEEN_MS);
    t.diagnostic(`cut to moving pictures: ${again - cut} ms`);
    assert.deepEqual([await both('stentor_calls_directions{path="server"}'), await both('stentor_calls_directions{path="direct"}')], [1, 1]);

    const began = Date.now();
    await alice.evaluate(() => window.sockets.at(-1).send(JSON.stringify({
      type: 'invite', call: sessionStorage.getItem('stentor.call'), users: ['carol'], media: { audio: true, video: true },
    })));
    await carol.getByRole('button', { name: 'Accept' }).click();
    const pages = { alice, bob, carol };
    for (const [name, page] of Object.entries(pages)) {
      for (const user of Object.keys(pages).filter((each) => each !== name)) {
        await shows(page, user, 'By server');
        await sees(page, user, Date.now());
      }
      await until(`${name} hears both`, async () => (await heard(page)) >= 2, SEEN_MS);
    }
    t.diagnostic(`accept to all seen by the server: ${Date.now() - began} ms`);
    const owner = (await metric(nodes.a, 'stentor_calls_current')) ? nodes.a : nodes.b;
    assert.deepEqual([await metric(owner, 'stentor_calls_legs{kind="publish"}'), await metric(owner, 'stentor_calls_legs{kind="watch"}')], [3, 6]);
    assert.deepEqual([await both('stentor_calls_legs{kind="publish"}'), await both('stentor_calls_legs{kind="watch"}')], [3, 6]);

    await carol.getByRole('button', { name: 'Leave' }).click();
    await carol.getByText('You have left the call.').first().waitFor();
    await until('nobody watches Carol', async () => (await both('stentor_calls_legs{kind="watch"}')) <= 2, SEEN_MS);
  });
});
