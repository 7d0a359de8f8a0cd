// A call of more than fit on a page: 9, 16 or 25 tiles are shown, only what is shown is sent, and
// everybody is heard.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openPage } from './support/chromium.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const SEEN_MS = 30_000;
const PICTURES = process.env.STENTOR_PICTURES;
/** Those without a camera who come between the two with one. */
const GUESTS = Array.from({ length: 9 }, (_, n) => `guest${n + 1}`);

/**
 * In a page: a device for each name that takes part in what it is rung for, and neither sends nor
 * receives.
 */
function attend(names) {
  window.guests = names.map((user) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    const say = (message) => socket.send(JSON.stringify(message));
    const limit = { codec: 'vp8', resolution: { width: 640, height: 360 }, frame_rate: 30 };
    const capabilities = { encode: [limit], decode: [limit], up_bps: 1e6, down_bps: 1e7, network: 'ethernet' };
    socket.addEventListener('open', () => say({ type: 'hello', version: 1, device: 'only', user, capabilities }));
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'ring') say({ type: 'accept', call: message.call, media: { audio: false, video: false } });
      if (message.seq > 0) say({ type: 'ack', seq: message.seq });
    });
    return socket;
  });
}

/** In the page: whose picture comes: video whose frames have become more since the last look. */
async function arriving() {
  const counts = new Map();
  let sounds = 0;
  for (const peer of window.peers.filter((each) => each.connectionState === 'connected')) {
    for (const stats of (await peer.getStats()).values()) {
      if (stats.type !== 'inbound-rtp') continue;
      const key = `${window.peers.indexOf(peer)}-${stats.kind}`;
      const before = window.lastCounts?.get(key) ?? stats.packetsReceived;
      counts.set(key, stats.packetsReceived);
      if (stats.kind === 'audio' && stats.packetsReceived > before) sounds += 1;
      if (stats.kind === 'video' && stats.packetsReceived > before) counts.set(`${key}-moves`, true);
    }
  }
  window.lastCounts = counts;
  return { pictures: [...counts.keys()].filter((key) => key.endsWith('-moves')).length, sounds };
}

describe('a call of twelve', { skip: !canStart && 'it needs settings of its own' }, () => {
  const bed = testbed({ more: '[calls]\nmesh_most = 2\n' });

  async function signIn(t, name) {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`);
    // A worker that starts while everything else does may take longer than a publisher waits; what
    // is told of it comes back from a channel that has just gone.
    page.faults.allow(/503|422/);
    await page.getByLabel('Your name').fill(name);
    await page.keyboard.press('Enter');
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  test('shows a page of them, and gets the pictures of that page alone', async (t) => {
    const [vera, ann] = await Promise.all(['vera', 'ann'].map((name) => signIn(t, name)));
    const zoe = await signIn(t, 'zoe');
    await ann.evaluate(attend, GUESTS);
    const people = vera.getByRole('region', { name: 'People' });
    await people.getByText('guest9').waitFor();
    await vera.getByRole('button', { name: 'Call ann', exact: true }).click();
    await ann.getByRole('button', { name: 'Accept' }).click();
    const add = async (names) => {
      await vera.getByRole('button', { name: 'Add people' }).click();
      for (const name of names) await vera.getByRole('checkbox', { name, exact: true }).check();
      await vera.getByRole('button', { name: 'Ring them' }).click();
      await vera.getByRole('dialog').waitFor({ state: 'detached' });
    };
    await add(GUESTS);
    await add(['zoe']);
    await zoe.getByRole('button', { name: 'Accept' }).click();

    const users = () => vera.evaluate(() => [...document.querySelectorAll('.call-tile')].map((each) => each.dataset.user));
    const comes = (what, pictures) => until(what, async () => {
      const now = await vera.evaluate(arriving);
      return now.pictures === pictures && now.sounds === 2 && now;
    }, SEEN_MS);
    const size = vera.getByLabel('Pictures on a page');
    const plays = (name) => until(`${name} moves`, () => vera.evaluate((user) => document.querySelector(`.call-tile[data-user="${user}"] video`)?.videoWidth > 0, name), SEEN_MS);

    await vera.getByText('Page 1 of 2').waitFor();
    assert.deepEqual(await users(), ['ann', ...GUESTS.slice(0, 8)]);
    await plays('ann');
    await comes('one picture and both voices', 1);
    if (PICTURES) await vera.screenshot({ path: `${PICTURES}/pages-9.png` });
    await vera.getByRole('button', { name: 'Next page' }).focus();
    await vera.keyboard.press('Enter');
    await vera.getByText('Page 2 of 2').waitFor();
    assert.deepEqual(await users(), ['guest9', 'zoe']);
    assert.equal(await vera.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Previous page', 'the focus stays near');
    await plays('zoe');
    await comes('the other picture and both voices', 1);
    for (const tiles of ['16', '25']) {
      await size.selectOption(tiles);
      await vera.getByText('11 people').waitFor();
      assert.equal((await users()).length, 11);
      await comes('both pictures and voices', 2);
      const overflow = await vera.evaluate(() => document.querySelector('.call-stage').getBoundingClientRect().height - window.innerHeight);
      assert.ok(overflow < 0, `all of them are on the screen: ${overflow}`);
      if (PICTURES) await vera.screenshot({ path: `${PICTURES}/pages-${tiles}.png` });
    }
    await size.selectOption('9');
    await vera.getByText('Page 1 of 2').waitFor();
    await comes('one picture and both voices again', 1);
    await vera.getByRole('button', { name: 'End for all' }).click();
    for (const page of [ann, zoe]) await page.getByText('The call has ended.').first().waitFor();
  });
});
