// The Link header (RFC 8288): ICE servers and WHEP's extensions are announced there. Pure.

/** Entries as {url, rel, ...parameters}; what can't be read is left out. */
export function parseLinks(value) {
  const links = [];
  const entry = /<([^>]*)>((?:\s*;\s*[\w!#$&+.^`|~-]+\*?\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/g;
  for (const [, url, rest] of (value ?? '').matchAll(entry)) {
    const link = { url };
    for (const [, name, quoted, plain] of rest.matchAll(/;\s*([\w!#$&+.^`|~-]+)\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g)) {
      link[name.toLowerCase()] ??= quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
    }
    links.push(link);
  }
  return links;
}

/** The URL of the first link of relation `rel`, or null. */
export function linkTo(links, rel) {
  return links.find((link) => (link.rel ?? '').split(/\s+/).includes(rel))?.url ?? null;
}

/** RTCIceServer objects of the `ice-server` links (RFC 9725, 4.6). */
export function iceServers(links) {
  return links
    .filter((link) => link.rel === 'ice-server')
    .map(({ url, username, credential }) => ({ urls: url, ...(username && { username }), ...(credential && { credential }) }));
}
