// What a page must never do: throw, write errors to the console, violate its content security
// policy, or ask for something that isn't there.

/** Collects faults; `allow` holds patterns of those that a test provokes. */
export class Faults {
  #found = [];
  #allowed = [];

  allow(pattern) {
    this.#allowed.push(pattern);
  }

  add(text) {
    this.#found.push(text);
  }

  /** Those that weren't provoked. */
  list() {
    return this.#found.filter((text) => !this.#allowed.some((pattern) => pattern.test(text)));
  }
}

/** Runs in every document before its own scripts. */
export function watchPolicy() {
  addEventListener('securitypolicyviolation', (event) => {
    console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
  });
}
