// What every test file stands on: a server and a browser, started before its tests and ended after.

import { after, before } from 'node:test';

import { launchChromium } from './chromium.mjs';
import { startServer } from './server.mjs';

/** Gives {server, browser}, both there once the tests run. `options` as for startServer. */
export function testbed({ launch = launchChromium, ...options } = {}) {
  const bed = { server: null, browser: null };
  before(async () => {
    bed.server = await startServer(options);
    bed.browser = await launch();
  });
  after(async () => {
    await bed.browser?.close();
    await bed.server?.stop();
  });
  return bed;
}
