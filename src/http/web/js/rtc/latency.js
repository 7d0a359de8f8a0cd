// How old the shown picture is, from capture to display. Measured where the browser tells the
// capture time of what it plays (it maps the sender's clock from RTCP sender reports); put
// together from its parts elsewhere.

/** Sender reports that the difference between the two clocks is taken from. */
const REPORTS = 12;

export class LatencyMeter {
  /** Arrival minus sending of the last reports: clock difference plus one-way delay, in ms. */
  #delays = [];
  #lastReport = null;

  /**
   * {ms, measured} or null. `stats` as of `figures`; `serverMs` is what capture to packet takes
   * at the server, for where nothing can be measured.
   */
  read(stats, serverMs) {
    const { playout, report, roundTripMs, bufferMs, codecMs } = stats;
    if (report && report.sentMs !== this.#lastReport) {
      this.#lastReport = report.sentMs;
      this.#delays.push(report.arrivedMs - report.sentMs);
      if (this.#delays.length > REPORTS) this.#delays.shift();
    }
    if (playout && this.#delays.length) {
      // The quickest report waited least on its way.
      const clocks = Math.min(...this.#delays) - (roundTripMs ?? 0) / 2;
      const ms = playout.atMs - playout.capturedMs - clocks;
      if (ms >= 0 && ms < 60_000) return { ms, measured: true };
    }
    if (bufferMs === null || roundTripMs === null) return null;
    return { ms: (serverMs ?? 0) + roundTripMs / 2 + bufferMs + (codecMs ?? 0), measured: false };
  }
}
