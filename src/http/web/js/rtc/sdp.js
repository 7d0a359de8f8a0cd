// The few things that are read from or written into SDP text. Pure.

/** An ICE fragment (RFC 8840) of `candidates`; `last` says that there are no more. */
export function iceFragment(sdp, candidates, last) {
  const value = (name) => new RegExp(`^a=${name}:(.*)$`, 'm').exec(sdp)?.[1].trim() ?? '';
  const lines = [`a=ice-ufrag:${value('ice-ufrag')}`, `a=ice-pwd:${value('ice-pwd')}`];
  const media = sdp.split(/\r?\n(?=m=)/).slice(1);
  const bundled = media[0];
  if (bundled) {
    lines.push(bundled.split(/\r?\n/)[0], `a=mid:${/^a=mid:(.*)$/m.exec(bundled)?.[1].trim() ?? '0'}`);
    for (const candidate of candidates) lines.push(`a=${candidate.candidate}`);
  }
  if (last) lines.push('a=end-of-candidates');
  return `${lines.join('\r\n')}\r\n`;
}

/** Says that we play Opus in stereo: a decoder made without it folds to one channel. */
export function withStereo(sdp) {
  const payload = /^a=rtpmap:(\d+) opus\/48000/im.exec(sdp)?.[1];
  if (!payload) return sdp;
  return sdp.replace(new RegExp(`^(a=fmtp:${payload} )(?!.*\\bstereo=)(.*)$`, 'm'), '$1stereo=1;$2');
}

/** Codecs in the order to offer them: `preferred` (such as "H264") first, RTX and FEC last. */
export function orderCodecs(codecs, preferred) {
  const rank = (codec) => {
    const name = codec.mimeType.split('/')[1].toUpperCase();
    if (['RTX', 'RED', 'ULPFEC', 'FLEXFEC-03'].includes(name)) return 100;
    const at = preferred.indexOf(name);
    const baseline = name === 'H264' && !/packetization-mode=1/.test(codec.sdpFmtpLine ?? '') ? 0.5 : 0;
    return (at < 0 ? preferred.length : at) + baseline;
  };
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}
