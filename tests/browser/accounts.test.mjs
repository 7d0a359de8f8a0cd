// People with accounts, in two browsers: they sign up, become contacts, call and write.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { listenIn, openPage } from './support/chromium.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const PASSWORD = 'correct horse battery';
const PICTURES = process.env.STENTOR_PICTURES;

describe('with accounts', { skip: !canStart }, () => {
  const bed = testbed({ more: '[accounts]\nenabled = true\nsign_up = "open"\n' });

  /** A page of calls whose visitor has just made an account. */
  async function signUp(t, name, shown, options = {}) {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`, options);
    await page.getByRole('radio', { name: 'Make an account' }).check();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Name that others see').fill(shown);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Make the account' }).click();
    await page.getByText(`You are ${shown}.`).waitFor();
    return page;
  }

  async function befriend(one, other, [name, shown]) {
    await one.getByLabel('Add a contact by name').fill(name);
    await one.keyboard.press('Enter');
    await other.getByRole('button', { name: `Accept ${shown.other}` }).click();
    await one.getByRole('button', { name: `Call ${shown.own}` }).waitFor();
  }

  async function write(page, text) {
    await page.getByRole('textbox', { name: 'Message' }).fill(text);
    await page.keyboard.press('Enter');
  }

  test('two sign up, become contacts, write to each other, call, and write in the call', async (t) => {
    const anna = await signUp(t, 'anna', 'Anna B.');
    const bert = await signUp(t, 'bert', 'Bert C.');
    await befriend(anna, bert, ['bert', { own: 'Bert C.', other: 'Anna B.' }]);
    await anna.getByText('Available').waitFor();

    await anna.getByRole('button', { name: 'Write to Bert C.' }).click();
    await write(anna, 'Shall we talk?');
    await bert.getByText('1 unread').waitFor();
    await bert.getByRole('button', { name: 'Write to Anna B.' }).click();
    await bert.locator('.chat-message').getByText('Shall we talk?').waitFor();
    await anna.getByText('Read by Bert C.').waitFor();
    await bert.getByRole('textbox', { name: 'Message' }).pressSequentially('Ye');
    await anna.getByText('Bert C. types…').waitFor();
    await write(bert, 'Yes, now');
    await anna.locator('.chat-message').getByText('Yes, now').waitFor();
    await anna.getByRole('button', { name: 'Find messages' }).click();
    await anna.getByRole('searchbox', { name: 'Find messages' }).fill('talk');
    await anna.keyboard.press('Enter');
    await anna.getByRole('list', { name: 'Found' }).getByText('Shall we talk?').waitFor();
    await anna.getByText('1 message', { exact: true }).waitFor();
    await anna.getByRole('button', { name: 'Find messages' }).click();

    await anna.getByRole('button', { name: 'Call Bert C.' }).click();
    await bert.getByRole('heading', { name: 'Anna B. calls you' }).waitFor();
    await bert.getByRole('button', { name: 'Accept' }).click();
    await until('pictures come', () => bert.evaluate(() => document.querySelector('.call-tile video')?.videoWidth > 0), 20_000);
    await bert.locator('.call-tile').getByText('Anna B.').waitFor();
    await anna.getByRole('region', { name: 'Chat of this call' }).waitFor();
    await write(anna, 'Only in this call');
    await bert.locator('.chat-message').getByText('Only in this call').waitFor();
    if (PICTURES) await bert.screenshot({ path: `${PICTURES}/call-chat.png`, fullPage: true });
    await anna.getByRole('button', { name: 'Hang up' }).click();
    await bert.getByRole('button', { name: 'Call Anna B.' }).waitFor();
    // Another page of the same person finds what was written.
    await bert.reload();
    await bert.getByRole('button', { name: 'Write to Anna B.' }).click();
    await bert.locator('.chat-message').getByText('Yes, now').waitFor();
    assert.equal(await bert.locator('.chat-message').count(), 2);
    if (PICTURES) await bert.screenshot({ path: `${PICTURES}/contacts.png`, fullPage: true });
  });

  test('one is not to be disturbed, blocks, and signs out', async (t) => {
    const carla = await signUp(t, 'carla', 'Carla');
    const dan = await signUp(t, 'dan', 'Dan');
    await befriend(carla, dan, ['dan', { own: 'Dan', other: 'Carla' }]);
    await dan.getByRole('button', { name: 'Do not disturb' }).click();
    await carla.getByText('Not to be disturbed').waitFor();
    assert.ok(await carla.getByRole('button', { name: 'Call Dan' }).isDisabled());
    await dan.getByRole('button', { name: 'Do not disturb' }).click();
    await carla.getByText('Available').waitFor();
    await dan.getByRole('button', { name: 'More about Carla' }).click();
    await dan.getByRole('menuitem', { name: 'Block…' }).click();
    await dan.getByRole('button', { name: 'Block', exact: true }).click();
    await carla.getByRole('button', { name: 'Call Dan' }).waitFor({ state: 'detached' });
    await dan.getByRole('button', { name: 'Unblock Carla' }).waitFor();
    await carla.getByLabel('Add a contact by name').fill('dan');
    carla.faults.allow(/409/);
    await carla.keyboard.press('Enter');
    await carla.getByText('Takes no requests from you.').waitFor();
    await dan.getByRole('button', { name: 'Sign out' }).click();
    await dan.getByRole('button', { name: 'Sign in' }).waitFor();
    // Who was here comes back with the password, and with no other.
    dan.faults.allow(/401/);
    await dan.getByLabel('Name', { exact: true }).fill('dan');
    await dan.getByLabel('Password').fill('not the password');
    await dan.getByRole('button', { name: 'Sign in' }).click();
    await dan.getByText('The name or the password is wrong.').waitFor();
    await dan.getByLabel('Password').fill(PASSWORD);
    await dan.getByRole('button', { name: 'Sign in' }).click();
    await dan.getByText('You are Dan.').waitFor();
  });

  for (const screen of [
    { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
    { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  ]) {
    test(`contacts and chat are accessible, ${screen.colorScheme}, ${screen.viewport.width} pixels wide`, async (t) => {
      const [own, other] = [`eve-${screen.colorScheme}`, `fay-${screen.colorScheme}`];
      const options = { ...screen, bypassCSP: true, reducedMotion: 'reduce' };
      const fay = await signUp(t, other, `Fay ${screen.colorScheme}`);
      const eve = await signUp(t, own, `Eve ${screen.colorScheme}`, options);
      await befriend(eve, fay, [other, { own: `Fay ${screen.colorScheme}`, other: `Eve ${screen.colorScheme}` }]);
      await eve.getByRole('button', { name: 'Write to Fay' }).click();
      await write(eve, 'Hello\nand a word that is long: '.concat('x'.repeat(90)));
      await fay.getByText('1 unread').waitFor();
      await eve.addScriptTag({ path: AXE });
      const { violations } = await eve.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' | ')}`), []);
      const overflow = await eve.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `nothing sticks out sideways: ${overflow} pixels`);
      // The bar is fullest here, and fits between a telephone and a desk, too.
      for (const width of [320, 360, 641, 700, 844, 1000, 1100]) {
        await eve.setViewportSize({ width, height: 600 });
        const out = await eve.evaluate(() => [...document.querySelectorAll('.nav a, .topbar-end > *, main')].map((each) => each.getBoundingClientRect()).filter(({ left, right }) => left < 0 || right > innerWidth).length);
        assert.equal(out, 0, `nothing sticks out, ${width} pixels wide`);
      }
      await eve.setViewportSize(screen.viewport);
      if (PICTURES) await eve.screenshot({ path: `${PICTURES}/chat-${screen.colorScheme}.png`, fullPage: true });
    });
  }
});

