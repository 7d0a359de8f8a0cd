// Tells the server what this browser is, and in a call how it fares: at the start, when its address
// may be another, soon after a call has begun, and every so often. The server keeps it as an event.

import { capabilities } from './capabilities.js';

const EVERY_MS = 30_000;
/** A call's first report comes by then: those that are over sooner than the next count, too. */
const FIRST_MS = 5000;
const CANDIDATES = ['host', 'srflx', 'prflx', 'relay'];
const CARRIERS = ['udp', 'tcp', 'tls'];

export class Reporter {
  #say;
  #call;
  #last = new Map();
  /** The call that was told of last, and when. */
  #told = { call: null, at: 0 };

  /** `say(message)` tells the server, `call()` gives the Call or null. */
  constructor({ say, call }) {
    this.#say = say;
    this.#call = call;
    setInterval(() => this.#look(), FIRST_MS);
  }

  /** `reason`: start, address or periodic. */
  report(reason) {
    const call = this.#call();
    const dense = devicePixelRatio || 1;
    this.#say({
      type: 'report',
      ...(call && { call: call.id }),
      reason,
      client: describe(navigator).slice(0, 64),
      width: pixels(screen.width * dense),
      height: pixels(screen.height * dense),
      network: capabilities().network,
      quality: call ? this.#quality(call) : [],
    });
  }

  #look() {
    const call = this.#call();
    const now = performance.now();
    const isLately = call?.id === this.#told.call && now - this.#told.at < EVERY_MS - FIRST_MS / 2;
    if (!call?.startedAt || isLately) return;
    this.#told = { call: call.id, at: now };
    this.report('periodic');
  }

  #quality({ parties, participants }) {
    const known = participants.map(({ user }) => parties.get(user)).filter((party) => party?.figures);
    const before = this.#last;
    this.#last = new Map(known.map((party) => [party.user, { at: performance.now(), frozen: party.figures.frozenSeconds }]));
    return known.slice(0, 200).map((party) => sample(party, before.get(party.user)));
  }
}

/** How what comes from someone has fared since `before`. */
export function sample({ user, shown, figures, loss }, before, now = performance.now()) {
  const isSeen = before && figures.frozenSeconds !== null;
  const frozen = isSeen ? (figures.frozenSeconds - before.frozen) / ((now - before.at) / 1000) : null;
  return {
    user,
    direction: 'receive',
    path: shown,
    ...wayOf(figures.path),
    bitrate_bps: Math.max(0, Math.round(figures.inBitrate ?? 0)),
    lost_permille: permille(loss ?? 0),
    ...(figures.roundTripMs !== null && { round_trip_ms: Math.round(figures.roundTripMs) }),
    ...(Number.isFinite(frozen) && { frozen_permille: permille(frozen) }),
    ...(figures.width && { width: pixels(figures.width), height: pixels(figures.height) }),
    ...(Number.isFinite(figures.fps) && { frame_rate: pixels(figures.fps) }),
  };
}

/** How both ends are reached and by what, as far as that has the words that the server knows. */
function wayOf(path) {
  const known = {
    local: CANDIDATES.find((kind) => kind === path?.kind),
    remote: CANDIDATES.find((kind) => kind === path?.remoteKind),
    transport: CARRIERS.find((name) => name === path?.protocol.toLowerCase()),
  };
  return Object.fromEntries(Object.entries(known).filter(([, word]) => word));
}

/** Such as `phone, Chromium 140`. */
export function describe({ userAgent, maxTouchPoints = 0 }) {
  const isMobile = /Mobi|Android|iPhone|iPad/.test(userAgent);
  const kind = !isMobile ? 'computer' : /iPad|Tablet/.test(userAgent) || maxTouchPoints > 5 ? 'tablet' : 'phone';
  const browser = [['Edge', /Edg\/(\d+)/], ['Firefox', /Firefox\/(\d+)/], ['Chromium', /Chrom(?:e|ium)\/(\d+)/], ['Safari', /Version\/(\d+).*Safari/]]
    .map(([name, pattern]) => [name, userAgent.match(pattern)?.[1]])
    .find(([, version]) => version);
  return `${kind}, ${browser ? browser.join(' ') : 'another browser'}`;
}

const permille = (ratio) => Math.min(1000, Math.max(0, Math.round(ratio * 1000)));
const pixels = (count) => Math.min(65_535, Math.max(0, Math.round(count)));
