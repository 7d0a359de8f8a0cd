// The operator's pages.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { openPage, videoState } from './support/chromium.mjs';
import { testbed } from './support/testbed.mjs';
import { until } from './support/until.mjs';

const bed = testbed();

const row = (page, name) => page.getByRole('table', { name: 'Channels' }).getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });

describe('the operator’s page', () => {
  test('shows the demo channel, its renditions and the probed hardware', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/operator`);
    await row(page, 'demo').getByText('Live').waitFor();
    assert.ok(await row(page, 'demo').locator('.chip').count() >= 2, 'renditions are listed');
    const libx264 = page.getByRole('table', { name: 'What was chosen' }).getByRole('row').filter({ hasText: 'libx264' });
    await libx264.getByText('Encode').waitFor();
    await page.locator('details.device').first().click();
    await page.locator('details.device[open]').getByText('Works', { exact: true }).first().waitFor();
    assert.ok(await page.getByRole('meter').count() >= 1, 'the budget is shown');
  });

  test('makes, changes and deletes a channel', async (t) => {
    t.after(() => bed.server.api('DELETE', '/api/v1/channels/made').catch(() => {}));
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/operator`);
    await page.getByRole('button', { name: 'New channel' }).click();
    const dialog = page.getByRole('dialog', { name: 'New channel' });
    await dialog.getByRole('button', { name: 'Create channel' }).click();
    await dialog.getByText('Give the channel a name.').waitFor();
    await dialog.getByLabel('Name').fill('made');
    await dialog.getByRole('radio', { name: /^Synthetic/ }).check({ force: true });
    await dialog.getByLabel('Size', { exact: true }).selectOption('640x360');
    await dialog.getByLabel('Renditions').selectOption('list');
    await dialog.getByLabel('Sizes').fill('180 200');
    await dialog.getByRole('button', { name: 'Create channel' }).click();
    await dialog.waitFor({ state: 'detached' });
    await row(page, 'made').getByText('Live').waitFor();
    const made = await bed.server.channel('made');
    assert.deepEqual(made.source.resolution, { width: 640, height: 360 });
    assert.equal(made.ladder[0].bitrate, 200_000);

    await page.getByRole('button', { name: 'Change made' }).click();
    const change = page.getByRole('dialog', { name: 'Change made' });
    await change.getByLabel('Renditions').selectOption('source');
    await change.getByRole('button', { name: 'Save' }).click();
    await change.waitFor({ state: 'detached' });
    assert.deepEqual((await bed.server.channel('made')).ladder, []);

    await page.getByRole('button', { name: 'Delete made' }).click();
    await page.getByRole('dialog', { name: 'Delete made?' }).getByRole('button', { name: 'Delete channel' }).click();
    await row(page, 'made').waitFor({ state: 'detached' });
    await assert.rejects(bed.server.channel('made'), /404/);
  });

  test('shows the server’s complaint at the field it is about', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/operator`);
    page.faults.allow(/422/);
    await page.getByRole('button', { name: 'New channel' }).click();
    const dialog = page.getByRole('dialog', { name: 'New channel' });
    await dialog.getByLabel('Name').fill('badfile');
    await dialog.getByRole('radio', { name: /^File/ }).check({ force: true });
    await dialog.getByLabel('Path on the server').fill('/etc/passwd');
    await dialog.getByRole('button', { name: 'Create channel' }).click();
    await dialog.locator('[aria-invalid="true"]').waitFor();
    assert.match(await dialog.getByRole('alert').textContent(), /Not saved/);
    await assert.rejects(bed.server.channel('badfile'), /404/);
  });

  test('lists a viewer with its figures, and ends it', async (t) => {
    const viewer = await openPage(t, bed.browser, `${bed.server.url}/#/watch/demo`);
    await until('it plays', async () => (await videoState(viewer)).frames > 10, 20_000);
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/operator/demo`);
    const viewers = page.getByRole('table', { name: 'Viewers' });
    const first = viewers.getByRole('row').nth(1);
    await first.getByText('Connected').waitFor();
    await until('a bitrate is shown', async () => /[kM]b\/s/.test(await first.textContent()));
    const running = page.getByRole('table', { name: 'Renditions' }).getByRole('row').filter({ hasText: 'Running' });
    await running.first().waitFor();
    const [before_] = await bed.server.viewers('demo');
    await first.getByRole('button', { name: /^End the session/ }).click();
    await page.getByRole('dialog', { name: 'End this viewer?' }).getByRole('button', { name: 'End viewer' }).click();
    await until('that session is gone', async () => !(await bed.server.viewers('demo')).some((v) => v.session === before_.session));
  });

  test('can’t change what the configuration file declares', async (t) => {
    const page = await openPage(t, bed.browser, `${bed.server.url}/#/operator/demo`);
    await page.getByText('1280×720').or(page.getByText(/^\d+×\d+ ·/)).first().waitFor();
    const { static: fixed } = await bed.server.channel('demo');
    assert.equal(await page.getByRole('button', { name: 'Delete' }).isDisabled(), fixed);
  });
});
