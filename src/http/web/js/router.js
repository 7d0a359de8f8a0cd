// Routes live in the fragment (`#/watch/demo`): any static file server can serve the page, and a
// view is left by aborting its signal.

const ROUTES = [
  { name: 'channels', pattern: /^\/?$/, nav: 'channels', load: () => import('./views/channels.js') },
  { name: 'watch', pattern: /^\/watch\/([^/]+)$/, nav: 'channels', load: () => import('./views/watch.js') },
  { name: 'publish', pattern: /^\/publish(?:\/([^/]+))?$/, nav: 'publish', load: () => import('./views/publish.js') },
  { name: 'call', pattern: /^\/call$/, nav: 'call', load: () => import('./views/call.js') },
  { name: 'recordings', pattern: /^\/recordings$/, nav: 'recordings', load: () => import('./views/recordings.js') },
  { name: 'analytics', pattern: /^\/analytics$/, nav: 'analytics', load: () => import('./views/analytics.js') },
  { name: 'account', pattern: /^\/account$/, nav: 'account', load: () => import('./views/account.js') },
  { name: 'operator', pattern: /^\/operator$/, nav: 'operator', load: () => import('./views/operator.js') },
  { name: 'operator-channel', pattern: /^\/operator\/([^/]+)$/, nav: 'operator', load: () => import('./views/operator-channel.js') },
];

/** The route that a fragment names, with its parameter decoded; null where there is none. */
export function match(fragment) {
  const path = fragment.replace(/^#/, '').split('?')[0];
  for (const route of ROUTES) {
    const found = route.pattern.exec(path);
    if (!found) continue;
    try {
      return { ...route, param: found[1] === undefined ? null : decodeURIComponent(found[1]) };
    } catch {
      return null;
    }
  }
  return null;
}

export const link = {
  channels: () => '#/',
  watch: (name) => `#/watch/${encodeURIComponent(name)}`,
  publish: (name) => (name ? `#/publish/${encodeURIComponent(name)}` : '#/publish'),
  call: () => '#/call',
  recordings: () => '#/recordings',
  analytics: () => '#/analytics',
  account: () => '#/account',
  operator: (name) => (name ? `#/operator/${encodeURIComponent(name)}` : '#/operator'),
};
