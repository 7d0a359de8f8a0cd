// The page of analytics: plots of a day that is known.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { openPage } from './support/chromium.mjs';
import { writeLog } from './support/events.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let story = null;
const bed = testbed({ prepare: (state) => { story = writeLog(state); } });

const tile = (page, title) => page.locator('.tile').filter({ hasText: title }).locator('dd');
const panel = (page, title) => page.locator('.panel').filter({ has: page.getByRole('heading', { name: title, exact: true }) });

/** A page on which the whole story is seen. */
async function open(t, options = {}) {
  const page = await openPage(t, bed.browser, `${bed.server.url}/#/analytics`, options);
  await until('all calls are counted', async () => {
    const { rows, columns } = await bed.server.api('GET', '/api/v1/analytics/totals?step=1d&from=' + new Date(Date.now() - 2 * 86_400_000).toISOString());
    return rows[0][columns.findIndex(({ key }) => key === 'calls')] === story.calls;
  });
  await page.getByLabel('Time', { exact: true }).selectOption('168');
  await until('the page has them', async () => (await tile(page, /^Calls\d/).textContent()) === story.calls.toLocaleString('en'));
  return page;
}

/** Takes a picture for whoever wants to look: SHOTS is a folder. */
async function shoot(page, name) {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true });
}

describe('the page of analytics', { skip: !canStart }, () => {
  test('plots a known day, with axes, units and figures under pointer and arrow keys', async (t) => {
    const page = await open(t);
    for (const title of ['Users', 'Calls', 'Calls at once', 'Drops by cause', 'Viewers by channel']) {
      const picture = panel(page, title).locator('svg.plot-picture');
      assert.ok(await picture.locator('.plot-line path, .plot-column').count() >= 1, `${title} is drawn`);
      assert.ok(await picture.locator('.plot-axes text').count() >= 4, `${title} has ticks`);
    }
    assert.match(await panel(page, 'Bit rate received').locator('.plot-axes').textContent(), /b\/s.*bits a second/);
    const calls = panel(page, 'Calls').locator('svg.plot-picture');
    await calls.focus();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    await panel(page, 'Calls').getByRole('status').getByText(/Begun \d+, Answered \d+/).waitFor({ state: 'attached' });
    await panel(page, 'Calls').locator('.plot-tip').waitFor();
    await page.keyboard.press('Escape');
    await panel(page, 'Calls').locator('.plot-tip').waitFor({ state: 'hidden' });
    const drops = panel(page, 'Drops by cause').locator('svg.plot-picture');
    await drops.scrollIntoViewIfNeeded();
    await drops.hover({ position: { x: 300, y: 100 } });
    await panel(page, 'Drops by cause').locator('.plot-tip').waitFor();
    await shoot(page, 'analytics-light');
  });

  test('the sum of what is plotted is what happened', async (t) => {
    const page = await open(t);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export Calls as CSV' }).click(),
    ]);
    const [head, ...rows] = readFileSync(await download.path(), 'utf8').trim().split('\r\n').map((line) => line.split(','));
    const begun = rows.reduce((sum, row) => sum + Number(row[head.indexOf('started')]), 0);
    assert.equal(begun, story.calls);
    const table = page.getByRole('table', { name: 'Quality' });
    await page.getByLabel('Quality by').selectOption('quality-by-device');
    await table.getByRole('cell', { name: 'phone' }).waitFor();
    await page.getByLabel('Quality by').selectOption('quality-by-network');
    await table.getByRole('cell', { name: 'cellular' }).waitFor();
    const watched = page.getByRole('table', { name: 'Channels and renditions' });
    await watched.getByRole('row').filter({ hasText: 'sport' }).first().waitFor();
  });

  test('an hour of which nothing is known is empty, and says so', async (t) => {
    const page = await open(t);
    await page.getByLabel('Time', { exact: true }).selectOption('own');
    await page.getByLabel('From', { exact: true }).fill('2026-01-01T00:00');
    await page.getByLabel('To', { exact: true }).fill('2026-01-02T00:00');
    await page.getByLabel('To', { exact: true }).blur();
    await panel(page, 'Calls').getByText('Nothing in this time.').waitFor({ state: 'attached' });
    await until('nothing is counted', async () => (await tile(page, /^Calls\d/).textContent()) === '0');
  });

  for (const [name, screen] of [['light', { colorScheme: 'light' }], ['phone', { colorScheme: 'dark', viewport: { width: 390, height: 844 } }]]) {
    test(`holds to axe-core’s rules: ${name}`, async (t) => {
      const page = await open(t, { ...screen, bypassCSP: true, reducedMotion: 'reduce' });
      await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target)}`), []);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `nothing sticks out sideways: ${overflow} pixels`);
      await shoot(page, `analytics-${name === 'phone' ? 'phone-dark' : 'axe'}`);
    });
  }

  test('labels stay round where the clock changes', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/analytics`, { timezoneId: 'Europe/Berlin', locale: 'en-GB' });
    const labels = await page.evaluate(async () => {
      const { timeTicks } = await import('./js/ui/scale.js');
      const day = (from, to, most = 12) => timeTicks(Date.parse(from), Date.parse(to), most).map(({ text }) => text);
      return [
        day('2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'),
        day('2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z', 8),
        day('2026-10-20T00:00:00Z', '2026-10-30T00:00:00Z'),
      ];
    });
    assert.deepEqual(labels[0].slice(0, 4), ['25 Oct', '03:00', '06:00', '09:00']);
    assert.deepEqual(labels[1].slice(0, 3), ['29 Mar', '03:00', '06:00']);
    assert.deepEqual(labels[2].slice(3, 7), ['24 Oct', '25 Oct', '26 Oct', '27 Oct']);
  });
});
