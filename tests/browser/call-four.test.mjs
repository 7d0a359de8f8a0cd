// Four people in one call, from a mesh to the server and back, with everything that each can do.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { launchChromium, openPage } from './support/chromium.mjs';
import { longestPause, movesAgain, noteFrames } from './support/frames.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PICTURES = process.env.STENTOR_PICTURES;
const SEEN_MS = 30_000;
/** Nobody stands still for longer. */
const PAUSE_MS = 1000;
/** Small pictures: four browsers' worth of encoders share the machine with everything else. */
const SMALL = { width: 320, height: 180 };
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' };

/** In the page: cameras give small pictures, and say which camera was asked for. */
function smallCamera(size) {
  const { mediaDevices } = navigator;
  const original = mediaDevices.getUserMedia.bind(mediaDevices);
  window.asked = [];
  mediaDevices.getUserMedia = (wanted) => {
    window.asked.push(JSON.stringify(wanted));
    if (!wanted.video) return original(wanted);
    return original({ ...wanted, video: { ...wanted.video, width: size.width, height: size.height, frameRate: 15 } });
  };
}

describe('four in a call', { skip: !canStart && 'it needs settings of its own' }, () => {
  const bed = testbed({ launch: () => launchChromium({ cameras: 3 }), more: '[calls]\nmesh_most = 3\n' });

  async function signIn(t, name, options = {}) {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`, { bypassCSP: true, reducedMotion: 'reduce', ...options });
    // A worker that starts while everything else does may take longer than a publisher waits.
    // SD isn't made of pictures as small as these: the page goes on with what there is.
    page.faults.allow(/503|422/);
    await page.evaluate(noteFrames);
    await page.evaluate(smallCamera, SMALL);
    await page.getByLabel('Your name').fill(name);
    await page.keyboard.press('Enter');
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  const tile = (page, user) => page.locator(`.call-tile[data-user="${user}"]`);
  const shows = (page, user, text) => tile(page, user).getByText(text, { exact: true }).waitFor({ timeout: SEEN_MS });
  const sees = (page, user, from = Date.now()) => until(`${user} moves`, () => movesAgain(page, user, from, 5), SEEN_MS);
  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

  async function add(page, ...names) {
    await press(page, 'Add people');
    for (const name of names) await page.getByRole('checkbox', { name }).check();
    await press(page, 'Ring them');
  }

  async function everybodySees(t, people, way) {
    const pairs = Object.entries(people).flatMap(([name, page]) => Object.keys(people).filter((user) => user !== name).map((user) => [page, user]));
    await Promise.all(pairs.map(async ([page, user]) => {
      await shows(page, user, way);
      await sees(page, user);
    }));
    t.diagnostic(`all see each other, ${way.toLowerCase()}: ${Math.round(performance.now() / 1000)} s`);
  }

  async function check(page, name) {
    await page.addScriptTag({ path: AXE });
    const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), RULES);
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`), [], name);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${name}: nothing sticks out sideways: ${overflow} pixels`);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
  }

  test('they do all that there is to do, directly, through the server and directly again', async (t) => {
    const [anna, bert, cleo, dora] = await Promise.all(['anna', 'bert', 'cleo', 'dora'].map((name) => signIn(t, name, name === 'bert' ? PHONE : {})));
    await press(anna, 'Call several');
    for (const name of ['bert', 'cleo']) await anna.getByRole('checkbox', { name }).check();
    await press(anna, 'Ring them');
    await bert.getByText('With cleo').waitFor();
    await until('the tab says who calls', async () => (await bert.title()) === 'anna calls you · Stentor');
    await check(bert, 'four-rung-phone');
    for (const page of [bert, cleo]) await press(page, 'Accept');
    await everybodySees(t, { anna, bert, cleo }, 'Direct');

    // Mute, camera off, another camera, another microphone.
    await press(bert, 'Microphone');
    await shows(anna, 'bert', 'Direct · muted');
    await press(bert, 'Camera');
    await shows(anna, 'bert', 'The camera is off.');
    await press(bert, 'Camera');
    await press(bert, 'Microphone');
    await shows(anna, 'bert', 'Direct');
    await press(anna, 'Devices');
    const camera = anna.getByLabel('Camera', { exact: true });
    await until('the default and three cameras are offered', async () => (await camera.getByRole('option').count()) === 4);
    // The second is one for depth, which nobody sees.
    const [other] = await camera.selectOption({ index: 3 });
    await until('the other camera is opened', () => anna.evaluate((id) => window.asked.at(-1).includes(id), other));
    await anna.getByLabel('Microphone', { exact: true }).selectOption({ index: 1 });
    await anna.keyboard.press('Escape');
    await sees(bert, 'anna');

    // Somebody comes later, and there are too many for a mesh.
    await add(anna, 'dora');
    await press(dora, 'Accept');
    const all = { anna, bert, cleo, dora };
    await everybodySees(t, all, 'By server');

    // Leaving, coming back, and leaving for good: after a while there are few enough for a mesh.
    await press(dora, 'Leave');
    await tile(anna, 'dora').waitFor({ state: 'detached' });
    await press(dora, 'Rejoin');
    for (const user of ['anna', 'bert', 'cleo']) await sees(dora, user);
    await sees(anna, 'dora');
    const left = Date.now();
    await press(dora, 'Leave');

    // Meanwhile: how every way fares.
    await press(anna, 'Connection');
    const row = anna.getByRole('table', { name: 'Connections' }).getByRole('row').filter({ hasText: 'cleo' });
    for (const label of ['From them', 'To them']) await row.locator(`[data-label="${label}"]`).getByText('By server').waitFor();
    await until('there are figures', async () => /\d ms/.test(await row.textContent()) && /[kM]b\/s/.test(await row.textContent()));
    await tile(anna, 'cleo').getByRole('img', { name: /^Connection: (weak|good|very good|bad)$/ }).waitFor();
    await check(bert, 'four-phone');

    // A screen is large everywhere, until it is no longer shared.
    await press(cleo, 'Share screen');
    await anna.locator('.call-tile-large[data-user="cleo"]').waitFor();
    await sees(anna, 'cleo');
    const width = (page, user) => page.evaluate((name) => document.querySelector(`.call-tile[data-user="${name}"] video`).videoWidth, user);
    await until('the screen is sent as it is', async () => (await width(anna, 'cleo')) > SMALL.width, SEEN_MS);
    await check(anna, 'four-screen');
    await press(cleo, 'Share screen');
    await anna.locator('.call-tile-large').waitFor({ state: 'detached' });
    await sees(anna, 'cleo');
    await press(anna, 'Enlarge bert');
    await anna.locator('.call-tile-large[data-user="bert"]').waitFor();
    await press(anna, 'Show bert as small as the others');

    await everybodySees(t, { anna, bert, cleo }, 'Direct');
    for (const [page, user] of [[anna, 'bert'], [bert, 'anna']]) {
      const pause = await longestPause(page, user, left, Date.now());
      t.diagnostic(`${user}'s longest pause on the way back: ${pause} ms`);
      assert.ok(pause < PAUSE_MS, `${user} stood still for ${pause} ms`);
    }
    const viewers = async () => Number(/^stentor_fanout_viewers (\S+)$/m.exec(await (await fetch(`${bed.server.url}/metrics`)).text())?.[1] ?? 0);
    await until('the server is left', async () => (await viewers()) === 0, SEEN_MS);
    await press(anna, 'End for all');
    for (const page of [anna, bert, cleo]) await page.getByText('The call has ended.').first().waitFor();
  });
});
