// Publishing from Chromium.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openPage, rtpStats, videoState } from './support/chromium.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const bed = testbed();

/** Opens the publish page of a channel. */
async function open(t, channel) {
  const page = await openPage(t, bed.browser, `${bed.server.url}/#/publish/${channel}`);
  await page.getByRole('button', { name: 'Go live' }).waitFor();
  return page;
}

async function goLive(page, channel) {
  await page.getByRole('button', { name: 'Go live' }).click();
  await page.locator('.preview-top').getByText('Live').waitFor();
  await bed.server.source(channel, 'live');
}

/** Stops, and waits until the server was told. */
async function stop(page) {
  const told = page.waitForResponse((response) => response.request().method() === 'DELETE');
  await page.getByRole('button', { name: 'Stop' }).click();
  await told;
}

/** The format of a channel's sound, once it is known. */
function sound(channel) {
  return until('the sound is known', async () => (await bed.server.channel(channel)).format?.audio);
}

/** What Chromium takes the path to the server for, in bits per second. */
function pathEstimate(page) {
  return page.evaluate(async () => {
    const report = await window.peers.at(-1).getStats();
    return Math.max(0, ...[...report.values()].map((stats) => stats.availableOutgoingBitrate ?? 0));
  });
}

describe('publishing from Chromium', () => {
  test('sends more as the server’s feedback finds room for it', async (t) => {
    await bed.server.publishable(t, 'rising');
    const page = await open(t, 'rising');
    await goLive(page, 'rising');
    // The answer asks for 2.5 Mb/s to begin with; without feedback it stays there. A first hiccup
    // takes Chromium half a minute to recover from.
    await until('the estimate rises above its start', async () => (await pathEstimate(page)) > 4e6, 60_000);
    const sent = await until('the encoder may use it', async () => {
      const stats = await rtpStats(page, 'outbound-rtp');
      return stats.targetBitrate > 3e6 && stats;
    }, 60_000);
    t.diagnostic(`path ${Math.round((await pathEstimate(page)) / 1000)} kb/s, encoder ${Math.round(sent.targetBitrate / 1000)} kb/s`);
    await stop(page);
  });

  test('sends the camera as H.264, which others watch', async (t) => {
    await bed.server.publishable(t, 'camera');
    const page = await open(t, 'camera');
    assert.equal(await page.getByLabel('Channel', { exact: true }).inputValue(), 'camera');
    await page.getByRole('button', { name: 'Turn on camera' }).click();
    await until('the preview moves', () => page.evaluate(() => document.querySelector('.preview video').videoWidth > 0));
    await goLive(page, 'camera');
    const sent = await rtpStats(page, 'outbound-rtp');
    assert.equal(sent.codec, 'video/H264');
    assert.equal((await sound('camera')).codec, 'opus');
    const { video } = await until('the picture is known', async () => {
      const { format } = await bed.server.channel('camera');
      return format?.video && format;
    });
    assert.equal(video.codec, 'h264');
    await until('figures are shown', async () => /b\/s$/.test(await page.locator('[data-stat="bitrate"]').textContent()));
    assert.equal(await page.locator('[data-stat="codec"]').textContent(), 'H.264');

    const viewer = await openPage(t, bed.browser, `${bed.server.url}/#/watch/camera`);
    await until('it is watched', async () => (await videoState(viewer)).frames > 10, 20_000);

    await page.getByRole('link', { name: 'Channels', exact: true }).click();
    await page.getByText('You are live on camera.').waitFor();
    assert.equal((await bed.server.channel('camera')).source_state, 'live');
    await page.getByRole('link', { name: 'Show' }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await until('the channel isn’t live', async () => (await bed.server.channel('camera')).source_state !== 'live');
    await page.getByRole('button', { name: 'Go live' }).waitFor();
    const shown = await videoState(viewer);
    await until('the viewer sees the slate in the same session', async () => (await videoState(viewer)).frames > shown.frames + 10);
    // It would go on to ask for the channel, which is deleted before pages are closed.
    await viewer.context().close();
  });

  test('sends the sound of a microphone that opens after the camera', async (t) => {
    await bed.server.publishable(t, 'sound');
    const page = await open(t, 'sound');
    await page.evaluate(() => {
      const opened = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        if (wanted.audio) await new Promise((resolve) => { window.allowSound = resolve; });
        return opened(wanted);
      };
    });
    await page.getByRole('button', { name: 'Turn on camera' }).click();
    await until('the preview moves', () => page.evaluate(() => document.querySelector('.preview video').videoWidth > 0));
    await page.getByRole('button', { name: 'Go live' }).click();
    await page.evaluate(() => window.allowSound());
    await page.locator('.preview-top').getByText('Live').waitFor();
    assert.equal((await sound('sound')).codec, 'opus');
    await stop(page);
  });

  test('sends sound that is turned on while live', async (t) => {
    await bed.server.publishable(t, 'late-sound');
    const page = await open(t, 'late-sound');
    await page.getByLabel('Sound', { exact: true }).selectOption('No microphone');
    await goLive(page, 'late-sound');
    await until('the picture is known', async () => (await bed.server.channel('late-sound')).format?.video);
    assert.equal((await bed.server.channel('late-sound')).format.audio ?? null, null);
    await page.getByLabel('Sound', { exact: true }).selectOption('Default microphone');
    await sound('late-sound');
    await page.locator('.preview-top').getByText('Live').waitFor();
    await stop(page);
  });

  test('shares a screen, and changes to the camera while live', async (t) => {
    await bed.server.publishable(t, 'screen');
    const page = await open(t, 'screen');
    await page.getByRole('radio', { name: 'Screen' }).check({ force: true });
    await goLive(page, 'screen');
    await page.getByRole('radio', { name: 'Camera' }).check({ force: true });
    const before_ = await rtpStats(page, 'outbound-rtp');
    await until('it goes on', async () => (await rtpStats(page, 'outbound-rtp')).framesEncoded > before_.framesEncoded + 20);
    assert.equal((await rtpStats(page, 'outbound-rtp')).peers, 1, 'without a new session');
    await stop(page);
  });

  test('sends VP8 where that is chosen', async (t) => {
    await bed.server.publishable(t, 'vp8');
    const page = await open(t, 'vp8');
    await page.getByLabel('Codec', { exact: true }).selectOption('VP8');
    await goLive(page, 'vp8');
    assert.equal((await rtpStats(page, 'outbound-rtp')).codec, 'video/VP8');
    await stop(page);
  });

  test('says that a channel is taken, and doesn’t disturb who has it', async (t) => {
    await bed.server.publishable(t, 'taken');
    const first = await open(t, 'taken');
    await goLive(first, 'taken');
    const second = await open(t, 'taken');
    second.faults.allow(/409/);
    await second.getByRole('button', { name: 'Go live' }).click();
    await second.getByText('The channel is taken.').waitFor();
    assert.equal((await bed.server.channel('taken')).source_state, 'live');
    await stop(first);
    await until('it is free', async () => (await bed.server.channel('taken')).source_state !== 'live');
    await second.getByRole('button', { name: 'Try again' }).click();
    await second.locator('.preview-top').getByText('Live').waitFor();
    await stop(second);
  });

  test('gives way where the channel lets newcomers take over', async (t) => {
    await bed.server.publishable(t, 'yield', 'take_over');
    const first = await open(t, 'yield');
    first.faults.allow(/404/);
    await goLive(first, 'yield');
    const second = await open(t, 'yield');
    await goLive(second, 'yield');
    await first.getByText('Somebody else publishes to this channel now.').waitFor({ timeout: 40_000 });
    await second.locator('.preview-top').getByText('Live').waitFor();
    await stop(second);
  });
});
