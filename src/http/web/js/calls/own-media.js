// What this browser sends in a call: camera and microphone, as far as they are there.

import { openMicrophone, openPicture } from '../capture.js';

const PICTURE = { kind: 'camera', camera: '', size: 720, rate: 30 };

export class OwnMedia {
  stream = new MediaStream();
  /** Why a device couldn't be opened. */
  trouble = '';

  #opening = null;

  /** Opens what isn't open. A call goes on without a device that isn't there. */
  open() {
    this.#opening ??= this.#openMissing().finally(() => { this.#opening = null; });
    return this.#opening;
  }

  async #openMissing() {
    const missing = [];
    await this.#add('video', async () => (await openPicture(PICTURE)).getVideoTracks()[0], missing);
    await this.#add('audio', () => openMicrophone(''), missing);
    this.trouble = missing.join(' ');
  }

  /** As messages have it. */
  get media() {
    const sends = (kind) => this.#track(kind)?.enabled ?? false;
    return { audio: sends('audio'), video: sends('video'), screen: false };
  }

  has(kind) {
    return Boolean(this.#track(kind));
  }

  /** Mutes, and turns the camera off: its light stays on, and it is back at once. */
  toggle(kind) {
    const track = this.#track(kind);
    if (track) track.enabled = !track.enabled;
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = new MediaStream();
    this.trouble = '';
  }

  #track(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind);
  }

  async #add(kind, open, missing) {
    if (this.#track(kind)?.readyState === 'live') return;
    try {
      const track = await open();
      if (track) this.stream.addTrack(track);
    } catch (error) {
      missing.push(error.message);
    }
  }
}
