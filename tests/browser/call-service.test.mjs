// Where an operator's own user service decides who rings whom, the page says why nobody is seen.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launchChromium, openPage } from './support/chromium.mjs';
import { canStart, startServer } from './support/server.mjs';

describe('with a user service', { skip: !canStart }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'stentor-service-'));
  const asked = [];
  let service = null;
  let server = null;
  let browser = null;

  before(async () => {
    const secret = path.join(folder, 'secret');
    writeFileSync(secret, 'sixteen bytes or more\n', { mode: 0o600 });
    // Everybody may ring everybody but Ivan.
    service = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => { body += part; });
      request.on('end', () => {
        const question = JSON.parse(body);
        asked.push(question);
        const answer = question.callee === 'ivan' ? { allow: false, reason: 'Ivan is on leave.' } : { allow: true };
        response.end(JSON.stringify(answer));
      });
    });
    await new Promise((resolve) => { service.listen(0, '127.0.0.1', resolve); });
    const url = `http://127.0.0.1:${service.address().port}/may`;
    server = await startServer({ tokens: true, more: `[accounts]\nenabled = true\n[accounts.hook]\nurl = "${url}"\nsecret_file = ${JSON.stringify(secret)}\n` });
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    service?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('one rings by name, is told why not, and finds whom one talked with', async (t) => {
    const signIn = async (name) => {
      const page = await openPage(t, browser, `${server.url}/#/call`);
      page.faults.allow(/401/);
      await page.getByLabel('Token').fill(server.userToken(name));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText(`You are ${name}.`).waitFor();
      return page;
    };
    const [gina, hugo] = await Promise.all(['gina', 'hugo'].map(signIn));
    await gina.getByText('Who is there isn’t shown here').waitFor();
    const ring = async (name) => {
      await gina.getByLabel('Call by name').fill(name);
      await gina.keyboard.press('Enter');
    };
    await ring('ivan');
    await gina.getByRole('alert').getByText('Ivan is on leave').waitFor();
    await ring('hugo');
    await hugo.getByRole('button', { name: 'Accept' }).click();
    await hugo.locator('.call-tile').getByText('Direct', { exact: true }).waitFor();
    await gina.getByRole('button', { name: 'Hang up' }).click();
    for (const [page, other] of [[gina, 'hugo'], [hugo, 'gina']]) {
      const row = page.getByRole('listitem').filter({ hasText: other });
      await row.getByText('Recent').waitFor();
      await row.getByRole('button', { name: `Call ${other}` }).waitFor();
    }
    assert.deepEqual(asked.map(({ caller, callee }) => [caller, callee]), [['gina', 'ivan'], ['gina', 'hugo']]);
    await hugo.getByRole('button', { name: 'Write to gina' }).click();
    await hugo.getByRole('textbox', { name: 'Message' }).fill('That was short');
    await hugo.keyboard.press('Enter');
    await gina.getByText('1 unread').waitFor();
  });
});
