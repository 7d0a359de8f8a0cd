// Firefox from Debian over WebDriver BiDi, with a fake camera. It has no H.264 there: it watches
// and sends VP8.

import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';

import { recordPeers } from './chromium.mjs';
import { Faults, watchPolicy } from './faults.mjs';

const PROGRAM = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

export function launchFirefox() {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: PROGRAM,
    headless: true,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.peerconnection.ice.loopback': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.autoplay.default': 0,
      'media.gmp-manager.updateEnabled': false,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
    },
  });
}

/** A page closed at the end of test `t`, when it must be without faults. */
export async function openFirefoxPage(t, browser, url) {
  const page = await browser.newPage();
  page.faults = new Faults();
  page.on('console', (message) => {
    if (message.type() === 'error') page.faults.add(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.faults.add(`exception: ${error.message}`));
  await page.evaluateOnNewDocument(watchPolicy);
  await page.evaluateOnNewDocument(recordPeers);
  t.after(async () => {
    await page.close();
    assert.deepEqual(page.faults.list(), [], 'the page is without faults');
  });
  await page.goto(url);
  return page;
}
