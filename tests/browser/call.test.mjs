// Calls between browsers: two pages ring, see and hear each other, directly.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { listenIn, openPage } from './support/chromium.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const bed = testbed();

/** A page of calls, signed in as `name`. */
async function signIn(t, name, server = bed.server) {
  const page = await openPage(t, bed.browser, `${server.url}/#/call`);
  page.said = listenIn(page);
  await page.getByLabel('Your name').fill(name);
  await page.keyboard.press('Enter');
  await page.getByText(`You are ${name}.`).waitFor();
  return page;
}

/** What the page shows of the other: frames so far, size, and a sum of the picture's pixels. */
function picture(page, user) {
  return page.evaluate((name) => {
    const video = document.querySelector(`.call-tile[data-user="${name}"] video`);
    if (!video?.videoWidth) return null;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [32, 18];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, 32, 18);
    const { data } = context.getImageData(0, 0, 32, 18);
    return { frames: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth, pixels: data.join() };
  }, user);
}

async function sees(page, user) {
  const first = await until(`${user} is seen`, () => picture(page, user), 20_000);
  await until(`${user} moves`, async () => {
    const now = await picture(page, user);
    return now.frames > first.frames + 10 && now.pixels !== first.pixels;
  }, 20_000);
}

/** Packets of sound that arrived, and what the pair of candidates is. */
function transport(page) {
  return page.evaluate(async () => {
    const report = await window.peers.at(-1).getStats();
    const all = [...report.values()];
    const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
    return {
      sound: all.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio')?.packetsReceived ?? 0,
      ends: pair && [report.get(pair.localCandidateId).candidateType, report.get(pair.remoteCandidateId).candidateType],
    };
  });
}

/** Alice calls Bob by the list of people; Bob accepts. */
async function connect(t, a, b) {
  const [alice, bob] = [await signIn(t, a), await signIn(t, b)];
  await alice.getByRole('button', { name: `Call ${b}`, exact: true }).click();
  await bob.getByRole('heading', { name: `${a} calls you` }).waitFor();
  const began = performance.now();
  await bob.getByRole('button', { name: 'Accept' }).click();
  await until('the first frame', async () => (await picture(bob, a))?.frames > 0, 20_000);
  t.diagnostic(`accept to first frame: ${Math.round(performance.now() - began)} ms`);
  return [alice, bob];
}

/** Whoever looks at another page goes on hearing, and once on the page of calls. */
async function heardElsewhere(page) {
  await page.evaluate(() => {
    const { Audio } = window;
    window.Audio = function make() {
      window.heard = new Audio();
      return window.heard;
    };
    location.hash = '#/';
  });
  await until('the other is heard on another page', () => page.evaluate(() => window.heard?.srcObject && !window.heard.paused && window.heard.currentTime > 0.3));
  await page.evaluate(() => { location.hash = '#/call'; });
  await until('the stage plays it', () => page.evaluate(() => window.heard.srcObject === null));
}

