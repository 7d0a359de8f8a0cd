// A daemon on the public network, whose page is at port 443 with a certificate of its own.

import { execFileSync } from 'node:child_process';
import { X509Certificate, createHash, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PAGE, RELAY } from './networks.mjs';
import { runDaemon, signToken } from './server.mjs';

/**
 * Gives what runDaemon gives, and {url, pin, token(claims), metric(name), events(), report(name)}:
 * the events that are logged so far, and a report of them. `more`: sections of the configuration beside server, http and access, or what makes them of the server's URL. `address`:
 * the page's; `keys` sign its tokens.
 */
export async function startPublicServer(networks, more, { address = PAGE, keys = generateKeyPairSync('ed25519') } = {}) {
  const url = `https://${address}`;
  const folder = mkdtempSync(path.join(tmpdir(), 'stentor-public-'));
  const at = (file) => path.join(folder, file);
  mkdirSync(at('state'));
  writeFileSync(at('token.pem'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=stentor',
    '-addext', `subjectAltName=IP:${PAGE},IP:${RELAY}`, '-keyout', at('tls-key.pem'), '-out', at('tls.pem'),
  ], { stdio: 'ignore' });
  const certificate = new X509Certificate(readFileSync(at('tls.pem')));
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  writeFileSync(at('stentor.toml'), `
[server]
state_directory = ${JSON.stringify(at('state'))}
[http]
listen = ["${address}:443"]
tls_certificate = ${JSON.stringify(at('tls.pem'))}
tls_key = ${JSON.stringify(at('tls-key.pem'))}
[access]
keys = [${JSON.stringify(at('token.pem'))}]
${typeof more === 'function' ? more(url) : more}`);
  const daemon = runDaemon(folder, [], networks.server);
  const get = (place, ...options) => networks.atServer('curl', '-sSk', '--fail', '--max-time', '5', ...options, `${url}${place}`);
  await daemon.ready(() => get('/readyz') !== null);
  const token = (claims) => signToken(keys.privateKey, claims, 3600);
  return {
    ...daemon,
    url,
    /** By which Chromium knows the certificate. */
    pin: createHash('sha256').update(key).digest('base64'),
    token,
    events: () => readdirSync(at('state/events')).filter((name) => name.endsWith('.jsonl')).sort()
      .flatMap((name) => readFileSync(at(`state/events/${name}`), 'utf8').split('\n').slice(0, -1)).map((line) => JSON.parse(line)),
    report: (name) => JSON.parse(get(`/api/v1/analytics/${name}`, '-H', `Authorization: Bearer ${token({ role: 'analytics', channel: '*' })}`)),
    metric: (name) => Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(get('/metrics'))?.[1] ?? 0),
  };
}
