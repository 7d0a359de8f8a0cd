// What this browser sends. One for the whole page, so that moving to another view doesn't end a
// broadcast.

import { api } from './api.js';
import { NO_MICROPHONE, openMicrophone, openPicture } from './capture.js';
import { preference, remember } from './preferences.js';
import { session } from './session.js';
import { WhipClient } from './rtc/whip.js';

const DEFAULTS = { kind: 'camera', camera: '', microphone: '', size: 720, rate: 30, bitrate: 0, codec: 'auto' };

/** Events: `change` (state, stream, settings) and `ended` (the picture's source went away). */
class Publisher extends EventTarget {
  settings = { ...DEFAULTS, ...preference('publish', {}) };
  /** What is captured: the preview, and what is sent. Null before a device is opened. */
  stream = null;
  /** The WHIP client while publishing, or after it was refused. */
  client = null;
  channel = null;
  startedAt = null;
  #opening = Promise.resolve();

  get busy() {
    return this.client !== null && !['stopped', 'failed'].includes(this.client.status.state);
  }

  get live() {
    return this.client?.status.state === 'connected';
  }

  /** Changes settings; opens what they ask for where something is open already. */
  async set(changes) {
    this.settings = { ...this.settings, ...changes };
    remember('publish', this.settings);
    if ('bitrate' in changes) await this.client?.setMaxBitrate(this.settings.bitrate || null);
    if (!this.stream) return;
    if (['kind', 'camera', 'size', 'rate'].some((key) => key in changes)) await this.open();
    else if ('microphone' in changes) await this.#serial(() => this.#openSound());
  }

  /** Opens picture and sound. Throws with a sentence where the browser refuses. */
  open() {
    return this.#serial(async () => {
      const picture = await openPicture(this.settings);
      this.stream ??= new MediaStream();
      const [track] = picture.getVideoTracks();
      track.addEventListener('ended', () => this.#onEnded(track));
      this.#screenSound?.stop();
      this.#screenSound = picture.getAudioTracks()[0] ?? null;
      await this.#put(track);
      await this.#openSound();
    });
  }

  /** Resolves when nothing is being opened any more: a microphone may follow its picture late. */
  settled() {
    return this.#opening;
  }

  goLive(channel, iceServers) {
    this.client?.stop();
    this.channel = channel;
    this.startedAt = null;
    const { bitrate, codec, kind } = this.settings;
    const client = new WhipClient({
      url: `/whip/${encodeURIComponent(channel)}`,
      stream: this.stream,
      token: () => session.token,
      iceServers,
      maxBitrate: bitrate || null,
      hint: kind === 'screen' ? 'detail' : 'motion',
      codec,
      takenOver: async () => (await api.channel(channel).catch(() => null))?.source_state === 'live',
    });
    client.addEventListener('state', () => {
      if (client !== this.client) return;
      if (client.status.state === 'connected') this.startedAt ??= Date.now();
      this.#changed();
    });
    this.client = client;
    client.start();
  }

  async stop() {
    const { client } = this;
    this.client = null;
    this.startedAt = null;
    this.#changed();
    await client?.stop();
  }

  /** Lets go of camera and microphone, unless they are being sent. */
  close() {
    if (this.busy) return;
    for (const track of [...(this.stream?.getTracks() ?? []), this.#screenSound]) track?.stop();
    this.stream = null;
    this.#screenSound = null;
    this.client = null;
    this.#changed();
  }

  #screenSound = null;

  async #openSound() {
    const { microphone, kind } = this.settings;
    const track = await openMicrophone(microphone) ?? (kind === 'screen' ? this.#screenSound : null);
    const old = this.stream.getAudioTracks()[0];
    if (track) await this.#put(track);
    else if (old) {
      this.stream.removeTrack(old);
      old.stop();
      if (this.busy) this.client.reconnect();
    }
    this.#changed();
  }

  /** Puts a track in the place of the one of its kind. */
  async #put(track) {
    const old = this.stream.getTracks().find((t) => t.kind === track.kind);
    if (this.busy) await this.client.replaceTrack(track).catch(() => this.client.reconnect());
    else {
      if (old) this.stream.removeTrack(old);
      this.stream.addTrack(track);
    }
    if (old !== track && old !== this.#screenSound) old?.stop();
    this.#changed();
  }

  async #onEnded(track) {
    if (!this.stream?.getTracks().includes(track)) return;
    this.stream.removeTrack(track);
    await this.stop();
    this.close();
    this.dispatchEvent(new Event('ended'));
  }

  /** One at a time: two quick choices must not leave two cameras open. */
  #serial(act) {
    const next = this.#opening.then(act);
    this.#opening = next.catch(() => {});
    return next;
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

export const publisher = new Publisher();
export { NO_MICROPHONE };