function metric(text, name) {
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

describe('a call', () => {
  test('lets two see and hear each other directly, until one hangs up', async (t) => {
    const [alice, bob] = await connect(t, 'alice', 'bob');
    await sees(alice, 'bob');
    await sees(bob, 'alice');
    for (const page of [alice, bob]) {
      await page.locator('.call-tile').getByText('Direct', { exact: true }).waitFor();
      const { ends } = await transport(page);
      assert.deepEqual(ends.filter((end) => end === 'relay'), [], `no end is relayed: ${ends}`);
      await until('sound arrives', async () => (await transport(page)).sound > 10);
    }
    const carried = await (await fetch(`${bed.server.url}/metrics`)).text();
    assert.match(carried, /stentor_calls_current 1/);
    assert.equal(metric(carried, 'stentor_fanout_viewers'), 0, 'no media crosses the server');
    assert.ok(metric(carried, 'stentor_events_written_total{type="client.report"}') >= 2, 'each has said what it is');
    await heardElsewhere(alice);
    await bob.getByRole('button', { name: 'Hang up' }).click();
    for (const [page, other] of [[alice, 'bob'], [bob, 'alice']]) {
      await page.getByRole('button', { name: `Call ${other}`, exact: true }).waitFor();
      await page.getByText('The call has ended.').first().waitFor();
      assert.equal(await page.evaluate(() => window.peers.at(-1).connectionState), 'closed');
    }
    const after = await (await fetch(`${bed.server.url}/metrics`)).text();
    assert.match(after, /stentor_calls_ended_total\{reason="hung_up"\} 1/);
    assert.equal(metric(after, 'stentor_calls_connect_seconds_count'), 1);
  });

  test('shows that a microphone and a camera are off', async (t) => {
    const [carla, dan] = await connect(t, 'carla', 'dan');
    await carla.getByRole('button', { name: 'Camera' }).click();
    await dan.locator('.call-tile').getByText('The camera is off.').waitFor();
    await carla.getByRole('button', { name: 'Camera' }).click();
    await dan.locator('.call-tile').getByText('The camera is off.').waitFor({ state: 'hidden' });
    await carla.getByRole('button', { name: 'Microphone' }).click();
    await dan.locator('.call-tile').getByText('Direct · muted').waitFor();
    await carla.getByRole('button', { name: 'Hang up' }).click();
    await dan.getByRole('button', { name: 'Call carla', exact: true }).waitFor();
  });

  test('is sent as agreed, and as agreed anew when an end can take less', async (t) => {
    const [gil, hedi] = await connect(t, 'gil', 'hedi');
    const agreed = (page) => page.said.heard.filter(({ type }) => type === 'configure').at(-1);
    /** What the camera's sender was set to is what the page was told last. */
    const applies = (page) => until('what was agreed on is sent', async () => {
      const { revision, configuration: { video } } = agreed(page);
      const sender = await page.evaluate(() => {
        const camera = window.peers.at(-1).getSenders().find(({ track }) => track?.kind === 'video');
        const [{ maxBitrate, maxFramerate, scaleResolutionDownBy }] = camera.getParameters().encodings;
        return { maxBitrate, maxFramerate, height: camera.track.getSettings().height / scaleResolutionDownBy };
      });
      const isSaid = page.said.sent.some((message) => message.type === 'applied' && message.revision === revision);
      return isSaid && sender.maxBitrate === video.bitrate_bps && sender.maxFramerate === video.frame_rate
        && sender.height <= video.resolution.height + 1;
    });
    await applies(gil);
    await applies(hedi);
    const { capabilities } = hedi.said.sent.find(({ type }) => type === 'hello');
    const less = capabilities.decode.map((limit) => ({ ...limit, resolution: { width: 320, height: 180 }, frame_rate: 10 }));
    await hedi.evaluate((text) => window.sockets.at(-1).send(text), JSON.stringify({ type: 'capabilities', capabilities: { ...capabilities, decode: less } }));
    await until('it is agreed on anew', () => agreed(gil).cause === 'device_changed');
    const { resolution, frame_rate: rate } = agreed(gil).configuration.video;
    assert.deepEqual([resolution.height <= 180, rate], [true, 10]);
    await applies(gil);
    const height = () => hedi.evaluate(() => document.querySelector('.call-tile[data-user="gil"] video').videoHeight);
    await until('the picture is as small as that', async () => (await height()) <= 181);
    await gil.getByRole('button', { name: 'Hang up' }).click();
    await hedi.getByRole('button', { name: 'Call gil', exact: true }).waitFor();
  });

  test('survives a socket that drops', async (t) => {
    const [eve, fay] = await connect(t, 'eve', 'fay');
    await sees(fay, 'eve');
    const before = await picture(fay, 'eve');
    // Offline alone leaves a web socket that is open as it is.
    await eve.evaluate(() => window.sockets.at(-1).close(4000));
    await eve.getByText('Reachable').waitFor();
    await until('the picture goes on', async () => (await picture(fay, 'eve')).frames > before.frames + 20);
    await fay.locator('.call-tile').getByText('Direct', { exact: true }).waitFor();
    // What is said from now on arrives nowhere: the call ends here all the same, and there by the next socket.
    await eve.evaluate(() => { window.sockets.at(-1).send = () => {}; });
    await eve.getByRole('button', { name: 'Hang up' }).click();
    await eve.getByRole('button', { name: 'Call fay', exact: true }).waitFor();
    assert.equal(await eve.evaluate(() => window.peers.at(-1).connectionState), 'closed');
    await eve.evaluate(() => window.sockets.at(-1).close(4000));
    await fay.getByRole('button', { name: 'Call eve', exact: true }).waitFor();
  });

  test('is rejoined after the page was loaded again', async (t) => {
    const [erika, frank] = await connect(t, 'erika', 'frank');
    await frank.reload();
    await frank.getByLabel('Your name').fill('frank');
    await frank.keyboard.press('Enter');
    await frank.getByRole('button', { name: 'Rejoin' }).click();
    await sees(frank, 'erika');
    await sees(erika, 'frank');
    await frank.locator('.call-tile').getByText('Direct', { exact: true }).waitFor();
    await erika.getByRole('button', { name: 'Hang up' }).click();
    await frank.getByRole('button', { name: 'Call erika', exact: true }).waitFor();
  });

  test('ends here when the device connects from somewhere else, camera and microphone too', async (t) => {
    const [grete, hans] = await connect(t, 'grete', 'hans');
    const device = await grete.evaluate(() => sessionStorage.getItem('stentor.device'));
    const twin = await openPage(t, bed.browser, `${bed.server.url}/#/call`);
    await twin.evaluate((known) => sessionStorage.setItem('stentor.device', known), device);
    await twin.getByLabel('Your name').fill('grete');
    await twin.keyboard.press('Enter');
    await twin.getByText('You are grete.').waitFor();
    await grete.locator('.call-tile').first().waitFor({ state: 'hidden' });
    assert.equal(await grete.evaluate(() => window.peers.at(-1).connectionState), 'closed');
    await hans.getByRole('button', { name: 'Hang up' }).click();
    await hans.getByRole('button', { name: 'Call grete', exact: true }).waitFor();
  });

  test('is declined', async (t) => {
    const [gus, hal] = [await signIn(t, 'gus'), await signIn(t, 'hal')];
    await gus.getByLabel('Call by name').fill('hal');
    await gus.keyboard.press('Enter');
    await hal.getByRole('heading', { name: 'gus calls you' }).waitFor();
    await gus.getByText('Ringing…').waitFor();
    await hal.getByRole('button', { name: 'Decline' }).click();
    await gus.getByText('The call was declined.').first().waitFor();
    await hal.getByRole('heading', { name: 'gus calls you' }).waitFor({ state: 'hidden' });
  });

  test('is rung and answered by keyboard alone', async (t) => {
    const [ida, jon] = [await signIn(t, 'ida'), await signIn(t, 'jon')];
    await jon.getByRole('link', { name: 'Stentor, all channels' }).focus();
    await ida.getByLabel('Call by name').focus();
    await ida.keyboard.type('jon');
    await ida.keyboard.press('Enter');
    await jon.getByRole('heading', { name: 'ida calls you' }).waitFor();
    await until('Accept has the focus', () => jon.evaluate(() => document.activeElement.textContent === 'Accept'));
    await jon.keyboard.press('Enter');
    await sees(ida, 'jon');
    await ida.getByRole('button', { name: 'Hang up' }).focus();
    await ida.keyboard.press('Enter');
    await jon.getByRole('button', { name: 'Call ida', exact: true }).waitFor();
  });
});

describe('nobody answers', { skip: !canStart }, () => {
  const short = testbed({ more: '[calls]\nring_timeout = "2s"\n' });

  test('within the time that is configured', async (t) => {
    const [kim, lou] = [await signIn(t, 'kim', short.server), await signIn(t, 'lou', short.server)];
    await kim.getByRole('button', { name: 'Call lou', exact: true }).click();
    await lou.getByRole('heading', { name: 'kim calls you' }).waitFor();
    await kim.getByText('Nobody answered.').first().waitFor();
    await lou.getByRole('heading', { name: 'kim calls you' }).waitFor({ state: 'hidden' });
  });
});

describe('with tokens', { skip: !canStart }, () => {
  const keyed = testbed({ tokens: true });

  test('a user is who the token says, and sees nothing but calls and their recordings', async (t) => {
    const page = await openPage(t, bed.browser, `${keyed.server.url}/#/call`);
    page.faults.allow(/401/);
    await page.getByLabel('Token').fill(keyed.server.userToken('max'));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('You are max.').waitFor();
    assert.deepEqual(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allTextContents(), ['Calls', 'Recordings']);
  });
});
