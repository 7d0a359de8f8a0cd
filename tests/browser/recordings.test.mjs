// A call that is recorded: everybody in it is told, whoever comes late, too; and everybody who was in
// it, and nobody else, plays what there is of it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { openPage } from './support/chromium.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PASSWORD = 'correct horse battery';
const PICTURES = process.env.STENTOR_PICTURES;
const RECORDED = 'This call is recorded.';
/** Chunks are stored and files made of them. */
const MADE_MS = 40_000;

describe('a recorded call', { skip: !canStart }, () => {
  const bed = testbed({ tokens: true, more: '[accounts]\nenabled = true\nsign_up = "open"\n[recording]\nchunk = "1s"\n' });

  async function signIn(t, name, shown, options = {}) {
    await bed.server.api('POST', '/api/v1/users', { name, display_name: shown, password: PASSWORD });
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`, { bypassCSP: true, reducedMotion: 'reduce', ...options });
    // SD isn't made of a picture that begins small: the page goes on with what there is.
    page.faults.allow(/401|422|503/);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByText(`You are ${shown}.`).waitFor();
    return page;
  }

  async function befriend(one, other, name, shown) {
    await one.getByLabel('Add a contact by name').fill(name);
    await one.keyboard.press('Enter');
    await other.getByRole('button', { name: `Accept ${shown}` }).click();
  }

  async function check(page, name) {
    await page.addScriptTag({ path: AXE });
    const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), RULES);
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' | ')}`), [], name);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${name}: nothing sticks out sideways: ${overflow} pixels`);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
  }

  test('is told to all who are in it, and played by them alone', async (t) => {
    const nina = await signIn(t, 'nina', 'Nina');
    const [olaf, pia, quin] = await Promise.all([
      signIn(t, 'olaf', 'Olaf', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }),
      signIn(t, 'pia', 'Pia'),
      signIn(t, 'quin', 'Quin'),
    ]);
    await befriend(nina, olaf, 'olaf', 'Nina');
    await befriend(nina, pia, 'pia', 'Nina');
    await nina.getByRole('button', { name: 'Call Olaf' }).click();
    await olaf.getByRole('button', { name: 'Accept' }).click();
    await nina.getByRole('button', { name: 'Record', exact: true }).click();
    for (const page of [nina, olaf]) await page.getByText(RECORDED).waitFor();
    assert.equal(await olaf.getByRole('button', { name: 'Record', exact: true }).isVisible(), false, 'only whoever called may');
    await nina.getByRole('button', { name: 'Add people' }).click();
    await nina.getByRole('checkbox', { name: 'Pia' }).check();
    await nina.getByRole('button', { name: 'Ring them' }).click();
    await pia.getByRole('button', { name: 'Accept' }).click();
    await pia.getByText(RECORDED).waitFor();
    // Through the server by now: there is something to record.
    for (const page of [nina, olaf]) await page.locator('.call-tile').first().getByText('By server').waitFor();
    await check(olaf, 'recorded-phone');
    const began = Date.now();
    await until('some seconds are recorded', () => Date.now() - began > 3000);
    await nina.getByRole('button', { name: 'Record', exact: true }).click();
    for (const page of [nina, olaf, pia]) await page.getByText(RECORDED).waitFor({ state: 'hidden' });
    await nina.getByRole('button', { name: 'End for all' }).click();
    for (const page of [olaf, pia]) await page.getByText('The call has ended.').first().waitFor();

    await quin.getByRole('link', { name: 'Recordings' }).click();
    await quin.getByText('There are no recordings yet').waitFor();
    await olaf.getByRole('link', { name: 'Recordings' }).click();
    const play = olaf.getByRole('button', { name: /^Play Call with .*Nina/ });
    await play.waitFor({ timeout: MADE_MS });
    assert.equal(await olaf.getByRole('button', { name: /^Delete/ }).isVisible(), false, 'only whoever had it recorded may');
    await play.click();
    const video = olaf.getByLabel(/^Recording: Call with/);
    const playing = await until('it plays', () => video.evaluate((v) => v.currentTime > 0.5 && { width: v.videoWidth, duration: v.duration }), 20_000);
    assert.ok(playing.width > 0 && playing.duration > 1, JSON.stringify(playing));
    await check(olaf, 'recordings-phone');
    const link = await video.getAttribute('src');
    assert.equal((await fetch(bed.server.url + link)).status, 200, 'a link is enough');
    assert.notEqual((await fetch(bed.server.url + link.replace(/signature=./, 'signature=_'))).status, 200, 'one that is made up isn’t');

    await nina.getByRole('link', { name: 'Recordings' }).click();
    await nina.getByRole('button', { name: /^Delete Call/ }).focus();
    await check(nina, 'recordings');
    await nina.keyboard.press('Enter');
    await nina.getByRole('button', { name: 'Delete it' }).click();
    await nina.getByText('There are no recordings yet').waitFor();
  });
});
