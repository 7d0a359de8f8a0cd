// Everybody is heard while nothing shows the call, as on another page of this site.

export class Listening {
  /** By user. */
  #elements = new Map();

  /** `streams`: of those who are to be heard, by user; `speaker`: where, '' for the system's own choice. */
  update(streams, speaker) {
    for (const [user, element] of this.#elements) {
      if (streams.has(user)) continue;
      element.srcObject = null;
      this.#elements.delete(user);
    }
    for (const [user, stream] of streams) {
      if (!this.#elements.has(user)) this.#elements.set(user, Object.assign(new Audio(), { autoplay: true }));
      hear(this.#elements.get(user), stream, speaker);
    }
  }
}

/** Has an element play a stream. */
export function hear(element, stream, speaker) {
  if (element.srcObject !== stream) element.srcObject = stream;
  if (element.setSinkId && element.sinkId !== speaker) element.setSinkId(speaker).catch(() => {});
}
