// What this browser can do, and what its line is taken to carry, as `hello` says it.

const NAMES = { AV1: 'av1', H264: 'h264', VP8: 'vp8' };
const ORDER = ['AV1', 'H264', 'VP8'];
const LARGE = { width: 1920, height: 1080 };
const SMALL = { width: 1280, height: 720 };
export const UP_BPS = 4_000_000;
const DOWN_BPS = 10_000_000;

/** What is known before anything is measured, and what the line up was found to carry. */
export function capabilities(upBps = UP_BPS) {
  const { connection } = navigator;
  return {
    encode: limits(RTCRtpSender.getCapabilities('video'), 8),
    decode: limits(RTCRtpReceiver.getCapabilities('video'), 4),
    up_bps: upBps,
    // Of a fast line Chromium knows little: small files of this page don't fill it.
    down_bps: isSlow(connection) ? Math.max(Math.round(connection.downlink * 1e6), 100_000) : DOWN_BPS,
    network: { ethernet: 'ethernet', wifi: 'wifi', cellular: 'cellular' }[connection?.type] ?? 'ethernet',
  };
}

function isSlow(connection) {
  return Boolean(connection?.downlink) && ['slow-2g', '2g', '3g'].includes(connection.effectiveType);
}

/** AV1 takes `cores` at least; few cores carry a smaller picture. */
function limits(known, cores) {
  const have = navigator.hardwareConcurrency ?? 4;
  const resolution = have >= 4 ? LARGE : SMALL;
  const names = new Set((known?.codecs ?? []).map((codec) => codec.mimeType.split('/')[1].toUpperCase()));
  return ORDER
    .filter((name) => names.has(name) && (name !== 'AV1' || have >= cores))
    .map((name) => ({ codec: NAMES[name], resolution, frame_rate: 30 }));
}
