// A call that is recorded: everybody in it is told, whoever comes late, too; and everybody who was in
// it, and nobody else, plays what there is of it: each as they were sent, and all in one picture.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';

import { openPage } from './support/chromium.mjs';
import { decode, loudest, pictures, probe, sizes } from './support/media.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PASSWORD = 'correct horse battery';
const PICTURES = process.env.STENTOR_PICTURES;
const RECORDED = 'This call is recorded.';
/** Chunks are stored and files made of them. */
const MADE_MS = 60_000;
/** Tiles of three in a picture of 1280x720. */
const TILES = [[0, 0], [640, 0], [320, 360]];
const [TILE_WIDTH, TILE_HEIGHT] = [640, 360];

describe('a recorded call', { skip: !canStart }, () => {
  const bed = testbed({ tokens: true, more: '[accounts]\nenabled = true\nsign_up = "open"\n[recording]\nchunk = "1s"\nforms = ["tracks", "composite"]\n' });

  async function signIn(t, name, shown, options = {}) {
    await bed.server.api('POST', '/api/v1/users', { name, display_name: shown, password: PASSWORD });
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/call`, { bypassCSP: true, reducedMotion: 'reduce', ...options });
    // SD isn't made of a picture that begins small: the page goes on with what there is.
    page.faults.allow(/401|422|503/);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByText(`You are ${shown}.`).waitFor();
    return page;
  }

  async function befriend(one, other, name, shown) {
    await one.getByLabel('Add a contact by name').fill(name);
    await one.keyboard.press('Enter');
    await other.getByRole('button', { name: `Accept ${shown}` }).click();
  }

  async function check(page, name) {
    await page.addScriptTag({ path: AXE });
    const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), RULES);
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' | ')}`), [], name);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${name}: nothing sticks out sideways: ${overflow} pixels`);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
  }

  /** Sends a picture of half the size from now on. */
  const shrink = (page) => page.evaluate(async () => {
    const open = window.peers.filter(({ connectionState }) => connectionState === 'connected');
    for (const sender of open.flatMap((peer) => peer.getSenders()).filter(({ track }) => track?.kind === 'video')) {
      const parameters = sender.getParameters();
      for (const encoding of parameters.encodings) encoding.scaleResolutionDownBy = 2 * (encoding.scaleResolutionDownBy ?? 1);
      await sender.setParameters(parameters);
    }
  });

  /** All files of the only recording, in a folder that goes with the test: {name: path}. */
  async function fetchFiles(t) {
    const folder = mkdtempSync(path.join(tmpdir(), 'stentor-recorded-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const { recordings: [{ id, files }] } = await bed.server.api('GET', '/api/v1/recordings');
    const headers = { Authorization: `Bearer ${bed.server.token('admin')}` };
    return Object.fromEntries(await Promise.all(files.map(async ({ name }) => {
      const response = await fetch(`${bed.server.url}/api/v1/recordings/${id}/files/${name}`, { headers });
      assert.equal(response.status, 200, name);
      const file = path.join(folder, name);
      writeFileSync(file, Buffer.from(await response.arrayBuffer()));
      return [name, file];
    })));
  }

  /** Plays what `video` shows up to its end: the widths that it had, and whether an error came. */
  const playThrough = (video) => video.evaluate(async (v) => {
    const seen = { widths: [v.videoWidth], error: null, duration: v.duration };
    v.addEventListener('resize', () => seen.widths.push(v.videoWidth));
    v.addEventListener('error', () => { seen.error = v.error.message; });
    v.currentTime = 0;
    v.playbackRate = 4;
    await v.play();
    while (!v.ended && !seen.error) await new Promise((resolve) => { setTimeout(resolve, 50); });
    return { ...seen, time: v.currentTime };
  });

  test('is told to all who are in it, and played by them alone', async (t) => {
    const nina = await signIn(t, 'nina', 'Nina');
    const [olaf, pia, quin] = await Promise.all([
      signIn(t, 'olaf', 'Olaf', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }),
      signIn(t, 'pia', 'Pia'),
      signIn(t, 'quin', 'Quin'),
    ]);
    await befriend(nina, olaf, 'olaf', 'Nina');
    await befriend(nina, pia, 'pia', 'Nina');
    await nina.getByRole('button', { name: 'Call Olaf' }).click();
    await olaf.getByRole('button', { name: 'Accept' }).click();
    for (const page of [nina, olaf]) await page.locator('.call-tile').first().getByText('Direct').waitFor();
    await nina.getByRole('button', { name: 'Record', exact: true }).click();
    for (const page of [nina, olaf]) await page.getByText(RECORDED).waitFor();
    // Through the server by now: there is something to record.
    for (const page of [nina, olaf]) await page.locator('.call-tile').first().getByText('By server').waitFor();
    assert.equal(await olaf.getByRole('button', { name: 'Record', exact: true }).isVisible(), false, 'only whoever called may');
    await nina.getByRole('button', { name: 'Add people' }).click();
    await nina.getByRole('checkbox', { name: 'Pia' }).check();
    await nina.getByRole('button', { name: 'Ring them' }).click();
    await pia.getByRole('button', { name: 'Accept' }).click();
    await pia.getByText(RECORDED).waitFor();
    await check(olaf, 'recorded-phone');
    const began = Date.now();
    await until('some seconds are recorded', () => Date.now() - began > 1500);
    await shrink(nina);
    await until('and some more', () => Date.now() - began > 4500);
    await nina.getByRole('button', { name: 'Record', exact: true }).click();
    for (const page of [nina, olaf, pia]) await page.getByText(RECORDED).waitFor({ state: 'hidden' });
    await nina.getByRole('button', { name: 'End for all' }).click();
    for (const page of [olaf, pia]) await page.getByText('The call has ended.').first().waitFor();

    await quin.getByRole('link', { name: 'Recordings' }).click();
    await quin.getByText('There are no recordings yet').waitFor();
    await olaf.getByRole('link', { name: 'Recordings' }).click();
    const play = olaf.getByRole('button', { name: /^Play Call with .*Nina/ });
    await play.waitFor({ timeout: MADE_MS });
    assert.equal(await olaf.getByRole('button', { name: /^Delete/ }).isVisible(), false, 'only whoever had it recorded may');
    await play.click();
    const video = olaf.getByLabel(/^Recording: Call with/);
    const playing = await until('it plays', () => video.evaluate((v) => v.currentTime > 0.5 && { width: v.videoWidth, duration: v.duration }), 20_000);
    assert.ok(playing.width > 0 && playing.duration > 1, JSON.stringify(playing));
    await check(olaf, 'recordings-phone');
    const made = await fetchFiles(t);
    assert.deepEqual(Object.keys(made).sort(), ['composite.mp4', 'nina.mp4', 'olaf.mp4', 'pia.mp4']);
    for (const file of Object.values(made)) decode(file);
    await olaf.getByLabel('File', { exact: true }).selectOption('nina.mp4');
    const changing = sizes(made['nina.mp4']);
    assert.ok(changing.length > 1, `her picture became smaller: ${changing}`);
    await until('hers is open', () => video.evaluate((v) => v.readyState > 2 && v.getAttribute('src').includes('nina.mp4')));
    const through = await playThrough(video);
    assert.equal(through.error, null);
    assert.ok(through.time > through.duration - 0.2, JSON.stringify(through));
    t.diagnostic(`${changing.join(', then ')}: Chromium had widths of ${through.widths.join(', ')}`);
    const link = await video.getAttribute('src');
    assert.equal((await fetch(bed.server.url + link)).status, 200, 'a link is enough');
    const part = await fetch(bed.server.url + link, { headers: { Range: 'bytes=100-199' } });
    assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength], [206, 100]);

    await olaf.getByLabel('File', { exact: true }).selectOption('composite.mp4');
    await until('all in one picture is open', () => video.evaluate((v) => v.readyState > 2 && v.getAttribute('src').includes('composite.mp4')));
    await video.evaluate((v) => v.play());
    const all = await until('all are played', () => video.evaluate((v) => v.currentTime > 0.5 && [v.videoWidth, v.videoHeight]));
    assert.deepEqual(all, [1280, 720]);
    const half = await video.evaluate((v) => new Promise((resolve) => {
      v.addEventListener('seeked', () => resolve(v.currentTime), { once: true });
      v.currentTime = v.duration / 2;
    }));
    assert.ok(half > 1, `it is found at ${half} s`);
    checkComposite(made['composite.mp4'], t);
    assert.notEqual((await fetch(bed.server.url + link.replace(/signature=./, 'signature=_'))).status, 200, 'one that is made up isn’t');

    await nina.getByRole('link', { name: 'Recordings' }).click();
    await nina.getByRole('button', { name: /^Delete Call/ }).focus();
    await check(nina, 'recordings');
    await nina.keyboard.press('Enter');
    await nina.getByRole('button', { name: 'Delete it' }).click();
    await nina.getByText('There are no recordings yet').waitFor();
  });
});

/** Three in one picture by the end, each moving and named, one of them marked; and heard. */
function checkComposite(file, t) {
  const { video, audio, seconds } = probe(file);
  assert.deepEqual([video.codec_name, video.width, video.height, audio.codec_name], ['h264', 1280, 720, 'aac']);
  const shown = pictures(file, 4);
  const last = shown.slice(-5);
  const moves = ([left, top], width = TILE_WIDTH) => {
    let count = 0;
    for (let y = top + 8; y < top + TILE_HEIGHT - 8; y += 4) {
      for (let x = left + 8; x < left + width - 8; x += 4) {
        const levels = last.map(({ luma }) => luma(x, y));
        if (Math.max(...levels) - Math.min(...levels) > 40) count += 1;
      }
    }
    return count;
  };
  const moving = TILES.map((place) => moves(place));
  assert.ok(moving.every((count) => count > 50), `points that move in each tile: ${moving}`);
  assert.equal(moves([0, 360], 320), 0, 'nothing moves where nobody is');
  const isMarked = (picture) => TILES.filter(([left, top]) => {
    const [u, v] = picture.chroma(left + 320, top + 2);
    return Math.abs(picture.luma(left + 320, top + 2) - 170) < 40 && Math.abs(u - 80) < 30 && Math.abs(v - 60) < 30;
  });
  const marked = shown.filter((picture) => isMarked(picture).length === 1).length;
  // White on a picture that is green throughout.
  const isNamed = ([left, top]) => {
    const places = Array.from({ length: 64 * 26 }, (_, n) => [left + 8 + (n % 64), top + 326 + Math.floor(n / 64)]);
    return places.some(([x, y]) => last[0].luma(x, y) > 190 && last[0].chroma(x, y).every((level) => Math.abs(level - 128) < 25));
  };
  assert.deepEqual(TILES.map(isNamed), [true, true, true], 'each has a name');
  t.diagnostic(`${seconds} s, ${shown.length} pictures, points that move: ${moving}, ${marked} with one who speaks, loudest ${loudest(file)} dB`);
  assert.ok(marked > 0, 'one of them speaks');
  assert.ok(loudest(file) > -40, 'they are heard');
}
