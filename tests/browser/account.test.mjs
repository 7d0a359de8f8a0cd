// One's account by keyboard alone: the name that others see, the password, and where one is signed in.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { openPage } from './support/chromium.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const SCREENS = [
  { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
];
const [OLD, NEW] = ['correct horse battery', 'staple and a horse'];
const PICTURES = process.env.STENTOR_PICTURES;

describe('an account', { skip: !canStart }, () => {
  const bed = testbed({ tokens: true, more: '[accounts]\nenabled = true\n' });

  async function signIn(t, name, password, options = {}) {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`, options);
    // Without a token, and where one tries what is no longer good.
    page.faults.allow(/401/);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
    return page;
  }

  /** Presses Tab until what has the focus is called so. */
  async function tabTo(page, name) {
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() => {
        const element = document.activeElement;
        return (element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent).trim();
      });
      if (name.test(focused)) return;
    }
    throw new Error(`no way to ${name} by Tab`);
  }

  test('is renamed, gets another password and is signed out elsewhere, by keyboard alone', async (t) => {
    await bed.server.api('POST', '/api/v1/users', { name: 'ruth', display_name: 'Ruth', password: OLD });
    const page = await signIn(t, 'ruth', OLD, { bypassCSP: true, reducedMotion: 'reduce' });
    await page.getByText('You are Ruth.').waitFor();
    const elsewhere = await signIn(t, 'ruth', OLD);
    await elsewhere.getByText('You are Ruth.').waitFor();

    await page.getByRole('link', { name: 'Account' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    await tabTo(page, /^Name that others see$/);
    await page.keyboard.press('Control+A');
    await page.keyboard.type('Ruth Z.');
    await page.keyboard.press('Enter');
    await page.getByText('The name is saved.').first().waitFor();

    for (const { viewport, ...media } of SCREENS) {
      await page.setViewportSize(viewport);
      await page.emulateMedia(media);
      await page.getByRole('button', { name: /^Sign out Chromium/ }).waitFor();
      await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), RULES);
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' | ')}`), [], media.colorScheme);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `nothing sticks out sideways: ${overflow} pixels`);
      if (PICTURES) await page.screenshot({ path: `${PICTURES}/account-${media.colorScheme}.png`, fullPage: true });
    }

    // Of two devices, each with a row, the other is put out: after a question.
    const rows = page.getByRole('table', { name: 'Devices' }).getByRole('row');
    await rows.nth(2).waitFor();
    await tabTo(page, /^Sign out Chromium on Linux/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Sign out Chromium on Linux?' }).waitFor();
    await tabTo(page, /^Sign it out$/);
    await page.keyboard.press('Enter');
    await elsewhere.getByRole('heading', { name: 'Sign in' }).waitFor();
    await rows.nth(2).waitFor({ state: 'detached' });

    const again = await signIn(t, 'ruth', OLD);
    await again.getByText('You are Ruth Z.').waitFor();
    await page.getByLabel('Current password').focus();
    await page.keyboard.type('not the password');
    await page.keyboard.press('Tab');
    await page.keyboard.type(NEW);
    await page.keyboard.press('Tab');
    await page.keyboard.type(`${NEW}!`);
    await page.keyboard.press('Enter');
    await page.getByText('The two are not the same.').waitFor();
    await page.keyboard.press('Backspace');
    await page.keyboard.press('End');
    await page.getByLabel('New password once more').fill(NEW);
    page.faults.allow(/40[13]/);
    await page.keyboard.press('Enter');
    await page.getByRole('form', { name: 'Password' }).getByRole('alert').waitFor();
    await page.getByLabel('Current password').fill(OLD);
    await page.keyboard.press('Enter');
    await page.getByText('The password is changed.').first().waitFor();
    // Whoever else was signed in is out, and the old password is good for nothing.
    await again.getByRole('heading', { name: 'Sign in' }).waitFor();
    await again.getByLabel('Name', { exact: true }).fill('ruth');
    await again.getByLabel('Password').fill(OLD);
    await again.keyboard.press('Enter');
    await again.getByText('The name or the password is wrong.').waitFor();
    await again.getByLabel('Password').fill(NEW);
    await again.keyboard.press('Enter');
    await again.getByText('You are Ruth Z.').waitFor();
  });
});
