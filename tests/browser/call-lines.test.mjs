// Calls whose lines change: too narrow to send to everybody, too narrow for HD, another address.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchChromium, openPage, PROGRAM } from './support/chromium.mjs';
import { longestPause, movesAgain, noteFrames } from './support/frames.mjs';
import { Networks, OPEN, PAGE } from './support/networks.mjs';
import { startPublicServer } from './support/public-server.mjs';
import { canStart } from './support/server.mjs';
import { until } from './support/until.mjs';

const SEEN_MS = 45_000;
/** Bits per second of a line up that carries one picture in SD, and of one down that carries two. */
const NARROW = { up: 450_000, down: 700_000 };
/** From another address to pictures that move again, both ways. */
const RECOVERED_MS = 15_000;

describe('people whose lines change', { skip: !canStart && 'it starts a server of its own' }, () => {
  let networks = null;
  let server = null;
  const browsers = [];

  before(async () => {
    networks = new Networks();
    for (const n of [0, 1]) networks.route(n, OPEN);
    server = await startPublicServer(networks, `
[fanout]
bind = ["${PAGE}"]
shards = 1
`);
    for (const n of [0, 1]) {
      const flags = [`--ignore-certificate-errors-spki-list=${server.pin}`];
      browsers.push(await launchChromium({ program: networks.program(n, PROGRAM), flags }));
    }
  });
  after(async () => {
    for (const browser of browsers) await browser.close();
    await server?.stop();
    networks?.remove();
  });

  async function signIn(t, n, name, options = {}) {
    const page = await openPage(t, browsers[n], `${server.url}/#/call`, { ignoreHTTPSErrors: true, ...options });
    page.faults.allow(/401|503|ERR_/);
    await page.evaluate(noteFrames);
    await page.getByLabel('Token').fill(server.token({ role: 'user', user: name }));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
  const shows = (page, user, text) => page.locator(`.call-tile[data-user="${user}"]`).getByText(text, { exact: true }).waitFor({ timeout: SEEN_MS });
  const sees = (page, user, from = Date.now()) => until(`${user} moves`, () => movesAgain(page, user, from, 5), SEEN_MS);
  const lines = (page, user) => page.evaluate((name) => document.querySelector(`.call-tile[data-user="${name}"] video`).videoHeight, user);

  test('go through the server where one can’t send to each, and get SD where the line carries no more', async (t) => {
    t.after(() => networks.narrow(0, {}));
    const alice = await signIn(t, 0, 'alice', { deviceScaleFactor: 2 });
    const [bob, carol] = await Promise.all(['bob', 'carol'].map((name) => signIn(t, 1, name)));
    await press(alice, 'Call several');
    for (const name of ['bob', 'carol']) await alice.getByRole('checkbox', { name }).check();
    await press(alice, 'Ring them');
    for (const page of [bob, carol]) await press(page, 'Accept');
    await Promise.all([[alice, 'bob'], [alice, 'carol'], [bob, 'alice'], [carol, 'bob']].map(async ([page, user]) => {
      await shows(page, user, 'Direct');
      await sees(page, user);
    }));
    const began = Date.now();
    networks.narrow(0, { up: NARROW.up });
    await shows(bob, 'alice', 'By server');
    t.diagnostic(`narrow to server: ${Date.now() - began} ms`);
    for (const page of [bob, carol]) await sees(page, 'alice');
    assert.match(server.log(), /alice would send .* and has .* up/);

    // What Alice gets is as it is sent, until her line carries SD and no more.
    networks.narrow(0, {});
    await until('Bob comes in HD', async () => (await lines(alice, 'bob')) > 360, SEEN_MS);
    const narrowed = Date.now();
    networks.narrow(0, { down: NARROW.down });
    await until('Bob comes in SD', async () => (await lines(alice, 'bob')) === 360, SEEN_MS);
    t.diagnostic(`narrow to SD: ${Date.now() - narrowed} ms`);
    await sees(alice, 'bob');
    networks.narrow(0, {});
    await press(alice, 'End for all');
    for (const page of [bob, carol]) await page.getByText('The call has ended.').first().waitFor();
  });

  test('go on with their call from another address', async (t) => {
    const [dave, erin] = await Promise.all([signIn(t, 0, 'dave'), signIn(t, 1, 'erin')]);
    await press(dave, 'Call erin');
    await press(erin, 'Accept');
    for (const [page, user] of [[dave, 'erin'], [erin, 'dave']]) {
      await shows(page, user, 'Direct');
      await sees(page, user);
    }
    const moved = Date.now();
    networks.move(0);
    t.after(() => networks.move(0));
    const pages = [[dave, 'erin'], [erin, 'dave']];
    await Promise.all(pages.map(async ([page, user]) => {
      const again = await until(`${user} moves again`, () => movesAgain(page, user, moved + 1000, 20), SEEN_MS);
      t.diagnostic(`${user} moves ${again - moved} ms after the change`);
      assert.ok(again - moved < RECOVERED_MS, `within ${RECOVERED_MS} ms`);
    }));
    await dave.getByText('Reachable').waitFor();
    t.diagnostic(`longest pause: ${await longestPause(erin, 'dave', moved, Date.now())} ms`);
    await press(dave, 'Hang up');
    await erin.getByText('The call has ended.').first().waitFor();
  });
});
