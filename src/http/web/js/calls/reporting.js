// When the server is told how the paths fare.

/** What comes through the server it sees for itself: it is told this often of what stays as it is. */
const SERVED_MS = 2000;

export class Reporting {
  #told = '';
  #at = 0;

  /** Whether `reports` are to be sent. Then they are taken to be. `now` in milliseconds. */
  isDue(reports, topology, now) {
    if (!reports.length) return false;
    const paths = JSON.stringify(reports.map(({ user, path }) => [user, path]));
    const isServed = topology === 'server' && reports.every((report) => report.path === 'server' && !report.direct_alive);
    if (isServed && paths === this.#told && now - this.#at < SERVED_MS) return false;
    this.#told = paths;
    this.#at = now;
    return true;
  }
}
