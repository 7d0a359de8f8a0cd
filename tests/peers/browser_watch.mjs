// Watches a channel in a real browser:
//   node browser_watch.mjs chromium|firefox WHEP_URL [--token T] [--rendition R] [--seconds N]
// Prints `watching` with the session's URL and the answer, and then every 200 ms a `seen` with
// what the browser counts: decoded frames, the picture's size, the longest time between two
// presented frames since the last `seen` and the time since the last one, freezes, NACKs, bytes.

import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const require = createRequire(new URL('../browser/package.json', import.meta.url));

const { positionals: [browserName, url], values } = parseArgs({
  allowPositionals: true,
  options: {
    token: { type: 'string' },
    rendition: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    // Restarts ICE after so many seconds, and says `restarted`.
    'restart-after': { type: 'string' },
    // Follows the session's events by an EventSource, and says them as `told`.
    events: { type: 'boolean', default: false },
    // Asks for this layer over the session's layer extension, 2 s in.
    layer: { type: 'string' },
  },
});

const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

async function launch() {
  if (browserName === 'chromium') {
    return require('playwright-core').chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
    });
  }
  return require('puppeteer-core').launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    extraPrefsFirefox: {
      'media.autoplay.default': 0,
      'media.gmp-manager.updateEnabled': false,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
    },
  });
}

async function watch({ url: endpoint, token }) {
  const peer = new RTCPeerConnection();
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const state = { longest: 0, last: null };
  peer.ontrack = ({ track }) => {
    if (track.kind !== 'video') return;
    video.srcObject = new MediaStream([track]);
    video.play();
  };
  const onFrame = (now) => {
    if (state.last !== null) state.longest = Math.max(state.longest, now - state.last);
    state.last = now;
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  await peer.setLocalDescription();
  const reply = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp', ...(token && { authorization: `Bearer ${token}` }) },
    body: peer.localDescription.sdp,
  });
  const answer = await reply.text();
  if (reply.status !== 201) throw new Error(`WHEP: ${reply.status} ${answer}`);
  await peer.setRemoteDescription({ type: 'answer', sdp: answer });

  const session = new URL(reply.headers.get('location'), endpoint).href;
  const json = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const extension = (name) => {
    const link = reply.headers.get('link').split(/,\s*(?=<)/).find((one) => one.includes(`urn:ietf:params:whep:ext:core:${name}`));
    return new URL(link.match(/<(.*?)>/)[1], session).href;
  };
  window.told = [];
  window.follow = async () => {
    const names = ['active', 'inactive', 'layers', 'layer', 'viewercount'];
    const made = await fetch(extension('server-sent-events'), { method: 'POST', headers: json, body: JSON.stringify(names) });
    if (made.status !== 201) throw new Error(`events: ${made.status} ${await made.text()}`);
    const source = new EventSource(new URL(made.headers.get('location'), session));
    for (const name of names) {
      source.addEventListener(name, (event) => window.told.push({ name, data: JSON.parse(event.data) }));
    }
  };
  window.choose = async (rid) => {
    const chosen = await fetch(extension('layer'), { method: 'POST', headers: json, body: JSON.stringify({ mediaId: '0', rid }) });
    if (!chosen.ok) throw new Error(`layer: ${chosen.status} ${await chosen.text()}`);
  };
  window.restart = async () => {
    peer.restartIce();
    await peer.setLocalDescription();
    const line = (name, sdp) => sdp.match(new RegExp(`a=${name}:.*`))[0];
    const credentials = (sdp) => [line('ice-ufrag', sdp), line('ice-pwd', sdp)];
    const ours = peer.localDescription.sdp;
    const restarted = await fetch(session, {
      method: 'PATCH',
      headers: {
        'content-type': 'application/trickle-ice-sdpfrag',
        'if-match': '*',
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: [...credentials(ours), line('group', ours), ours.match(/m=video.*/)[0].trim(), line('mid', ours), ''].join('\r\n'),
    });
    const theirs = await restarted.text();
    if (restarted.status !== 200) throw new Error(`ICE restart: ${restarted.status} ${theirs}`);
    const [ufrag, password] = credentials(theirs);
    const changed = answer.replaceAll(/a=ice-ufrag:.*/g, ufrag.trim()).replaceAll(/a=ice-pwd:.*/g, password.trim());
    await peer.setRemoteDescription({ type: 'answer', sdp: changed });
  };
  window.look = async () => {
    const report = await peer.getStats();
    const all = [...report.values()];
    const inbound = all.find((s) => s.type === 'inbound-rtp' && s.kind === 'video') ?? {};
    const pair = all.find((s) => s.type === 'candidate-pair' && (s.selected || (s.nominated && s.state === 'succeeded')));
    const now = performance.now();
    const seen = {
      at_ms: performance.timeOrigin + now,
      connection: peer.connectionState,
      codec: report.get(inbound.codecId)?.mimeType ?? null,
      decoded: inbound.framesDecoded ?? 0,
      width: video.videoWidth,
      height: video.videoHeight,
      longest_ms: state.longest,
      since_ms: state.last === null ? null : now - state.last,
      freezes: inbound.freezeCount ?? null,
      frozen_s: inbound.totalFreezesDuration ?? null,
      nacks: inbound.nackCount ?? null,
      plis: inbound.pliCount ?? null,
      lost: inbound.packetsLost ?? null,
      repaired: inbound.retransmittedPacketsReceived ?? null,
      bytes: inbound.bytesReceived ?? 0,
      local: report.get(pair?.localCandidateId)?.address ?? null,
      remote: report.get(pair?.remoteCandidateId)?.address ?? null,
    };
    state.longest = 0;
    return seen;
  };
  return { session, answer };
}

const browser = await launch();
try {
  const page = await browser.newPage();
  const query = values.rendition ? `?rendition=${values.rendition}` : '';
  // A server that has just been started may not be there yet, or its channel may not.
  const watching = async () => {
    await page.goto(new URL('/readyz', url).href);
    return page.evaluate(watch, { url: url + query, token: values.token });
  };
  const patience = performance.now() + 60_000;
  for (;;) {
    try {
      say('watching', await watching());
      break;
    } catch (error) {
      if (performance.now() > patience || !/WHEP: (404|503)|CONNECTION_REFUSED|connectionFailure/i.test(error.message)) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 300); });
    }
  }
  const begin = performance.now();
  const end = begin + Number(values.seconds) * 1000;
  let choice = values.layer ? begin + 2000 : Infinity;
  if (values.events) await page.evaluate(() => window.follow());
  let restart = begin + Number(values['restart-after'] ?? Infinity) * 1000;
  while (performance.now() < end) {
    if (performance.now() > restart) {
      restart = Infinity;
      await page.evaluate(() => window.restart());
      say('restarted', {});
    }
    if (performance.now() > choice) {
      choice = Infinity;
      await page.evaluate((rid) => window.choose(rid), values.layer);
    }
    for (const told of await page.evaluate(() => window.told.splice(0))) say('told', told);
    say('seen', await page.evaluate(() => window.look()));
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
} finally {
  await browser.close();
}
