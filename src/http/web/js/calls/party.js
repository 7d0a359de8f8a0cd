// One other in the call: what comes from them and what goes to them, directly and through the
// server. What is shown changes over only once the other way has pictures.

import { figures } from '../rtc/stats.js';
import { WhepClient } from '../rtc/whep.js';
import { level, smooth } from './quality.js';

/** The picture goes both ways for so long when it moves to the server. */
const OVERLAP_MS = 3000;
/** Readings without a packet after which a way has nothing. */
const DEAD_READINGS = 3;
/** Nothing comes for so long from one who sends: that is looked at more closely. */
const QUIET_MS = 150;
/** A longer silence is told as one of this. */
const MOST_SILENT_MS = 60_000;
/** A receiver keeps the original for so long whatever the line. */
const RELAX_MS = 3000;

/** Events: `change`. */
export class Party extends EventTarget {
  /** What is shown: the same stream whichever way it comes. */
  stream = new MediaStream();
  /** The direct connection; null while there is none. */
  peer = null;
  /** The way by which what is shown comes: `direct` or `server`. */
  shown;
  /** The ways that media is to take. */
  wanted;
  /** Of what is shown, as `figures` gives them. */
  figures = null;
  /** Of what is shown, over some seconds: the share that was lost, and the round trip. */
  loss = null;
  roundTripMs = null;
  #whep = null;
  #url = null;
  #served = { peer: null, figures: null };
  #rendition = 'auto';
  #arrives = false;
  #dead = 0;
  /** Since when pictures come from the server. */
  #servedSince = null;
  #hold = null;

  constructor(user, way) {
    super();
    this.user = user;
    this.shown = way;
    this.wanted = { in: way, out: way };
  }

  /** Something comes, or could. */
  get connected() {
    return this.#arrives || Boolean(this.shown === 'direct' ? this.peer?.connected : this.#whep?.status.state === 'connected');
  }

  /** Something came lately. */
  get arrives() {
    return this.#arrives;
  }

  /** Whether it is watched or connected at all. */
  get exists() {
    return this.peer !== null || this.#whep !== null;
  }

  /** How what is shown fares, from 0 to 4. */
  get quality() {
    return level({ arrives: this.connected, loss: this.loss, roundTripMs: this.roundTripMs });
  }

  /** How what is sent directly fares: {id, available, limited}; null where no picture goes that way. */
  get sending() {
    const { peer } = this;
    const limitation = peer?.figures?.limitation ?? null;
    if (!peer?.connected || this.#holds || this.wanted.out !== 'direct' || limitation === null) return null;
    return { id: peer.session, available: peer.figures.available, limited: limitation === 'bandwidth' };
  }

  setPeer(peer) {
    this.peer?.close();
    this.peer = peer;
    peer?.addEventListener('change', () => {
      this.#play();
      this.#changed();
    });
    peer?.hold(this.#holds);
    this.#play();
  }

  /** `url` is where to watch at the server; null: nowhere. */
  watch(url, token, iceServers) {
    if (url === this.#url) return;
    // The server has ended it already.
    this.#whep?.stop({ isGone: true });
    this.#url = url;
    this.#whep = url && new WhepClient({ url, token: () => token, iceServers, rendition: this.#first, follows: false });
    this.#servedSince = null;
    for (const event of this.#whep ? ['state', 'stream'] : []) {
      this.#whep.addEventListener(event, () => {
        this.#play();
        this.#changed();
      });
    }
    this.#whep?.start();
    if (!url && this.peer) this.#show('direct');
  }

  /** What is to come through the server: `auto`, `sd` or `none` (sound alone). */
  choose(rendition) {
    if (rendition === this.#rendition) return;
    this.#rendition = rendition;
    this.#servedSince = null;
    const first = this.#first;
    this.#whep?.choose(first).catch((error) => {
      // As at a session's beginning: what doesn't exist gives way to `auto`.
      if (error.status === 422 && first === this.#first) this.#whep?.choose('auto').catch(() => {});
    });
  }

  /** What a session begins with. */
  get #first() {
    return this.#rendition === 'auto' ? 'source' : this.#rendition;
  }

  /** The way that what is sent takes. `isPublished`: it arrives at the server. */
  sendBy(way, isPublished) {
    this.wanted.out = way;
    const holds = way === 'server' && isPublished;
    if (holds && this.#hold === null) {
      this.#hold = setTimeout(() => this.peer?.hold(true), OVERLAP_MS);
    } else if (!holds) {
      clearTimeout(this.#hold);
      this.#hold = null;
      this.peer?.hold(false);
    }
  }

  get #holds() {
    return this.#hold !== null;
  }

