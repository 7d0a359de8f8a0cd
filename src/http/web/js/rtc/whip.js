// A WHIP publisher (RFC 9725) without a user interface.
//
//   const client = new WhipClient({ url: '/whip/studio', stream, token: () => token });
//   client.addEventListener('state', () => show(client.status));
//   client.start();

import { RtcClient } from './client.js';
import { orderCodecs } from './sdp.js';
import { ResourceError } from './resource.js';

/** H.264 passes through the server untouched as the top rendition; VP8 is what all browsers have. */
const PREFERRED = ['H264', 'VP8'];

export class WhipClient extends RtcClient {
  #stream;
  #maxBitrate;
  #hint;
  #codec;
  #takenOver;

  /**
   * `maxBitrate` in bits per second or null; `hint` as for MediaStreamTrack.contentHint;
   * `codec`: `auto`, `H264` or `VP8`, where the browser has it; `takenOver()` says, when the server has ended the session,
   * whether somebody else publishes now: then there is no other try.
   */
  constructor({ url, stream, maxBitrate = null, hint = '', codec = 'auto', takenOver = async () => false, ...rest }) {
    super({ url, ...rest });
    this.#stream = stream;
    this.#maxBitrate = maxBitrate;
    this.#hint = hint;
    this.#codec = codec;
    this.#takenOver = takenOver;
  }

  prepare(peer) {
    const tracks = this.#stream.getTracks();
    // It isn't tried again by itself: `reconnect()` does, once there is something.
    if (!tracks.length) throw new Error('There is nothing to send.');
    for (const track of tracks) {
      const video = track.kind === 'video';
      if (video && this.#hint) track.contentHint = this.#hint;
      const transceiver = peer.addTransceiver(track, {
        direction: 'sendonly',
        streams: [this.#stream],
        ...(video && this.#maxBitrate && { sendEncodings: [{ maxBitrate: this.#maxBitrate }] }),
      });
      if (video) this.#order(transceiver);
    }
  }

  async lostFor(error, status) {
    if (status !== 404 || !(await this.#takenOver())) return true;
    error.message = 'Somebody else publishes to this channel now.';
    error.status = 409;
    return false;
  }

  /** Changes the ceiling while sending. Null lifts it. */
  async setMaxBitrate(bps) {
    this.#maxBitrate = bps;
    const sender = this.#sender('video');
    if (!sender) return;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings ?? []) {
      if (bps) encoding.maxBitrate = bps;
      else delete encoding.maxBitrate;
    }
    await sender.setParameters(parameters);
  }

  /** What is sent from now on; another than before takes a new session. */
  setCodec(codec) {
    if (codec === this.#codec) return;
    this.#codec = codec;
    this.reconnect();
  }

  /** Puts another device's track in, without a new session. */
  async replaceTrack(track) {
    const old = this.#stream.getTracks().find((t) => t.kind === track.kind);
    if (old && old !== track) this.#stream.removeTrack(old);
    this.#stream.addTrack(track);
    if (track.kind === 'video' && this.#hint) track.contentHint = this.#hint;
    const sender = this.#sender(track.kind);
    if (!sender && this.peer) throw new ResourceError(`Nothing of kind ${track.kind} is being sent.`);
    await sender?.replaceTrack(track);
  }

  #sender(kind) {
    return this.peer?.getTransceivers().find((t) => t.receiver.track.kind === kind)?.sender;
  }

  /** The server takes H.264 where it is offered: a codec that was chosen is offered alone. */
  #offered(codecs) {
    const wanted = (c) => c.mimeType.toLowerCase() === `video/${this.#codec}`.toLowerCase();
    if (!codecs.some(wanted)) return codecs;
    return codecs.filter((c) => wanted(c) || /^video\/(rtx|red|ulpfec)$/i.test(c.mimeType));
  }

  #order(transceiver) {
    // Which list is asked for changed between versions of the standard: the sender's, or its
    // overlap with the receiver's. The browser's own order holds where it takes neither.
    const sends = RTCRtpSender.getCapabilities?.('video')?.codecs ?? [];
    const receives = new Set(RTCRtpReceiver.getCapabilities?.('video')?.codecs.map((c) => c.mimeType + c.sdpFmtpLine));
    const both = sends.filter((c) => receives.has(c.mimeType + c.sdpFmtpLine));
    for (const list of [sends, both]) {
      try {
        transceiver.setCodecPreferences(orderCodecs(this.#offered(list), PREFERRED));
        return;
      } catch {
        // The next list, or none.
      }
    }
  }
}
