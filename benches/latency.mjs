// Plays a channel in real Chromium and reads the capture time that the synthetic camera burns
// into its picture from the decoded frames: node latency.mjs URL RENDITION FRAMES.
// Prints { milliseconds: from capture to presentation, of each frame read; unread: frames whose
// clock could not be read } as JSON.

import { createRequire } from 'node:module';

const require = createRequire(new URL('../tests/browser/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const [url, rendition, frames] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
});
try {
  const page = await browser.newPage();
  await page.goto(url);
  const result = await page.evaluate(measure, { rendition, frames: Number(frames) });
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  await browser.close();
}

async function measure({ rendition, frames }) {
  const COLUMNS = 48;
  const ROWS = 2;
  const peer = new RTCPeerConnection();
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  peer.ontrack = ({ track }) => {
    if (track.kind === 'video') video.srcObject = new MediaStream([track]);
    video.play();
  };
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  await peer.setLocalDescription();
  const reply = await fetch(`/whep/demo?rendition=${rendition}`, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: peer.localDescription.sdp,
  });
  if (reply.status !== 201) throw new Error(`WHEP: ${reply.status} ${await reply.text()}`);
  await peer.setRemoteDescription({ type: 'answer', sdp: await reply.text() });

  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const crc16 = (bytes) => bytes.reduce((crc, byte) => {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1 ^ 0x1021) & 0xffff : crc << 1 & 0xffff;
    return crc;
  }, 0xffff);

  // The layout is documented in pipelines/protocol/src/stamp.rs.
  const readStamp = (width, height) => {
    canvas.width = width;
    canvas.height = Math.ceil(height / 10);
    context.drawImage(video, 0, 0, width, height);
    let bits = 0n;
    for (let row = 0; row < ROWS; row += 1) {
      const y = Math.floor(((row + 0.5) * height) / 20);
      const line = context.getImageData(0, y, width, 1).data;
      for (let column = 0; column < COLUMNS; column += 1) {
        const x = Math.floor(((column + 0.5) * width) / COLUMNS);
        bits = bits << 1n | (line[x * 4 + 1] > 126 ? 1n : 0n);
      }
    }
    const head = bits >> 16n;
    const bytes = Array.from({ length: 10 }, (_, i) => Number(head >> BigInt(8 * (9 - i)) & 0xffn));
    if (BigInt(crc16(bytes)) !== (bits & 0xffffn)) return null;
    return Number(bits >> 48n & (1n << 44n) - 1n);
  };

  const figures = [];
  let unread = 0;
  await new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`${figures.length} frames read, ${unread} not`)), 90_000);
    // The first second is the joiner's catching up, which is another figure.
    let settle = 30;
    const onFrame = (_, frame) => {
      // The callback's own time is the display's tick before the frame: the moment of the call
      // is later than that, never earlier.
      const unix = performance.timeOrigin + performance.now();
      const captured = readStamp(frame.width, frame.height);
      if (settle > 0) settle -= 1;
      else if (captured === null) unread += 1;
      else figures.push(unix - captured);
      if (figures.length < frames) video.requestVideoFrameCallback(onFrame);
      else {
        clearTimeout(deadline);
        resolve();
      }
    };
    video.requestVideoFrameCallback(onFrame);
  });
  peer.close();
  return { milliseconds: figures, unread };
}
