// A group: in a mesh while that is small enough, then through the server, and back.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openPage } from './support/chromium.mjs';
import { longestPause, movesAgain, noteFrames } from './support/frames.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

/** Nobody stands still for longer. */
const PAUSE_MS = 1000;
const SEEN_MS = 30_000;

describe('a group', { skip: !canStart && 'it needs settings of its own' }, () => {
  const bed = testbed({ more: '[calls]\nmesh_most = 2\n' });

  async function signIn(t, name) {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`);
    await page.evaluate(noteFrames);
    await page.getByLabel('Your name').fill(name);
    await page.keyboard.press('Enter');
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  const metric = async (name) => {
    const text = await (await fetch(`${bed.server.url}/metrics`)).text();
    return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? 0);
  };
  const sees = (page, user, from) => until(`${user} moves`, () => movesAgain(page, user, from, 10), SEEN_MS);
  const shows = (page, user, text) => page.locator(`.call-tile[data-user="${user}"]`).getByText(text, { exact: true }).waitFor({ timeout: SEEN_MS });
  const direct = (page) => page.evaluate(() => window.peers.filter((p) => p.connectionState === 'connected' && p.getTransceivers().some((each) => each.currentDirection === 'sendrecv')).length);

  test('moves to the server as it grows, and back, and nobody stands still for a second', async (t) => {
    const [alice, bob, carol] = [await signIn(t, 'alice'), await signIn(t, 'bob'), await signIn(t, 'carol')];
    await alice.getByRole('button', { name: 'Call bob', exact: true }).click();
    await bob.getByRole('button', { name: 'Accept' }).click();
    const pair = [[alice, 'bob'], [bob, 'alice']];
    for (const [page, user] of pair) await sees(page, user, 0);
    for (const [page, user] of pair) await shows(page, user, 'Direct');

    const began = Date.now();
    await alice.evaluate(() => window.sockets.at(-1).send(JSON.stringify({
      type: 'invite', call: sessionStorage.getItem('stentor.call'), users: ['carol'], media: { audio: true, video: true },
    })));
    await carol.getByRole('button', { name: 'Accept' }).click();
    const names = { alice, bob, carol };
    for (const [name, page] of Object.entries(names)) {
      for (const user of Object.keys(names).filter((each) => each !== name)) {
        await shows(page, user, 'By server');
        await sees(page, user, Date.now());
      }
    }
    t.diagnostic(`accept to all seen by the server: ${Date.now() - began} ms`);
    for (const page of Object.values(names)) await until('direct connections are closed', async () => (await direct(page)) === 0, SEEN_MS);
    assert.deepEqual([await metric('stentor_calls_legs{kind="publish"}'), await metric('stentor_calls_legs{kind="watch"}')], [3, 6]);
    assert.equal(await metric('stentor_calls_topology_changes_total{to="server"}'), 1);
    assert.deepEqual((await bed.server.api('GET', '/api/v1/channels')).channels.map(({ name }) => name), ['demo'], 'no list names a call');
    const up = Date.now();
    for (const [page, user] of pair) {
      const pause = await longestPause(page, user, began, up);
      t.diagnostic(`${user}'s longest pause on the way to the server: ${pause} ms`);
      assert.ok(pause < PAUSE_MS, `${user} stood still for ${pause} ms`);
    }

    await carol.getByRole('button', { name: 'Hang up' }).click();
    await carol.getByText('You have left the call.').first().waitFor();
    for (const [page, user] of pair) await shows(page, user, 'Direct');
    await until('the server is left', async () => (await metric('stentor_fanout_viewers')) === 0, SEEN_MS);
    const end = Date.now();
    for (const [page, user] of pair) {
      const pause = await longestPause(page, user, up, end);
      t.diagnostic(`${user}'s longest pause on the way back: ${pause} ms`);
      assert.ok(pause < PAUSE_MS, `${user} stood still for ${pause} ms`);
    }
    await alice.getByRole('button', { name: 'Hang up' }).click();
    await bob.getByText('The call has ended.').first().waitFor();
  });
});
