// Pages of other sites that use the server: those that the operator lists, and no others.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';

import { launchChromium } from './support/chromium.mjs';
import { canStart, startServer } from './support/server.mjs';

/** A site with one empty page. Gives {origin, close()}. */
function startSite() {
  const site = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><title>elsewhere</title>');
  });
  return new Promise((resolve) => {
    site.listen(0, '127.0.0.1', () => {
      const close = () => new Promise((done) => { site.close(done); site.closeAllConnections(); });
      resolve({ origin: `http://127.0.0.1:${site.address().port}`, close });
    });
  });
}

/** Runs in the page: watches by WHEP, with nothing but what browsers bring. */
async function watch({ url, token }) {
  const pc = new RTCPeerConnection();
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' });
  pc.addEventListener('track', ({ streams }) => { [video.srcObject] = streams; video.play(); });
  await pc.setLocalDescription();
  const authorization = { Authorization: `Bearer ${token}` };
  const created = await fetch(`${url}/whep/demo`, {
    method: 'POST',
    headers: { ...authorization, 'Content-Type': 'application/sdp' },
    body: pc.localDescription.sdp,
  });
  const seen = { status: created.status, location: created.headers.get('Location'), etag: created.headers.get('ETag') };
  await pc.setRemoteDescription({ type: 'answer', sdp: await created.text() });
  seen.frames = await new Promise((resolve) => {
    const deadline = setTimeout(() => resolve(0), 15_000);
    const count = (_, { presentedFrames }) => {
      if (presentedFrames < 10) video.requestVideoFrameCallback(count);
      else { clearTimeout(deadline); resolve(presentedFrames); }
    };
    video.requestVideoFrameCallback(count);
  });
  const ufrag = /a=ice-ufrag:(.*)\r/.exec(pc.localDescription.sdp)[1];
  const trickled = await fetch(new URL(seen.location, url), {
    method: 'PATCH',
    headers: { ...authorization, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': seen.etag },
    body: `a=ice-ufrag:${ufrag}\r\na=end-of-candidates\r\n`,
  });
  seen.trickled = trickled.status;
  const removed = await fetch(new URL(seen.location, url), { method: 'DELETE', headers: authorization });
  seen.removed = removed.status;
  pc.close();
  return seen;
}

describe('a page of another site', { skip: !canStart && 'needs a server of its own' }, () => {
  let listed;
  let stranger;
  let server;
  let browser;

  before(async () => {
    [listed, stranger, browser] = await Promise.all([startSite(), startSite(), launchChromium()]);
    server = await startServer({ tokens: true, origins: [listed.origin] });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await Promise.all([listed?.close(), stranger?.close()]);
  });

  async function open(t, site) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(site.origin);
    return page;
  }

  test('that is listed watches: preflights, headers, trickle and end', async (t) => {
    const page = await open(t, listed);
    const seen = await page.evaluate(watch, { url: server.url, token: server.token('view') });
    assert.equal(seen.status, 201);
    assert.match(seen.location, /^\/whep\/demo\//);
    assert.match(seen.etag, /^"/);
    assert.ok(seen.frames >= 10, `${seen.frames} frames`);
    assert.equal(seen.trickled, 204);
    assert.equal(seen.removed, 200);
  });

  test('that is not listed gets nothing, a good token or not', async (t) => {
    const page = await open(t, stranger);
    const failed = await page.evaluate(async ({ url, token }) => {
      const ask = (path, options) => fetch(url + path, options).then(() => 'answered', (error) => error.name);
      const headers = { Authorization: `Bearer ${token}` };
      return [
        await ask('/whep/demo', { method: 'POST', headers: { ...headers, 'Content-Type': 'application/sdp' }, body: 'v=0' }),
        await ask('/api/v1/channels', { headers }),
        await ask('/healthz', {}),
        await new Promise((resolve) => {
          const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
          socket.onopen = () => resolve('answered');
          socket.onerror = () => resolve('refused');
        }),
      ];
    }, { url: server.url, token: server.token('admin') });
    assert.deepEqual(failed, ['TypeError', 'TypeError', 'TypeError', 'refused']);
    const viewers = await server.viewers('demo');
    assert.deepEqual(viewers, []);
  });
});
