// Watching, publishing and calling in Firefox, which has VP8 and no H.264 on Debian.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { launchChromium, openPage, rtpStats, videoState } from './support/chromium.mjs';
import { launchFirefox, openFirefoxPage } from './support/firefox.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

// Firefox pairs no loopback address with the one it gathers without a camera's permission.
const bed = testbed({ launch: launchFirefox, outward: true });

const click = (page, name) => page.locator(`::-p-aria([name="${name}"][role="button"])`).click();

describe('Firefox', () => {
  test('plays the demo channel as VP8 and Opus', async (t) => {
    const page = await openFirefoxPage(t, bed.browser, `${bed.server.url}/#/watch/demo`);
    // Firefox counts no frames of a stream in getVideoPlaybackQuality.
    const first = await until('frames are decoded', async () => {
      const stats = await rtpStats(page);
      return stats?.framesDecoded > 10 && stats;
    }, 30_000);
    assert.equal(first.codec, 'video/VP8');
    assert.equal((await rtpStats(page, 'inbound-rtp', 'audio')).codec, 'audio/opus');
    await until('frames go on', async () => (await rtpStats(page)).framesDecoded > first.framesDecoded + 30);
    const { width, height } = await videoState(page);
    assert.ok(width >= 320 && height >= 180, `the picture has a size: ${width}×${height}`);
  });

  test('publishes its camera as VP8', async (t) => {
    await bed.server.publishable(t, 'fox');
    const page = await openFirefoxPage(t, bed.browser, `${bed.server.url}/#/publish/fox`);
    await click(page, 'Go live');
    await bed.server.source('fox', 'live', 30_000);
    const channel = await until('the format is known', async () => {
      const now = await bed.server.channel('fox');
      return now.format?.video && now;
    });
    assert.equal(channel.format.video.codec, 'vp8');
    assert.equal((await rtpStats(page, 'outbound-rtp')).codec, 'video/VP8');
    await click(page, 'Stop');
    await until('the channel isn’t live', async () => (await bed.server.channel('fox')).source_state !== 'live');
  });

  test('is in a call with Chromium, by keyboard, and both see and hear the other in VP8', async (t) => {
    const chromium = await launchChromium();
    t.after(() => chromium.close());
    const fox = await openFirefoxPage(t, bed.browser, `${bed.server.url}/#/call`);
    const otto = await openPage(t, chromium, `${bed.server.url}/#/call`);
    await otto.getByLabel('Your name').fill('otto');
    await otto.keyboard.press('Enter');
    await fox.locator('::-p-aria([name="Your name"][role="textbox"])').fill('fox');
    await fox.keyboard.press('Enter');
    await otto.getByText('You are otto.').waitFor();
    await click(fox, 'Call otto');
    await otto.getByRole('heading', { name: 'fox calls you' }).waitFor();
    await otto.keyboard.press('Enter');
    for (const page of [fox, otto]) {
      const first = await until('the other’s picture comes', async () => {
        const stats = await rtpStats(page);
        return stats?.framesDecoded > 5 && stats;
      }, 30_000);
      assert.equal(first.codec, 'video/VP8');
      await until('it goes on', async () => (await rtpStats(page)).framesDecoded > first.framesDecoded + 20);
      await until('sound comes', async () => (await rtpStats(page, 'inbound-rtp', 'audio'))?.packetsReceived > 10);
    }
    const tile = (page) => page.evaluate(() => document.querySelector('.call-tile')?.textContent);
    await until('the way is shown', async () => /Direct/.test(await tile(fox)) && /Direct/.test(await tile(otto)));
    await click(fox, 'Camera');
    await otto.locator('.call-tile').getByText('The camera is off.').waitFor();
    await click(fox, 'Hang up');
    await otto.getByText('The call has ended.').first().waitFor();
  });
});
