// What WHIP and WHEP clients share: a peer connection behind an HTTP resource, kept up with
// back-off until it is stopped or refused for good.

import { backoff, retryable, sleep } from './backoff.js';
import { iceServers } from './link.js';
import { explainNoPath } from './no-path.js';
import { Resource, ResourceError } from './resource.js';

/** From the answer to the first media path. */
const CONNECT_MS = 12_000;
/** How long "disconnected" may last before a new session is made. */
const DISCONNECTED_MS = 6_000;

const givenUp = () => new ResourceError('Connecting again.');

/**
 * States, told by the event `state` (with `client.status`):
 *  - `connecting`: asking, or waiting for a path
 *  - `connected`: media may flow
 *  - `waiting`: failed, tried again in `retryMs`; `error` says why
 *  - `failed`: refused for good; `error` says why
 *  - `stopped`: by `stop()`
 */
export class RtcClient extends EventTarget {
  /** Aborted when the client is to end; null while it isn't started. */
  #stopping = null;
  /** Cuts the pause between two tries short; null while there is none. */
  #wake = null;
  /** Ends the running session as lost; null while there is none. */
  #lost = null;
  /** The session that is being made was given up meanwhile. */
  #stale = false;
  #options;

  /** `token()` gives the bearer token or null; `iceServers` as for RTCPeerConnection. */
  constructor({ url, token = () => null, iceServers: servers = [] }) {
    super();
    this.#options = { url, token, servers };
    this.status = { state: 'stopped' };
    this.peer = null;
    this.resource = null;
  }

  start() {
    if (this.#stopping) return;
    this.#stopping = new AbortController();
    addEventListener('pagehide', this.#onPageHide);
    addEventListener('pageshow', this.#onPageShow);
    addEventListener('online', this.retryNow);
    this.#run(this.#stopping.signal);
  }

  /** Ends the session at the server too, unless it is gone there already. */
  async stop({ isGone = false } = {}) {
    removeEventListener('pagehide', this.#onPageHide);
    removeEventListener('pageshow', this.#onPageShow);
    removeEventListener('online', this.retryNow);
    this.#stopping?.abort();
    this.#stopping = null;
    const status = await this.#drop(isGone);
    this.setStatus({ state: 'stopped' });
    return status;
  }

  /** Cuts a pause between two tries short. */
  retryNow = () => this.#wake?.abort();

  /** Gives the session up and makes a new one at once, after a refusal too. */
  reconnect() {
    if (this.status.state === 'failed') this.start();
    else if (this.#lost) this.#lost(givenUp(), 0);
    else if (this.#wake) this.retryNow();
    else this.#stale = true;
  }

  // For subclasses.

  /** Where to post; asked for each try. */
  endpoint() {
    return this.#options.url;
  }

  /** Adds transceivers. */
  prepare() {}

  /** The offer's text, before it is set and sent. */
  editOffer(sdp) {
    return sdp;
  }

  /** The session is made; `links` are in `resource`. */
  opened() {}

  /** The session ended by itself. Gives whether to try again; `status` is what DELETE gave. */
  async lostFor() {
    return true;
  }

  /** Is this refusal worth another try? */
  retries(error) {
    return retryable(error.status);
  }

  setStatus(status) {
    this.status = status;
    this.dispatchEvent(new Event('state'));
  }

  // Private.

  #onPageHide = () => {
    this.#stopping?.abort();
    this.#drop();
  };

  /** A page that comes back from the back-forward cache starts again. */
  #onPageShow = (event) => {
    if (!event.persisted || !this.#stopping) return;
    this.#stopping = new AbortController();
    this.#run(this.#stopping.signal);
  };

  async #run(signal) {
    let failures = 0;
    while (!signal.aborted) {
      let pause = null;
      try {
        this.setStatus({ state: 'connecting', attempt: failures });
        const { error, pauseMs, reached } = await this.#session(signal);
        if (signal.aborted) return;
        if (reached) failures = 0;
        const status = await this.#drop();
        if (signal.aborted) return;
        if (!(await this.lostFor(error, status))) {
          if (!signal.aborted) this.#fail(error);
          return;
        }
        pause = { error, ms: pauseMs };
      } catch (error) {
        if (signal.aborted) return;
        this.#drop();
        if (!(error instanceof ResourceError) || !this.retries(error)) {
          this.#fail(error);
          return;
        }
        pause = { error, ms: error.retryAfterMs };
      }
      failures += 1;
      const retryMs = pause.ms ?? backoff(failures);
      if (retryMs === 0) continue;
      this.setStatus({ state: 'waiting', error: pause.error, retryMs, attempt: failures });
      this.#wake = new AbortController();
      await sleep(retryMs, AbortSignal.any([signal, this.#wake.signal]));
      this.#wake = null;
    }
  }

  #fail(error) {
    this.#stopping = null;
    removeEventListener('pagehide', this.#onPageHide);
    removeEventListener('pageshow', this.#onPageShow);
    removeEventListener('online', this.retryNow);
    this.setStatus({ state: 'failed', error });
  }

  /** One session, from the offer to its loss. */
  async #session(signal) {
    const peer = new RTCPeerConnection({ iceServers: this.#options.servers, bundlePolicy: 'max-bundle' });
    this.peer = peer;
    this.#stale = false;
    const early = [];
    let resource = null;
    peer.addEventListener('icecandidate', ({ candidate }) => {
      if (resource) resource.trickle(candidate);
      else early.push(candidate);
    });
    await this.prepare(peer);
    const offer = await peer.createOffer();
    const sdp = this.editOffer(offer.sdp);
    await peer.setLocalDescription({ type: 'offer', sdp });
    if (signal.aborted) return {};
    resource = await Resource.create(this.endpoint(), sdp, { token: this.#options.token(), signal });
    if (signal.aborted) {
      resource.close();
      return {};
    }
    this.resource = resource;
    const announced = iceServers(resource.links);
    if (announced.length) this.#options.servers = announced;
    const watch = this.#watch(peer, signal);
    if (this.#stale) this.#lost(givenUp(), 0);
    await peer.setRemoteDescription({ type: 'answer', sdp: resource.answer });
    for (const candidate of early) resource.trickle(candidate);
    this.opened(resource);
    return watch;
  }

  /** Resolves with {error, pauseMs, reached} when the session is lost. */
  #watch(peer, signal) {
    return new Promise((resolve) => {
      let reached = false;
      const noPath = async () => end(new ResourceError(await explainNoPath(peer)));
      let timer = setTimeout(noPath, CONNECT_MS);
      const end = (error, pauseMs = null) => {
        clearTimeout(timer);
        this.#lost = null;
        resolve({ error, pauseMs, reached });
      };
      this.#lost = end;
      signal.addEventListener('abort', () => end(null), { once: true });
      peer.addEventListener('connectionstatechange', () => {
        clearTimeout(timer);
        switch (peer.connectionState) {
          case 'connected':
            reached = true;
            this.setStatus({ state: 'connected' });
            break;
          case 'disconnected':
            timer = setTimeout(() => end(new ResourceError('The connection was lost.')), DISCONNECTED_MS);
            break;
          case 'failed':
          case 'closed':
            if (reached) end(new ResourceError('The connection was lost.'));
            else noPath();
            break;
          default:
            if (!reached) timer = setTimeout(noPath, CONNECT_MS);
        }
      });
    });
  }

  async #drop(isGone = false) {
    const { peer, resource } = this;
    this.peer = null;
    this.resource = null;
    this.closed?.();
    peer?.close();
    return resource && !isGone ? resource.close() : null;
  }
}
