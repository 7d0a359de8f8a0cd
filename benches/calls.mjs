// Calls between two real Chromiums with the product's own page:
//   node calls.mjs accept COUNT   from Accept to the other's first picture, on one machine
//   node calls.mjs cut COUNT      from a cut of the direct path one way to pictures that move again
// Prints { milliseconds: [...] } as JSON: of `accept` two of each call, at the callee and the
// caller; of `cut` one each time. STENTOR_BIN is the folder of the programs.

import { launchChromium, openPage, PROGRAM } from '../tests/browser/support/chromium.mjs';
import { movesAgain, noteFrames } from '../tests/browser/support/frames.mjs';
import { Networks, OPEN, PAGE } from '../tests/browser/support/networks.mjs';
import { startPublicServer } from '../tests/browser/support/public-server.mjs';
import { startServer } from '../tests/browser/support/server.mjs';
import { until } from '../tests/browser/support/until.mjs';

const SEEN_MS = 20_000;
const CUT = `
  table ip cut {
    chain pass {
      type filter hook forward priority filter;
      ip saddr 192.168.1.2 ip daddr 192.168.2.2 meta l4proto udp drop
    }
  }`;

const ends = [];
/** What `openPage` takes a test for. */
const scope = { after: (end) => ends.push(end) };

const [what, count] = process.argv.slice(2);
const measures = { accept, cut };
if (!measures[what] || !(Number(count) > 0)) throw new Error('expected accept or cut, and a count');
let milliseconds;
try {
  milliseconds = await measures[what](Number(count));
} finally {
  for (const end of ends.reverse()) await end();
}
process.stdout.write(`${JSON.stringify({ milliseconds })}\n`);

async function accept(calls) {
  const server = await startServer();
  ends.push(() => server.stop());
  const pages = [];
  for (const name of ['alice', 'bob']) {
    const browser = await launchChromium();
    ends.push(() => browser.close());
    pages.push(await open(browser, server.url, 'Your name', name));
  }
  const [alice, bob] = pages;
  const times = [];
  for (let call = 0; call < calls; call += 1) {
    const accepted = await connect(alice, bob);
    for (const [page, user] of [[bob, 'alice'], [alice, 'bob']]) {
      const first = await until(`${user} is seen`, () => movesAgain(page, user, accepted, 1), SEEN_MS);
      times.push(first - accepted);
    }
    await hangUp(alice, bob);
  }
  return times;
}

async function cut(cuts) {
  const networks = new Networks();
  ends.push(() => networks.remove());
  const server = await startPublicServer(networks, `[fanout]\nbind = ["${PAGE}"]\nshards = 1\n`);
  ends.push(() => server.stop());
  const pages = [];
  for (const [n, name] of ['alice', 'bob'].entries()) {
    networks.route(n, OPEN);
    const flags = [`--ignore-certificate-errors-spki-list=${server.pin}`];
    const browser = await launchChromium({ program: networks.program(n, PROGRAM), flags });
    ends.push(() => browser.close());
    pages.push(await open(browser, server.url, 'Token', server.token({ role: 'user', user: name })));
  }
  const [alice, bob] = pages;
  const shows = (page, text) => page.locator('.call-tile').getByText(text, { exact: true }).waitFor();
  const times = [];
  for (let number = 0; number < cuts; number += 1) {
    const accepted = await connect(alice, bob);
    for (const [page, user] of [[bob, 'alice'], [alice, 'bob']]) {
      await until(`${user} is seen`, () => movesAgain(page, user, accepted, 20), SEEN_MS);
      await shows(page, 'Direct');
    }
    const begin = Date.now();
    networks.route(0, CUT);
    await shows(bob, 'In by server, out direct');
    // What was on its way when it was cut is not what is waited for.
    const last = await bob.evaluate((at) => window.shownAt.alice.filter((time) => time < at + 500).at(-1), begin);
    const again = await until('Alice moves again', () => movesAgain(bob, 'alice', Math.max(begin, last) + 100), SEEN_MS);
    times.push(again - begin);
    await hangUp(alice, bob);
    networks.route(0, OPEN);
    await until('nobody watches any more', () => server.metric('stentor_fanout_viewers') === 0);
  }
  return times;
}

async function open(browser, url, label, value) {
  const page = await openPage(scope, browser, `${url}/#/call`, { ignoreHTTPSErrors: true });
  page.faults.allow(/./);
  await page.evaluate(noteFrames);
  await page.evaluate(noteAccept);
  await page.getByLabel(label).fill(value);
  await page.keyboard.press('Enter');
  await page.getByText(/^You are /).waitFor();
  return page;
}

/** In the page: notes when Accept was pressed. */
function noteAccept() {
  document.addEventListener('click', ({ target }) => {
    if (target.closest?.('button')?.textContent === 'Accept') window.acceptedAt = Date.now();
  }, true);
}

/** Alice calls Bob, who accepts. Gives when. */
async function connect(alice, bob) {
  await alice.getByRole('button', { name: 'Call bob', exact: true }).click();
  await bob.getByRole('heading', { name: 'alice calls you' }).waitFor();
  await bob.getByRole('button', { name: 'Accept' }).click();
  return bob.evaluate(() => window.acceptedAt);
}

async function hangUp(alice, bob) {
  await alice.getByRole('button', { name: 'Hang up' }).click();
  for (const page of [alice, bob]) await page.locator('.call-tile').first().waitFor({ state: 'detached' });
}
