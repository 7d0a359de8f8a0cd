// A group: in a mesh while that is small enough, then through the server. The way back is in
// call-four.test.mjs.

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

/** In the page: a microphone of which `window.voice.gain` is how loud it is. Silent at first. */
function fakeVoice() {
  const context = new AudioContext();
  const [tone, volume, end] = [context.createOscillator(), context.createGain(), context.createMediaStreamDestination()];
  tone.frequency.value = 300;
  volume.gain.value = 0;
  tone.connect(volume).connect(end);
  tone.start();
  window.voice = volume;
  const { mediaDevices } = navigator;
  const original = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wanted) => (wanted.audio ? new MediaStream(end.stream.getTracks()) : original(wanted));
}

describe('a group', { skip: !canStart && 'it needs settings of its own' }, () => {
  const bed = testbed({ more: '[calls]\nmesh_most = 2\n' });

  async function signIn(t, name, options = {}) {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`, options);
    await page.evaluate(noteFrames);
    await page.evaluate(fakeVoice);
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

  test('moves to the server as it grows, and nobody stands still for a second', async (t) => {
    const [alice, bob, carol] = [await signIn(t, 'alice'), await signIn(t, 'bob'), await signIn(t, 'carol', { deviceScaleFactor: 2 })];
    await alice.getByRole('button', { name: 'Call bob', exact: true }).click();
    await bob.getByRole('button', { name: 'Accept' }).click();
    const pair = [[alice, 'bob'], [bob, 'alice']];
    for (const [page, user] of pair) await sees(page, user, 0);
    for (const [page, user] of pair) await shows(page, user, 'Direct');

    const began = Date.now();
    await alice.getByRole('button', { name: 'Add people' }).click();
    await alice.getByRole('checkbox', { name: 'carol' }).check();
    await alice.getByRole('button', { name: 'Ring them' }).click();
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
    // What each gets is what its tiles can show; what is SD is encoded for all who show it so.
    const height = (page, user) => page.evaluate((name) => document.querySelector(`.call-tile[data-user="${name}"] video`).videoHeight, user);
    const gets = (page, what, fits) => until(`Alice comes in ${what}`, async () => fits(await height(page, 'alice')), SEEN_MS);
    await gets(bob, 'SD', (lines) => lines === 360);
    await gets(carol, 'HD', (lines) => lines > 360);
    await carol.setViewportSize({ width: 360, height: 700 });
    await gets(carol, 'SD', (lines) => lines === 360);
    await carol.setViewportSize({ width: 1280, height: 860 });
    await gets(carol, 'HD', (lines) => lines > 360);

    const speaks = (page, user) => page.locator(`.call-tile-speaks[data-user="${user}"]`).waitFor({ timeout: SEEN_MS });
    const loud = (page, gain) => page.evaluate((value) => { window.voice.gain.value = value; }, gain);
    await loud(alice, 0.5);
    for (const page of [bob, carol]) await speaks(page, 'alice');
    await loud(alice, 0);
    await loud(bob, 0.5);
    for (const page of [alice, carol]) await speaks(page, 'bob');
    assert.equal(await carol.locator('.call-tile-speaks').count(), 1);

    const up = Date.now();
    for (const [page, user] of pair) {
      const pause = await longestPause(page, user, began, up);
      t.diagnostic(`${user}'s longest pause on the way to the server: ${pause} ms`);
      assert.ok(pause < PAUSE_MS, `${user} stood still for ${pause} ms`);
    }
    await alice.getByRole('button', { name: 'End for all' }).click();
    await bob.getByText('The call has ended.').first().waitFor();
  });
});