  /** Gives the report of what comes, and whether something is amiss. `media`: what they send. */
  async measure(media) {
    const before = { direct: this.peer?.figures, server: this.#served.figures };
    const [direct, server] = await Promise.all([this.peer?.measure(), this.#measureServed()]);
    const came = { direct: arrived(direct, before.direct), server: arrived(server, before.server) };
    this.#choose(came, media);
    this.#arrives = came[this.shown].packets > 0;
    if (came.server.frames > 0) this.#relax();
    this.figures = this.shown === 'direct' ? direct : server;
    this.loss = smooth(this.loss, came[this.shown].lostPermille / 1000);
    this.roundTripMs = smooth(this.roundTripMs, this.figures?.roundTripMs ?? null);
    const isSent = media.audio || media.video;
    const rtt = this.peer?.connected ? direct?.roundTripMs ?? null : null;
    const silentMs = direct?.silentMs ?? null;
    const isQuiet = came[this.shown].packets === 0 || (this.shown === 'direct' && silentMs > QUIET_MS);
    const report = {
      user: this.user,
      direction: 'receive',
      path: this.shown,
      direct_alive: this.peer?.connected ?? false,
      packets: came.direct.packets,
      lost_permille: came.direct.lostPermille,
      ...(silentMs !== null && { silent_ms: Math.min(MOST_SILENT_MS, Math.round(silentMs)) }),
      ...(rtt !== null && { round_trip_ms: Math.round(rtt) }),
      bitrate_bps: Math.round(this.figures?.inBitrate ?? 0),
    };
    return { report, isAmiss: this.shown !== this.wanted.in || (isSent && isQuiet) };
  }

  close() {
    clearTimeout(this.#hold);
    this.peer?.close();
    this.#whep?.stop({ isGone: true });
    this.peer = null;
    this.#whep = null;
  }

  async #measureServed() {
    const peer = this.#whep?.peer ?? null;
    if (peer !== this.#served.peer) this.#served = { peer, figures: null };
    if (!peer || peer.connectionState === 'closed') return null;
    this.#served.figures = figures(await peer.getStats(), this.#served.figures);
    return this.#served.figures;
  }

  /**
   * The original first, as it is, so that nothing is encoded for a receiver who is yet to be
   * measured; then what the line carries.
   */
  #relax() {
    this.#servedSince ??= performance.now();
    const isNew = performance.now() - this.#servedSince < RELAX_MS;
    if (isNew || this.#rendition !== 'auto' || this.#whep?.rendition !== 'source') return;
    this.#whep.choose('auto').catch(() => {});
  }

  /** The way that is wanted, once it has what is sent; the other where that has nothing. */
  #choose(came, media) {
    const has = (way) => (media.video && this.#rendition !== 'none' ? came[way].frames > 0 : came[way].packets > 0);
    const other = this.shown === 'direct' ? 'server' : 'direct';
    const isDead = came[this.shown].packets === 0 && came[other].packets > 0;
    this.#dead = isDead ? this.#dead + 1 : 0;
    // Sound alone is better than nothing, too.
    const gives = has(other) && (this.wanted.in === other || isDead);
    if (gives || this.#dead >= DEAD_READINGS) this.#show(other);
  }

  #show(way) {
    if (this.shown === way) return;
    this.shown = way;
    this.#dead = 0;
    this.#play();
    this.#changed();
  }

  /** Puts the tracks of the way that is shown in; the picture stands until the next is there. */
  #play() {
    const from = this.shown === 'direct' ? this.peer?.stream : this.#whep?.stream;
    const tracks = from?.getTracks() ?? [];
    if (!tracks.length) return;
    for (const track of this.stream.getTracks()) if (!tracks.includes(track)) this.stream.removeTrack(track);
    for (const track of tracks) this.stream.addTrack(track);
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

/** What came between two readings. */
function arrived(now, before) {
  if (!now) return { packets: 0, frames: 0, lostPermille: 0 };
  const since = (name) => Math.max(0, now.raw[name] - (before?.raw[name] ?? 0));
  const [packets, lost] = [since('packets'), since('lost')];
  return { packets, frames: since('frames'), lostPermille: lost ? Math.round((lost / (packets + lost)) * 1000) : 0 };
}
