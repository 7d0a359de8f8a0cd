// What this device's line carries up, found out from how sending fares. Pure: readings and the time
// are arguments.

/** Held back for so long, and not only since it began: it is the line. */
const LIMITED_MS = 4000;
/** An encoder that made its picture smaller isn't held back for a moment: that doesn't count. */
const LATELY_MS = 1500;
/** Without being held back for so long, more is tried. */
const FREE_MS = 5000;
/** More than so much of what it was a moment ago is still on its way up. */
const GROWS = 1.1;
/** How much more is tried at a time. */
const MORE = 1.3;
/** A difference that is worth telling. */
const TOLD = 0.1;
const LEAST_BPS = 60_000;

export class UpLine {
  /** What the line is taken to carry, in bits per second. */
  bps;
  #assumed;
  #limitedSince = null;
  #freeSince = null;
  #past = [];
  /** When each connection was held back last. */
  #limitedAt = new Map();

  /** `assumed` is what it carries as long as nothing says otherwise; `bps` what it was found to. */
  constructor(assumed, bps = assumed) {
    this.bps = bps;
    this.#assumed = assumed;
  }

  /**
   * Takes how each connection that sends a picture fares: {id, available, limited}, in bits per
   * second and whether the line holds it back. Gives whether `bps` is another by that.
   */
  handle(readings, now) {
    const known = readings.filter(({ available }) => available > 0);
    // One of several that is held back says something of the other end's line.
    const isLimited = known.length > 0 && known.length === readings.length && this.#areLimited(known, now);
    const sum = known.reduce((total, { available }) => total + available, 0);
    this.#past = [...this.#past.filter(({ at }) => now - at < LIMITED_MS / 2), { at: now, sum }];
    this.#limitedSince = isLimited ? this.#limitedSince ?? now : null;
    this.#freeSince = isLimited || !known.length ? null : this.#freeSince ?? now;
    if (isLimited) return this.#narrow(sum, now);
    return this.#widen(sum, now);
  }

  #areLimited(known, now) {
    for (const { id, limited } of known) if (limited) this.#limitedAt.set(id, now);
    return known.every(({ id }) => now - (this.#limitedAt.get(id) ?? -LATELY_MS) < LATELY_MS);
  }

  #narrow(sum, now) {
    const isNew = now - this.#limitedSince < LIMITED_MS;
    if (isNew || sum > this.#past[0].sum * GROWS || sum > this.bps * (1 - TOLD)) return false;
    this.bps = Math.max(LEAST_BPS, Math.round(sum));
    return true;
  }

  #widen(sum, now) {
    if (this.bps >= this.#assumed || this.#freeSince === null || now - this.#freeSince < FREE_MS) return false;
    this.#freeSince = now;
    this.bps = Math.min(this.#assumed, Math.round(Math.max(sum, this.bps * MORE)));
    return true;
  }
}
