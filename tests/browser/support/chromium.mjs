// Chromium from Debian, with a fake camera.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

import { Faults, watchPolicy } from './faults.mjs';

export const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const DEADLINE_MS = 20_000;

/**
 * Gives a browser; `close` ends it. `autoplay`: as if every visitor had touched the page. `cameras`:
 * how many it has. `program`: what is started in Chromium's place, with its arguments and `flags`.
 */
export function launchChromium({ autoplay = true, cameras = 1, program = PROGRAM, flags = [] } = {}) {
  return chromium.launch({
    executablePath: program,
    args: [
      ...flags,
      '--no-sandbox',
      `--use-fake-device-for-media-stream=device-count=${cameras}`,
      '--use-fake-ui-for-media-stream',
      `--autoplay-policy=${autoplay ? 'no-user-gesture-required' : 'document-user-activation-required'}`,
    ],
  });
}

/**
 * A page in a context of its own, closed at the end of test `t`, when it must be without faults.
 * `page.faults.allow(pattern)` allows those that the test provokes.
 */
export async function openPage(t, browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  page.faults = new Faults();
  await page.addInitScript(watchPolicy);
  await page.addInitScript(recordPeers);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.faults.add(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => page.faults.add(`exception: ${error.message}`));
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (!['blob:', 'data:'].includes(to.protocol) && to.origin !== new URL(url).origin) page.faults.add(`foreign request: ${to}`);
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(page.faults.list(), [], 'the page is without faults');
  });
  await page.goto(url);
  return page;
}

/**
 * Evaluates an expression without counting as the visitor's gesture, which Playwright's own
 * evaluations do.
 */
export async function quietly(page, expression) {
  page.quiet ??= await page.context().newCDPSession(page);
  const { result } = await page.quiet.send('Runtime.evaluate', { expression, returnByValue: true });
  return result.value;
}

/** Figures of the playing video and of the session behind it. */
export function videoState(page) {
  return page.evaluate(() => {
    const video = document.querySelector('.stage video');
    return {
      width: video?.videoWidth ?? 0,
      height: video?.videoHeight ?? 0,
      paused: video?.paused ?? true,
      muted: video?.muted ?? false,
      frames: video?.getVideoPlaybackQuality().totalVideoFrames ?? 0,
    };
  });
}

/**
 * Records every peer connection and web socket of the page, so that a test can read the statistics
 * of the one and drop the other.
 */
export function recordPeers() {
  const OriginalSocket = window.WebSocket;
  window.sockets = [];
  window.WebSocket = class extends OriginalSocket {
    constructor(...values) {
      super(...values);
      window.sockets.push(this);
    }
  };
  const Original = window.RTCPeerConnection;
  window.peers = [];
  window.RTCPeerConnection = class extends Original {
    constructor(...values) {
      super(...values);
      window.peers.push(this);
    }
  };
}

/**
 * What goes over the page's web sockets from now on, as {sent, heard, sockets}: messages, and how
 * many sockets were opened.
 */
export function listenIn(page) {
  const said = { sent: [], heard: [], sockets: 0 };
  page.on('websocket', (socket) => {
    said.sockets += 1;
    socket.on('framesent', ({ payload }) => said.sent.push(JSON.parse(payload)));
    socket.on('framereceived', ({ payload }) => said.heard.push(JSON.parse(payload)));
  });
  return said;
}

/** The newest connection's statistics of a type and kind, with the codec's name. */
export async function rtpStats(page, type = 'inbound-rtp', kind = 'video') {
  return page.evaluate(async ([wantedType, wantedKind]) => {
    const peer = window.peers?.at(-1);
    if (!peer) return null;
    const report = await peer.getStats();
    for (const stats of report.values()) {
      if (stats.type === wantedType && stats.kind === wantedKind) {
        return { ...stats, codec: report.get(stats.codecId)?.mimeType ?? null, peers: window.peers.length };
      }
    }
    return null;
  }, [type, kind]);
}
