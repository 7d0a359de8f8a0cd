// What this browser sends in a call: a picture, of a camera or a screen, and a microphone's sound,
// as far as they are there.

import { openMicrophone, openPicture } from '../capture.js';
import { preference, remember } from '../preferences.js';

const CAMERA = { kind: 'camera', size: 720, rate: 30 };
const SCREEN = { kind: 'screen', size: 1080, rate: 15 };

/** Events: `track` with a kind in `detail`: another track is sent, or none any more. */
export class OwnMedia extends EventTarget {
  stream = new MediaStream();
  /** Why a device couldn't be opened. */
  trouble = '';
  /** The picture is a screen's. */
  isSharing = false;
  /** Ids of devices by kind; '' is the system's own choice. */
  chosen = { video: preference('call-camera', ''), audio: preference('call-microphone', '') };
  /** Whether the camera was on before a screen was shared. */
  #cameraWasOn = true;
  #opening = null;

  /** Opens what isn't open. A call goes on without a device that isn't there. */
  open() {
    if (!this.#opening) {
      const opening = this.#openMissing().finally(() => {
        if (this.#opening === opening) this.#opening = null;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  async #openMissing() {
    const { stream } = this;
    const missing = [];
    for (const kind of ['video', 'audio']) {
      if (this.#isLive(kind)) continue;
      try {
        const track = await this.#openDevice(kind);
        // The call ended meanwhile, or another was opened.
        if (stream !== this.stream) {
          track?.stop();
          return;
        }
        if (this.#isLive(kind)) track?.stop();
        else this.#put(kind, track);
      } catch (error) {
        missing.push(error.message);
      }
    }
    if (stream === this.stream) this.trouble = missing.join(' ');
  }

  /** As messages have it. */
  get media() {
    const sends = (kind) => this.#track(kind)?.enabled ?? false;
    return { audio: sends('audio'), video: sends('video'), screen: this.isSharing };
  }

  has(kind) {
    return Boolean(this.#track(kind));
  }

  /** Mutes, and turns the camera off: its light stays on, and it is back at once. */
  toggle(kind) {
    const track = this.#track(kind);
    if (track) track.enabled = !track.enabled;
  }

  /** Takes another device, now and in later calls. */
  async choose(kind, id) {
    this.chosen[kind] = id;
    remember(kind === 'video' ? 'call-camera' : 'call-microphone', id);
    if (kind === 'video' && this.isSharing) return;
    const isOn = this.#track(kind)?.enabled ?? true;
    // Many systems give a camera away once, and telephones give one camera away.
    this.#track(kind)?.stop();
    await this.#replace(kind, isOn);
  }

  /** Sends a screen in the camera's place. */
  async share() {
    const { stream } = this;
    const picture = await openPicture(SCREEN);
    for (const track of picture.getAudioTracks()) track.stop();
    const [track] = picture.getVideoTracks();
    // The call ended while somebody chose, or the button was pressed twice.
    if (stream !== this.stream || this.isSharing) {
      track.stop();
      return;
    }
    track.contentHint = 'detail';
    this.#cameraWasOn = this.#track('video')?.enabled ?? false;
    this.isSharing = true;
    this.#put('video', track);
  }

  async unshare() {
    if (!this.isSharing) return;
    this.isSharing = false;
    await this.#replace('video', this.#cameraWasOn);
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = new MediaStream();
    this.#opening = null;
    this.trouble = '';
    this.isSharing = false;
  }

  #track(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind);
  }

  #isLive(kind) {
    return this.#track(kind)?.readyState === 'live';
  }

  /** The chosen device, or another where that one is gone. */
  async #openDevice(kind) {
    const open = async (id) => (kind === 'audio' ? openMicrophone(id) : (await openPicture({ ...CAMERA, camera: id })).getVideoTracks()[0]);
    const id = this.chosen[kind];
    if (!id) return open('');
    return open(id).catch(() => open(''));
  }

  async #replace(kind, isOn) {
    const { stream } = this;
    let track = null;
    try {
      track = await this.#openDevice(kind);
      this.trouble = '';
    } catch (error) {
      this.trouble = error.message;
    }
    // The call ended meanwhile, or a screen is shared.
    if (stream !== this.stream || (kind === 'video' && this.isSharing)) {
      track?.stop();
      return;
    }
    if (track) track.enabled = isOn;
    this.#put(kind, track);
  }

  #put(kind, track) {
    const { stream } = this;
    for (const old of stream.getTracks().filter((each) => each.kind === kind)) {
      stream.removeTrack(old);
      old.stop();
    }
    if (track) {
      stream.addTrack(track);
      // Unplugged, or the browser's own button to stop sharing.
      track.addEventListener('ended', () => {
        if (this.#track(kind) === track) this.#lose(kind, track.enabled);
      });
    }
    this.dispatchEvent(new CustomEvent('track', { detail: kind }));
  }

  #lose(kind, isOn) {
    if (kind === 'video' && this.isSharing) this.unshare();
    else this.#replace(kind, isOn);
  }
}
