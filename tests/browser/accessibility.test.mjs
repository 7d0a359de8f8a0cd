// Every page against axe-core's rules, in both colour schemes and on a phone's width.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { openPage, videoState } from './support/chromium.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const SCREENS = [
  { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
];

const bed = testbed();

const PAGES = [
  ['the channels', '#/', (page) => page.getByRole('link', { name: 'demo', exact: true }).waitFor()],
  ['the player with its statistics', '#/watch/demo', async (page) => {
    await until('it plays', async () => (await videoState(page)).frames > 10, 20_000);
    await page.keyboard.press('i');
    await page.locator('.stage-stats').waitFor();
  }],
  ['the publish page', '#/publish', async (page) => {
    await page.getByRole('button', { name: 'Turn on camera' }).click();
    await page.locator('.preview-top').getByText('Preview').waitFor();
  }],
  ['the page of calls', '#/call', async (page) => {
    await page.getByLabel('Your name').fill('alice');
    await page.keyboard.press('Enter');
    await page.getByText('You are alice.').waitFor();
  }],
  ['the operator’s overview', '#/operator', (page) => page.getByRole('table', { name: 'What was chosen' }).waitFor()],
  ['the operator’s channel', '#/operator/demo', (page) => page.getByRole('table', { name: 'Renditions' }).waitFor()],
  ['the dialog for a new channel', '#/', async (page) => {
    await page.getByRole('button', { name: 'New channel' }).click();
    await page.getByRole('dialog').waitFor();
  }],
];

describe('accessibility', () => {
  for (const screen of SCREENS) {
    for (const [name, hash, ready] of PAGES) {
      test(`${name}, ${screen.colorScheme}, ${screen.viewport.width} pixels wide`, async (t) => {
        if (hash === '#/publish') await bed.server.publishable(t, 'booth');
        // axe-core is put in over the page's policy, which forbids foreign scripts.
        const page = await openPage(t, bed.browser, `${bed.server.url}/${hash}`, { ...screen, bypassCSP: true, reducedMotion: 'reduce' });
        await ready(page);
        await page.addScriptTag({ path: AXE });
        const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), RULES);
        const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.any.concat(n.all).map((c) => c.message).join('; ')}`).join(' | ')}`);
        assert.deepEqual(found, []);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(overflow <= 0, `nothing sticks out sideways: ${overflow} pixels`);
      });
    }
  }
});
