// Everything without a mouse.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openPage, videoState } from './support/chromium.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const bed = testbed();

/** Presses Tab until what has focus is called `name`; every stop on the way must show its focus. */
async function tabTo(page, name, key = 'Tab') {
  const passed = [];
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press(key);
    const focus = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const shown = (e) => e && getComputedStyle(e).outlineStyle !== 'none' && parseFloat(getComputedStyle(e).outlineWidth) >= 2;
      const beside = element.nextElementSibling;
      return {
        name: (element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent ?? '').trim(),
        visible: [element, beside, element.closest('.card')].some(shown),
      };
    });
    if (!focus) continue;
    assert.ok(focus.visible, `focus is visible on “${focus.name}”`);
    if (name.test(focus.name)) return focus.name;
    passed.push(focus.name);
  }
  throw new Error(`no way to ${name} by ${key}: ${passed.join(' | ')}`);
}

describe('by keyboard alone', () => {
  test('one walks from the channels to a playing picture, and changes its rendition', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
    await tabTo(page, /^Skip to content$/);
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    await tabTo(page, /^demo$/);
    await page.keyboard.press('Enter');
    await until('it plays', async () => (await videoState(page)).frames > 10, 20_000);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1', 'focus moved to the new page');
    await tabTo(page, /^Rendition/);
    await page.keyboard.press('Enter');
    const current = () => page.evaluate(() => document.activeElement.querySelector('.menu-item-text')?.textContent);
    assert.equal(await current(), 'Auto');
    await page.keyboard.press('End');
    const chosen = await current();
    await page.keyboard.press('Enter');
    await until('it is chosen', async () => (await page.getByRole('button', { name: `Rendition: ${chosen}` }).count()) === 1);
    await until('the picture follows', async () => (await videoState(page)).height === parseInt(chosen, 10), 15_000);
  });

  test('one makes a channel in the dialog and gets the focus back', async (t) => {
    t.after(() => bed.server.api('DELETE', '/api/v1/channels/typed').catch(() => {}));
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/operator`);
    await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
    await tabTo(page, /^New channel$/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'New channel');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('typed');
    await page.keyboard.press('Tab');
    for (let i = 0; i < 4; i += 1) await page.keyboard.press('ArrowDown');
    assert.ok(await page.getByRole('radio', { name: /^Synthetic/ }).isChecked());
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal((await bed.server.channel('typed')).source.kind, 'synthetic');
  });

  test('one changes the colours', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`, { colorScheme: 'light' });
    await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await tabTo(page, /^Colours: as the system$/);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await background(), dark, 'the choice is remembered');
  });
});
