// Everybody is heard while nothing shows the call, as on another page of this site.

export class Listening {
  #streams;
  #speaker;
  /** By user. */
  #elements = new Map();
  /** How many others play it. */
  #stages = 0;

  /** `streams()` gives what is to be heard, by user; `speaker()` where, '' for the system's choice. */
  constructor(streams, speaker) {
    this.#streams = streams;
    this.#speaker = speaker;
  }

  /** Something else plays it until `signal` is aborted. */
  restUntil(signal) {
    this.#stages += 1;
    this.update();
    signal.addEventListener('abort', () => {
      this.#stages -= 1;
      this.update();
    }, { once: true });
  }

  /** Who is heard, or where, may be another. */
  update() {
    const streams = this.#stages === 0 ? this.#streams() : new Map();
    for (const [user, element] of this.#elements) {
      if (streams.has(user)) continue;
      element.srcObject = null;
      this.#elements.delete(user);
    }
    for (const [user, stream] of streams) {
      if (!this.#elements.has(user)) this.#elements.set(user, Object.assign(new Audio(), { autoplay: true }));
      hear(this.#elements.get(user), stream, this.#speaker());
    }
  }
}

/** Has an element play a stream. */
export function hear(element, stream, speaker) {
  if (element.srcObject !== stream) element.srcObject = stream;
  if (element.setSinkId && element.sinkId !== speaker) element.setSinkId(speaker).catch(() => {});
}
