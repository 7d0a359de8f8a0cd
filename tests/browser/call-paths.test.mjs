// Calls whose direct paths break: each direction goes through the server while it has to.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchChromium, openPage, PROGRAM } from './support/chromium.mjs';
import { longestPause, movesAgain, noteFrames } from './support/frames.mjs';
import { cutFrom, Networks, OPEN, PAGE } from './support/networks.mjs';
import { startPublicServer } from './support/public-server.mjs';
import { canStart } from './support/server.mjs';
import { until } from './support/until.mjs';

/** From the cut to pictures that move. */
const MOVE_MS = 3000;
/** Nobody stands still for longer where nothing was cut. */
const PAUSE_MS = 1000;

/** A daemon at the public network, whose page and media both homes reach. */
async function startServer(networks) {
  const server = await startPublicServer(networks, `
[fanout]
bind = ["${PAGE}"]
shards = 1
`);
  return {
    ...server,
    /** The status of a request without a body, as a client at the server would make it. */
    status: (method, place, token) => Number(networks.atServer(
      'curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '5', '-X', method,
      '-H', 'Content-Type: application/sdp', ...(token === null ? [] : ['-H', `Authorization: Bearer ${token}`]),
      ...(method === 'POST' ? ['-d', 'v=0'] : []), `https://${PAGE}${place}`,
    )),
  };
}

describe('a call between two homes', { skip: !canStart && 'it starts a server of its own' }, () => {
  let networks = null;
  let server = null;
  const browsers = [];

  before(async () => {
    networks = new Networks();
    server = await startServer(networks);
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

  async function signIn(t, n, name) {
    const page = await openPage(t, browsers[n], `${server.url}/#/call`, { ignoreHTTPSErrors: true });
    page.faults.allow(/401|ERR_/);
    page.asked = [];
    page.on('request', (request) => {
      if (/\/wh[ei]p\//.test(request.url()) && request.method() === 'POST') {
        page.asked.push({ place: new URL(request.url()).pathname, token: request.headers().authorization?.slice(7) });
      }
    });
    await page.evaluate(noteFrames);
    await page.getByLabel('Token').fill(server.token({ role: 'user', user: name }));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`You are ${name}.`).waitFor();
    return page;
  }

  /** Two in a call that see each other. */
  async function connect(t, rules = [OPEN, OPEN]) {
    rules.forEach((rule, n) => networks.route(n, rule));
    const [alice, bob] = [await signIn(t, 0, 'alice'), await signIn(t, 1, 'bob')];
    await alice.getByRole('button', { name: 'Call bob', exact: true }).click();
    await bob.getByRole('button', { name: 'Accept' }).click();
    for (const [page, user] of [[alice, 'bob'], [bob, 'alice']]) {
      await until(`${user} is seen`, () => movesAgain(page, user, 0, 20), 20_000);
    }
    return [alice, bob];
  }

  const shows = (page, text) => page.locator('.call-tile').getByText(text, { exact: true }).waitFor();
  const served = () => server.metric('stentor_calls_directions{path="server"}');

  async function hangUp(pages) {
    await pages[0].getByRole('button', { name: 'Hang up' }).click();
    for (const page of pages) await page.getByText('The call has ended.').first().waitFor();
    await until('nobody watches any more', () => server.metric('stentor_fanout_viewers') === 0);
  }

  test('goes through the server one way while it is cut that way, and comes back', async (t) => {
    const [alice, bob] = await connect(t);
    for (const page of [alice, bob]) await shows(page, 'Direct');
    assert.equal(served(), 0);

    const cut = Date.now();
    networks.route(0, cutFrom(0));
    await shows(bob, 'In by server, out direct');
    await shows(alice, 'In direct, out by server');
    const [from] = await bob.evaluate((at) => window.shownAt.alice.filter((time) => time < at + 500).slice(-1), cut);
    const again = await until('Alice moves again', () => movesAgain(bob, 'alice', Math.max(cut, from) + 100), 20_000);
    t.diagnostic(`cut to moving pictures: ${again - cut} ms`);
    assert.ok(again - cut < MOVE_MS, `within ${MOVE_MS} ms`);
    assert.deepEqual([served(), server.metric('stentor_calls_directions{path="direct"}')], [1, 1]);
    assert.equal(server.metric('stentor_calls_moves_total{cause="cut",to="server"}'), 1);

    // What Bob was given is for Bob, as long as the call says so.
    const { place, token } = bob.asked.find((asked) => asked.place.startsWith('/whep/'));
    const mallory = server.token({ role: 'user', user: 'mallory' });
    const admin = server.token({ role: 'admin', channel: '*' });
    for (const one of [null, '', mallory, admin, alice.asked[0].token]) {
      assert.equal(server.status('POST', place, one), 401, `${one ?? 'no token'} watches nobody`);
    }
    assert.equal(server.status('POST', place.replace('whep', 'whip'), token), 401, 'who watches does not publish');
    const name = place.split('/').pop();
    for (const path of [`/api/v1/channels/${name}`, `/api/v1/channels/${name}/thumbnail.jpg`]) {
      assert.equal(server.status('GET', path, admin), 401, path);
    }
    assert.equal(server.status('POST', place, token), 400, 'whose pass it is gets as far as the offer');

    const lifted = Date.now();
    networks.route(0, OPEN);
    for (const page of [alice, bob]) await shows(page, 'Direct');
    t.diagnostic(`lifted to direct: ${Date.now() - lifted} ms`);
    await until('the server is left', () => server.metric('stentor_calls_legs{kind="publish"}') === 0, 15_000);
    await until('nobody watches', () => server.metric('stentor_fanout_viewers') === 0);
    const now = Date.now();
    const pauses = [
      await longestPause(alice, 'bob', cut, now),
      await longestPause(bob, 'alice', again, now),
    ];
    t.diagnostic(`longest pauses: of Bob, who was not cut, ${pauses[0]} ms; of Alice after that ${pauses[1]} ms`);
    for (const pause of pauses) assert.ok(pause < PAUSE_MS, `${pauses}`);
    assert.equal(server.status('POST', place, token), 401, 'the pass is void');
    await hangUp([alice, bob]);
  });

  test('takes the server both ways where there is no direct path at all', async (t) => {
    const began = Date.now();
    const [alice, bob] = await connect(t, [cutFrom(0, 1), OPEN]);
    for (const page of [alice, bob]) await shows(page, 'By server');
    t.diagnostic(`from signing in to both seen: ${Date.now() - began} ms`);
    assert.equal(served(), 2);
    await hangUp([alice, bob]);
  });
});
