// The shell: files, policy, sign-in, and the pure modules, run where they will run.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { openPage, videoState } from './support/chromium.mjs';
import { canStart, startServer } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const bed = testbed();

describe('the page', () => {
  test('is served with a policy that allows nothing inline and nothing foreign', async () => {
    const response = await fetch(`${bed.server.url}/`);
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'|default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/);
    assert.match(policy, /frame-ancestors '(none|self)'/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const html = await response.text();
    assert.doesNotMatch(html, /<script>|<style|style=|onclick=|https?:\/\/(?!www\.w3\.org)/);
  });

  test('shows cards with live pictures that change', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    const image = page.locator('.card').filter({ hasText: 'demo' }).locator('img');
    await image.waitFor();
    const first = await image.getAttribute('src');
    await until('the picture changes', async () => (await image.getAttribute('src')) !== first, 15_000);
    assert.ok(await image.evaluate((node) => node.naturalWidth) > 100);
  });

  test('keeps what is on it in place while it loads', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
    const shift = await page.evaluate(() => new Promise((resolve) => {
      let total = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) total += entry.value;
      }).observe({ type: 'layout-shift', buffered: true });
      setTimeout(() => resolve(total), 100);
    }));
    assert.ok(shift < 0.1, `layout shift ${shift}`);
  });

  test('says so when an address leads nowhere', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/no/such/page`);
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  });

  test('says so when the server is gone, and recovers', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    page.faults.allow(/ERR_FAILED/);
    await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
    await page.route('**/api/v1/**', (route) => route.abort());
    await page.getByText('Not up to date.').waitFor();
    await page.unroute('**/api/v1/**');
    await page.getByText('Not up to date.').waitFor({ state: 'detached' });
  });

  test('reads Link headers, pauses and fragments as their standards say', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    const result = await page.evaluate(async () => {
      const { parseLinks, linkTo, iceServers } = await import('/js/rtc/link.js');
      const { backoff, retryable } = await import('/js/rtc/backoff.js');
      const { iceFragment, orderCodecs, withStereo } = await import('/js/rtc/sdp.js');
      const { retryAfter } = await import('/js/api.js');
      const { parseLadder } = await import('/js/views/ladder-form.js');
      const links = parseLinks('<turn:t.example:3478?transport=udp>; rel="ice-server"; username="a, \\"b\\""; credential=c, </x/layer>;rel="urn:ietf:params:whep:ext:core:layer"');
      const sdp = 'v=0\r\nm=audio 9 X 111\r\na=mid:0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n';
      const codecs = ['video/VP8', 'video/rtx', 'video/H264', 'video/AV1'].map((mimeType) => ({ mimeType, sdpFmtpLine: 'packetization-mode=1' }));
      return {
        ice: iceServers(links),
        layer: linkTo(links, 'urn:ietf:params:whep:ext:core:layer'),
        none: parseLinks(null),
        pauses: [backoff(1, 0), backoff(1, 1), backoff(4, 0.5), backoff(40, 0.5)],
        retry: [0, 400, 404, 429, 501, 503, 507].map(retryable),
        fragment: iceFragment(sdp, [{ candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host' }], true),
        stereo: withStereo(sdp).includes('a=fmtp:111 stereo=1;minptime=10'),
        twice: withStereo(withStereo(sdp)) === withStereo(sdp),
        order: orderCodecs(codecs, ['H264', 'VP8']).map((c) => c.mimeType),
        after: [retryAfter(new Headers({ 'Retry-After': '3' })), retryAfter(new Headers({ 'Retry-After': 'Thu, 01 Jan 1970 00:00:05 GMT' }), 1000), retryAfter(new Headers())],
        ladder: [parseLadder('720 2500\n360p'), parseLadder('9000'), parseLadder('x')],
      };
    });
    assert.deepEqual(result, {
      ice: [{ urls: 'turn:t.example:3478?transport=udp', username: 'a, "b"', credential: 'c' }],
      layer: '/x/layer',
      none: [],
      pauses: [375, 625, 4000, 15000],
      retry: [true, false, false, true, false, true, true],
      fragment: 'a=ice-ufrag:u\r\na=ice-pwd:p\r\nm=audio 9 X 111\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n',
      stereo: true,
      twice: true,
      order: ['video/H264', 'video/VP8', 'video/AV1', 'video/rtx'],
      after: [3000, 4000, null],
      ladder: [[{ height: 720, bitrate: 2_500_000 }, { height: 360 }], null, null],
    });
  });
});

describe('signing in', { skip: canStart ? false : 'STENTOR_URL names a server whose keys are unknown' }, () => {
  let guarded;
  before(async () => { guarded = await startServer({ tokens: true }); });
  after(() => guarded?.stop());

  const enter = async (page, token) => {
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };

  test('a server with keys shows nothing without a token, and everything to an administrator', async (t) => {
    const page = await openPage(t, bed.browser, `${guarded.url}/#/watch/demo`);
    page.faults.allow(/401/);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await enter(page, 'nonsense');
    await page.getByText('That doesn’t look like a token').waitFor();
    await enter(page, guarded.token('admin').replace(/.{5}$/, 'AAAAA'));
    await page.getByText('The server doesn’t take this token').waitFor();
    await enter(page, guarded.token('admin'));
    await until('it plays', async () => (await videoState(page)).frames > 10, 20_000);
    await page.getByRole('link', { name: 'Channels', exact: true }).click();
    await page.locator('.card img').first().waitFor();
    await page.reload();
    await page.locator('.card').first().waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('eyJ')), false, 'the token is not kept');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  test('a viewer sees no controls that would be refused', async (t) => {
    const page = await openPage(t, bed.browser, `${guarded.url}/#/`);
    page.faults.allow(/401/);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await enter(page, guarded.token('view', 'demo'));
    await page.getByRole('link', { name: 'demo', exact: true }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Operator' }).count(), 0);
    assert.equal(await page.getByRole('link', { name: 'Publish' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'New channel' }).count(), 0);
    await page.getByRole('link', { name: 'demo', exact: true }).click();
    await until('it plays', async () => (await videoState(page)).frames > 10, 20_000);
  });
});
