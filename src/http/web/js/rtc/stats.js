// getStats() as the few figures that people look at. Pure: reports in, figures out; rates come
// from the difference to an earlier report.

/** Reads `peer` and gives figures against `before`, an earlier result of this (or null). */
export async function readStats(peer, before) {
  return figures(await peer.getStats(), before);
}

export function figures(report, before) {
  const all = [...report.values()];
  const of = (type, kind) => all.find((s) => s.type === type && (!kind || s.kind === kind));
  const inVideo = of('inbound-rtp', 'video');
  const inAudio = of('inbound-rtp', 'audio');
  const outVideo = of('outbound-rtp', 'video');
  const outAudio = of('outbound-rtp', 'audio');
  const farVideo = of('remote-inbound-rtp', 'video');
  const sent = of('remote-outbound-rtp', 'video') ?? of('remote-outbound-rtp', 'audio');
  const transport = of('transport');
  const pair = (transport && report.get(transport.selectedCandidatePairId))
    ?? all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
  const local = pair && report.get(pair.localCandidateId);
  const remote = pair && report.get(pair.remoteCandidateId);
  const codec = (stats) => report.get(stats?.codecId);
  const old = before?.raw;
  const video = inVideo ?? outVideo;
  const now = video?.timestamp ?? inAudio?.timestamp ?? outAudio?.timestamp ?? 0;
  const seconds = old ? (now - old.now) / 1000 : 0;
  const heardAt = Math.max(inVideo?.lastPacketReceivedTimestamp ?? 0, inAudio?.lastPacketReceivedTimestamp ?? 0);

  const raw = {
    now,
    bytes: sum(inVideo?.bytesReceived, inAudio?.bytesReceived, outVideo?.bytesSent, outAudio?.bytesSent),
    inBytes: sum(inVideo?.bytesReceived, inAudio?.bytesReceived),
    outBytes: sum(outVideo?.bytesSent, outAudio?.bytesSent),
    videoBytes: inVideo?.bytesReceived ?? outVideo?.bytesSent ?? 0,
    packets: sum(inVideo?.packetsReceived, inAudio?.packetsReceived),
    lost: sum(inVideo?.packetsLost, inAudio?.packetsLost),
    frames: inVideo?.framesDecoded ?? outVideo?.framesEncoded ?? 0,
    bufferSeconds: inVideo?.jitterBufferDelay ?? 0,
    bufferCount: inVideo?.jitterBufferEmittedCount ?? 0,
    codecSeconds: inVideo?.totalDecodeTime ?? outVideo?.totalEncodeTime ?? 0,
  };
  const delta = (name) => (old ? raw[name] - old[name] : NaN);
  const rate = (name) => (seconds > 0 ? delta(name) / seconds : NaN);
  const per = (name, count) => (delta(count) > 0 ? delta(name) / delta(count) : NaN);
  const arrived = delta('packets') + delta('lost');

  return {
    raw,
    bitrate: known(rate('bytes') * 8),
    inBitrate: known(rate('inBytes') * 8),
    outBitrate: known(rate('outBytes') * 8),
    videoBitrate: known(rate('videoBytes') * 8),
    width: video?.frameWidth ?? null,
    height: video?.frameHeight ?? null,
    fps: video?.framesPerSecond ?? known(rate('frames')),
    frames: raw.frames,
    dropped: inVideo?.framesDropped ?? null,
    freezes: inVideo?.freezeCount ?? null,
    frozenSeconds: inVideo?.totalFreezesDuration ?? null,
    keyframes: inVideo?.keyFramesDecoded ?? outVideo?.keyFramesEncoded ?? null,
    lostTotal: raw.lost,
    lossRatio: outVideo ? farVideo?.fractionLost ?? null : known(arrived > 0 ? Math.max(0, delta('lost')) / arrived : NaN),
    jitterMs: inVideo?.jitter !== undefined ? inVideo.jitter * 1000 : farVideo?.jitter !== undefined ? farVideo.jitter * 1000 : null,
    // Since the last packet came; null where none has, or the browser doesn't say.
    silentMs: heardAt > 0 ? Math.max(0, now - heardAt) : null,
    roundTripMs: pair?.currentRoundTripTime !== undefined ? pair.currentRoundTripTime * 1000 : null,
    bufferMs: known(per('bufferSeconds', 'bufferCount') * 1000),
    codecMs: known(per('codecSeconds', 'frames') * 1000),
    nacks: inVideo?.nackCount ?? outVideo?.nackCount ?? null,
    plis: inVideo?.pliCount ?? outVideo?.pliCount ?? null,
    videoCodec: codec(video)?.mimeType?.split('/')[1] ?? null,
    audioCodec: codec(inAudio ?? outAudio)?.mimeType?.split('/')[1] ?? null,
    decoder: inVideo?.decoderImplementation ?? outVideo?.encoderImplementation ?? null,
    limitation: outVideo?.qualityLimitationReason ?? null,
    available: pair?.availableOutgoingBitrate ?? null,
    path: local && remote ? pathOf(local, remote) : null,
    // When what plays now was captured, by the sender's clock.
    playout: inVideo?.estimatedPlayoutTimestamp
      ? { atMs: inVideo.timestamp, capturedMs: unixMs(inVideo.estimatedPlayoutTimestamp) }
      : null,
    // The last sender report: sent by the sender's clock, arrived by ours.
    report: sent?.remoteTimestamp ? { sentMs: sent.remoteTimestamp, arrivedMs: sent.timestamp } : null,
  };
}

function pathOf(local, remote) {
  const address = remote.address ?? remote.ip;
  const shown = address?.includes(':') ? `[${address}]` : address ?? '';
  return { protocol: (local.relayProtocol ?? local.protocol ?? '').toUpperCase(), kind: local.candidateType, remoteKind: remote.candidateType, remote: shown ? `${shown}:${remote.port}` : '' };
}

/** Chromium counts from NTP's epoch, 70 years before Unix's, Firefox from Unix's. */
function unixMs(timestamp) {
  const EPOCHS_APART_MS = 2_208_988_800_000;
  return timestamp > 3_000_000_000_000 ? timestamp - EPOCHS_APART_MS : timestamp;
}

const known = (value) => (Number.isFinite(value) ? value : null);
const sum = (...values) => values.reduce((total, value) => total + (value ?? 0), 0);