describe('with accounts and keys', { skip: !canStart }, () => {
  const keyed = testbed({ tokens: true, more: '[accounts]\nenabled = true\n' });

  test('one signs in by name, has calls and their recordings alone, and stays while tokens end', async (t) => {
    await keyed.server.api('POST', '/api/v1/users', { name: 'gus', display_name: 'Gus', password: PASSWORD });
    const page = await openPage(t, keyed.browser, `${keyed.server.url}/#/call`);
    page.faults.allow(/401/);
    const said = listenIn(page);
    await page.getByLabel('Name', { exact: true }).fill('gus');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).first().click();
    await page.getByText('You are Gus.').waitFor();
    assert.deepEqual(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allTextContents(), ['Calls', 'Recordings']);

    // What the server says a minute before a token's end.
    const first = said.sent.find(({ type }) => type === 'hello').token;
    const { exp } = JSON.parse(Buffer.from(first.split('.')[1], 'base64url'));
    await until('a token of this moment is another', () => Date.now() / 1000 + 12 * 3600 > exp + 1);
    await page.evaluate(() => window.sockets.at(-1).dispatchEvent(new MessageEvent('message', { data: '{"type":"token_expires","seq":0,"in_ms":60000}' })));
    const shown = await until('another token is shown', () => said.sent.find(({ type }) => type === 'token'));
    assert.notEqual(shown.token, first);
    const taken = await until('it is taken', () => said.heard.find(({ type, request }) => type === 'token_expires' && request === shown.request));
    assert.ok(taken.in_ms > 11 * 3_600_000, `${taken.in_ms}`);
    assert.equal(await page.evaluate(() => sessionStorage.getItem('stentor.token')), shown.token);
    assert.equal(said.sockets, 1, 'over the same socket');
    await page.getByText('Reachable').waitFor();
  });
});
