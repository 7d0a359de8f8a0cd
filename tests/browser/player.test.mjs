// Watching in Chromium.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { launchChromium, openPage, quietly, rtpStats, videoState } from './support/chromium.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const bed = testbed();

/** Opens the player of the demo channel and waits until its picture moves. */
async function watch(t) {
  const page = await openPage(t, bed.browser, `${bed.server.url}/#/watch/demo`);
  await until('the picture moves', async () => (await videoState(page)).frames > 10, 20_000);
  return page;
}

const choose = async (page, name) => {
  await page.getByRole('button', { name: /^Rendition/ }).click();
  await page.getByRole('menuitemradio', { name }).click();
};

describe('the player in Chromium', () => {
  test('plays H.264 and Opus', async (t) => {
    const page = await watch(t);
    const { width, height } = await videoState(page);
    assert.ok(width >= 320 && height >= 180, `the picture has a size: ${width}×${height}`);
    const first = await rtpStats(page);
    assert.equal(first.codec, 'video/H264');
    assert.equal((await rtpStats(page, 'inbound-rtp', 'audio')).codec, 'audio/opus');
    await until('frames go on', async () => (await rtpStats(page)).framesDecoded > first.framesDecoded + 30);
    await until('sound is decoded', async () => (await rtpStats(page, 'inbound-rtp', 'audio')).totalAudioEnergy > 0);
  });

  test('shows what arrives in its statistics', async (t) => {
    const page = await watch(t);
    await page.keyboard.press('i');
    const value = (name) => page.locator(`[data-stat="${name}"]`).textContent();
    await until('a bitrate is shown', async () => /^\d.*[kM]b\/s$/.test(await value('bitrate')));
    assert.match(await value('resolution'), /^\d+×\d+ · \d+ fps$/);
    assert.equal(await value('codec'), 'H.264 + Opus');
    assert.match(await value('frames'), /^[\d,]+ decoded, [\d,]+ dropped$/);
    assert.match(await value('loss'), /^[\d.]+ % \(-?\d+ in all\)$/);
    assert.match(await value('rtt'), /ms$/);
    assert.match(await value('path'), /^UDP .*:\d+$/);
    await until('the latency is measured', async () => /^[\d.]+ ms$/.test(await value('latency')));
    await page.keyboard.press('i');
    await page.locator('.stage-stats').waitFor({ state: 'hidden' });
  });

  test('switches renditions without a new session', async (t) => {
    const page = await watch(t);
    const source = await videoState(page);
    const [session] = (await bed.server.viewers('demo')).filter((v) => v.connected).slice(-1);
    await page.getByRole('button', { name: /^Rendition/ }).click();
    const names = await page.getByRole('menuitemradio').locator('.menu-item-text').allTextContents();
    assert.equal(names[0], 'Auto');
    assert.ok(names.length >= 3, `there is something to choose: ${names}`);
    await page.keyboard.press('Escape');
    const smallest = names.at(-1);
    await choose(page, new RegExp(`^${smallest}`));
    await until('the picture gets smaller', async () => (await videoState(page)).height < source.height, 15_000);
    await choose(page, new RegExp(`^${names[1]}`));
    await until('the picture gets larger again', async () => (await videoState(page)).height === source.height, 15_000);
    await choose(page, /^Auto/);
    await until('the server follows', async () => (await bed.server.viewers('demo')).find((v) => v.session === session.session)?.auto === true);
    assert.equal((await rtpStats(page)).peers, 1, 'one peer connection all along');
  });

  test('falls back to a new session where the server can’t switch', async (t) => {
    const page = await watch(t);
    page.faults.allow(/501|404|405/);
    await page.route('**/whep/*/*/layer', (route) => route.fulfill({ status: 501 }));
    const before_ = await videoState(page);
    await page.getByRole('button', { name: /^Rendition/ }).click();
    const smallest = (await page.getByRole('menuitemradio').locator('.menu-item-text').allTextContents()).at(-1);
    await page.getByRole('menuitemradio', { name: new RegExp(`^${smallest}`) }).click();
    await until('the picture gets smaller', async () => {
      const now = await videoState(page);
      return now.height > 0 && now.height < before_.height;
    }, 20_000);
    assert.equal((await rtpStats(page)).peers, 2);
  });

  test('leaves nothing behind when it is left', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/favicon.svg`);
    // A bare picture has no icon of its own: the browser looks for one.
    page.faults.allow(/favicon\.ico/);
    // Closing the connection would do in most cases; the server is told all the same.
    await page.addInitScript(() => {
      const original = window.fetch;
      window.fetch = (url, options) => {
        if (options?.method === 'DELETE') sessionStorage.told = Number(sessionStorage.told ?? 0) + 1;
        return original(url, options);
      };
    });
    const told = () => page.evaluate(() => Number(sessionStorage.told ?? 0));
    const gone = () => until('the server has let it go', async () => (await bed.server.viewers('demo')).length === 0, 5_000);
    await page.goto(`${bed.server.url}/#/watch/demo`);
    await until('the server counts it', async () => (await bed.server.viewers('demo')).some((v) => v.connected));
    await page.getByRole('link', { name: 'Channels', exact: true }).click();
    await until('the server was told', async () => (await told()) === 1);
    await gone();
    await page.getByRole('link', { name: 'demo', exact: true }).click();
    await until('the server counts it', async () => (await bed.server.viewers('demo')).some((v) => v.connected));
    await page.goto(`${bed.server.url}/favicon.svg`);
    assert.equal(await told(), 2, 'also when the page goes away');
    await gone();
  });

  test('comes back by itself after its session was ended', async (t) => {
    const page = await watch(t);
    // It asks what has become of its session, and is told that there is none.
    page.faults.allow(/404/);
    const [viewer] = await bed.server.viewers('demo');
    await bed.server.api('DELETE', `/whep/demo/${viewer.session}`);
    await until('a new session plays', async () => {
      const [now] = await bed.server.viewers('demo');
      return now && now.session !== viewer.session && now.connected && (await rtpStats(page))?.framesDecoded > 10;
    }, 40_000);
  });

  test('waits as long as a busy server says', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    page.faults.allow(/503/);
    let asked = [];
    await page.route('**/whep/demo', (route) => {
      asked.push(performance.now());
      return asked.length > 2 ? route.continue() : route.fulfill({
        status: 503,
        headers: { 'Retry-After': '2', 'Content-Type': 'application/problem+json' },
        body: JSON.stringify({ type: 'about:blank', title: 'Draining', status: 503, detail: 'The server is draining.' }),
      });
    });
    await page.goto(`${bed.server.url}/#/watch/demo`);
    await page.getByText('The server is draining.').waitFor();
    await until('the picture moves', async () => (await videoState(page)).frames > 10, 20_000);
    assert.ok(asked[1] - asked[0] > 1900, `it waited: ${asked[1] - asked[0]} ms`);
  });

  test('says that a channel doesn’t exist', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/`);
    page.faults.allow(/404/);
    await page.goto(`${bed.server.url}/#/watch/nowhere`);
    await page.getByRole('heading', { name: 'There is no such channel' }).waitFor();
    await page.locator('.stage').getByRole('link', { name: 'All channels' }).click();
    await page.getByRole('heading', { name: 'Channels' }).waitFor();
  });

  test('starts muted where the browser wants a gesture first, and offers the sound', async (t) => {
    const strict = await launchChromium({ autoplay: false });
    t.after(() => strict.close());
    const page = await openPage(t, strict, `${bed.server.url}/#/watch/demo`);
    const video = "document.querySelector('.stage video')";
    await until('it plays', () => quietly(page, `${video}?.getVideoPlaybackQuality().totalVideoFrames > 10`), 20_000);
    assert.equal(await quietly(page, `${video}.muted`), true);
    await page.locator('.stage-unmute').click();
    await until('there is sound', async () => {
      const { muted, paused } = await videoState(page);
      return !muted && !paused;
    });
    await page.locator('.stage-unmute').waitFor({ state: 'hidden' });
  });

  test('obeys its keys, and lets them be turned off', async (t) => {
    const page = await watch(t);
    await page.keyboard.press('m');
    await until('it is muted', async () => (await videoState(page)).muted);
    await page.keyboard.press('m');
    await until('it is heard', async () => !(await videoState(page)).muted);
    await page.keyboard.press('k');
    await until('it pauses', async () => (await videoState(page)).paused);
    await page.keyboard.press('k');
    await until('it plays', async () => !(await videoState(page)).paused);
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await dialog.getByRole('checkbox', { name: 'Use these keys' }).uncheck();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.keyboard.press('m');
    await page.keyboard.press('i');
    assert.equal((await videoState(page)).muted, false);
    assert.equal(await page.locator('.stage-stats').isVisible(), false);
  });
});
