// What a browser has and Node hasn't, for tests of what the client decides.

/** Puts these in the place of what a browser has, until the test's end. */
export function pretend(t, fakes) {
  for (const [name, value] of Object.entries(fakes)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
}

/** Web sockets that are made from now on, with a clock that stands. Each has what was `said`. */
export function fakeSockets(t) {
  const sockets = [];
  class FakeSocket extends EventTarget {
    static OPEN = 1;
    readyState = 1;
    said = [];

    constructor() {
      super();
      sockets.push(this);
    }

    send(text) {
      this.said.push(JSON.parse(text));
    }

    close() {}

    hear(message) {
      this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(message) }));
    }

    /** The network takes it away. */
    drop(code = 1006) {
      this.readyState = 3;
      this.dispatchEvent(Object.assign(new Event('close'), { code }));
    }

    welcome(resumed) {
      this.dispatchEvent(new Event('open'));
      this.hear({ type: 'welcome', seq: 1 + 100 * sockets.indexOf(this), session: 's', resumed });
    }

    types() {
      return this.said.map(({ type }) => type);
    }
  }
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  pretend(t, { WebSocket: FakeSocket, location: { protocol: 'http:', host: 'test' } });
  return sockets;
}

/** Tracks that anybody may stop, and streams of them. */
export class FakeTrack extends EventTarget {
  enabled = true;
  readyState = 'live';

  constructor(kind) {
    super();
    this.kind = kind;
  }

  stop() {
    this.readyState = 'ended';
  }

  getSettings() {
    return {};
  }
}

export class FakeStream {
  #tracks;

  constructor(tracks = []) {
    this.#tracks = [...tracks];
  }

  getTracks() {
    return [...this.#tracks];
  }

  getAudioTracks() {
    return this.#tracks.filter(({ kind }) => kind === 'audio');
  }

  getVideoTracks() {
    return this.#tracks.filter(({ kind }) => kind === 'video');
  }

  addTrack(track) {
    if (!this.#tracks.includes(track)) this.#tracks.push(track);
  }

  removeTrack(track) {
    this.#tracks = this.#tracks.filter((each) => each !== track);
  }
}

/**
 * A page with a camera and a microphone. `given` has every track that was handed out; `page` is told
 * what windows and documents are told.
 */
export function fakePage(t) {
  const given = [];
  const hand = (...kinds) => {
    const tracks = kinds.map((kind) => new FakeTrack(kind));
    given.push(...tracks);
    return new FakeStream(tracks);
  };
  const mediaDevices = {
    getUserMedia: async ({ video }) => hand(video ? 'video' : 'audio'),
    getDisplayMedia: async () => hand('video', 'audio'),
  };
  const page = Object.assign(new EventTarget(), { hidden: false, visibilityState: 'visible' });
  pretend(t, {
    navigator: { mediaDevices, userAgent: 'test' },
    document: page,
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
    MediaStream: FakeStream,
    Audio: class {},
    devicePixelRatio: 1,
    screen: { width: 1, height: 1 },
    RTCRtpSender: { getCapabilities: () => null },
    RTCRtpReceiver: { getCapabilities: () => null },
  });
  return { given, mediaDevices, page };
}

/** Lets everything happen that waits for nothing but promises. */
export const settled = () => new Promise(setImmediate);
