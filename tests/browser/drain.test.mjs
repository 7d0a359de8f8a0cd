// A server that ends while somebody watches.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openPage, videoState } from './support/chromium.mjs';
import { canStart } from './support/server.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

describe('a server that ends', { skip: canStart ? false : 'STENTOR_URL names a server that goes on' }, () => {
  const bed = testbed({ grace: '10s' });

  test('tells its viewers, whose page says so and tries again', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/watch/demo`);
    page.faults.allow(/503|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/);
    await until('the picture moves', async () => (await videoState(page)).frames > 10, 20_000);
    bed.server.drain();
    const told = page.locator('.stage-message');
    await told.getByRole('heading', { name: 'The server takes no viewers right now' }).waitFor();
    assert.match(await told.textContent(), /The server is draining and takes nobody new\..*Next try in \d+ s/);
    // Its viewer has left, so it needn't wait for the end of the grace period.
    await until('the server has ended', () => fetch(bed.server.url).then(() => false, () => true), 8_000);
    await told.getByRole('button', { name: 'Try now' }).click();
    await told.getByRole('heading', { name: 'The server can’t be reached' }).waitFor();
  });
});
