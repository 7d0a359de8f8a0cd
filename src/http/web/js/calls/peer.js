// A direct connection with one other device: its making, what is sent over it, and how it fares.

import { figures } from '../rtc/stats.js';
import { orderCodecs } from '../rtc/sdp.js';

/** Events: `change` (connected, stream). */
export class Peer extends EventTarget {
  connected = false;
  /** What arrives. */
  stream = new MediaStream();
  /** As `figures` gives them. */
  figures = null;
  #pc;
  #say;
  #numbers;
  #local;
  #configuration;
  #early = [];
  #held = false;
  #chain = Promise.resolve();
  #over = false;

  /** `say(message)` tells the server; `local` is the stream that is sent. */
  constructor({ call, session, epoch, user, offers }, { iceServers, local, configuration, say }) {
    super();
    this.user = user;
    this.epoch = epoch;
    this.session = session;
    this.#numbers = { call, session, epoch };
    this.#local = local;
    this.#configuration = configuration;
    this.#say = say;
    const pc = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle' });
    this.#pc = pc;
    pc.addEventListener('icecandidate', ({ candidate }) => {
      const mid = candidate?.sdpMid;
      say({ type: 'candidate', ...this.#numbers, candidate: candidate?.candidate ?? '', ...(mid && { mid }) });
    });
    pc.addEventListener('track', ({ track }) => {
      this.stream.addTrack(track);
      this.#changed();
    });
    pc.addEventListener('connectionstatechange', () => this.#follow());
    if (offers) this.#guard(() => this.#offer());
  }

  /** What the other end says: an offer, an answer or a candidate of this epoch. */
  take(message) {
    if (message.epoch !== this.epoch) return;
    if (message.type === 'offer') this.#guard(() => this.#answer(message.sdp));
    else if (message.type === 'answer') this.#guard(() => this.#accept(message.sdp));
    else this.#guard(() => this.#addCandidate(message));
  }

  /** Sends as agreed from now on. */
  configure(configuration) {
    this.#configuration = configuration;
    return this.#guard(() => this.#limit());
  }

  /** Sends sound alone while the picture goes another way: it shows how the path does. */
  hold(held) {
    if (this.#held === held) return;
    this.#held = held;
    this.#guard(() => this.#limit());
  }

  /** Sends what the local stream has now. */
  replace() {
    return this.#guard(() => this.#attach());
  }

  /** Reads how it fares into `figures`; null once it is over. */
  async measure() {
    const report = await this.#pc.getStats();
    if (this.#over) return null;
    this.figures = figures(report, this.figures);
    return this.figures;
  }

  close() {
    this.#over = true;
    this.#pc.close();
  }

  async #offer() {
    for (const kind of ['audio', 'video']) {
      const transceiver = this.#pc.addTransceiver(kind, { direction: 'sendrecv' });
      if (kind === 'video') this.#prefer(transceiver);
    }
    await this.#attach();
    await this.#pc.setLocalDescription();
    this.#say({ type: 'offer', ...this.#numbers, sdp: this.#pc.localDescription.sdp });
  }

  async #answer(sdp) {
    await this.#pc.setRemoteDescription({ type: 'offer', sdp });
    for (const transceiver of this.#pc.getTransceivers()) transceiver.direction = 'sendrecv';
    await this.#attach();
    await this.#pc.setLocalDescription();
    this.#say({ type: 'answer', ...this.#numbers, sdp: this.#pc.localDescription.sdp });
    await this.#limit();
    await this.#addEarly();
  }

  async #accept(sdp) {
    await this.#pc.setRemoteDescription({ type: 'answer', sdp });
    await this.#limit();
    await this.#addEarly();
  }

  async #addCandidate({ candidate, mid }) {
    if (!this.#pc.remoteDescription) {
      this.#early.push({ candidate, mid });
      return;
    }
    await this.#pc.addIceCandidate(candidate ? { candidate, sdpMid: mid ?? '0' } : undefined);
  }

  async #addEarly() {
    for (const early of this.#early.splice(0)) await this.#addCandidate(early);
  }

  async #attach() {
    const tracks = this.#local?.getTracks() ?? [];
    for (const { sender, receiver } of this.#pc.getTransceivers()) {
      const track = tracks.find((t) => t.kind === receiver.track.kind) ?? null;
      if (sender.track !== track) await sender.replaceTrack(track);
    }
    await this.#limit();
  }

  #prefer(transceiver) {
    const codec = this.#configuration?.video?.codec;
    const known = RTCRtpReceiver.getCapabilities('video')?.codecs;
    if (codec && known) transceiver.setCodecPreferences(orderCodecs(known, [codec.toUpperCase(), 'VP8', 'H264']));
  }

  /** The agreed size, frame rate and bit rates, as far as they are known and there is a sender. */
  async #limit() {
    const agreed = this.#configuration;
    if (!agreed) return;
    for (const { sender } of this.#pc.getTransceivers()) {
      const parameters = sender.getParameters();
      const [encoding] = parameters.encodings;
      if (!encoding || !sender.track) continue;
      if (sender.track.kind === 'audio') encoding.maxBitrate = agreed.audio_bps;
      else if (agreed.video) {
        const { width = 0, height = 0 } = sender.track.getSettings();
        const { resolution } = agreed.video;
        encoding.active = !this.#held;
        encoding.maxBitrate = agreed.video.bitrate_bps;
        encoding.maxFramerate = agreed.video.frame_rate;
        encoding.scaleResolutionDownBy = Math.max(1, Math.min(
          Math.max(width, height) / Math.max(resolution.width, resolution.height),
          Math.min(width, height) / Math.min(resolution.width, resolution.height),
        ) || 1);
      } else encoding.active = false;
      await sender.setParameters(parameters);
    }
  }

  #follow() {
    const state = this.#pc.connectionState;
    this.connected = state === 'connected';
    if (state === 'failed') this.#say({ type: 'restart', ...this.#numbers });
    this.#changed();
  }

  /**
   * One after the other. What fails on the way fails the connection: another epoch may do better.
   */
  #guard(work) {
    this.#chain = this.#chain.then(() => (this.#over ? null : work())).catch((error) => {
      if (this.#over) return;
      console.info('calls: a connection has to be made anew:', error);
      this.#say({ type: 'restart', ...this.#numbers });
    });
    return this.#chain;
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
