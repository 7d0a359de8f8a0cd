// Wiring: who is signed in, which view is shown, the frame around it.

import { account as user } from './account.js';
import { api } from './api.js';
import { contacts } from './calls/contacts.js';
import { phone } from './calls/phone.js';
import { forgetRecent } from './calls/recent.js';
import { startRinging, stopRinging } from './calls/ringer.js';
import { fill, h } from './dom.js';
import { icon, setIcon } from './icons.js';
import { publisher } from './publisher.js';
import { link, match } from './router.js';
import { session } from './session.js';
import { nextTheme, theme, THEMES } from './theme.js';
import { button, empty } from './ui/parts.js';
import { announce, toast } from './ui/toast.js';
import { signIn, signInPanel } from './views/sign-in.js';

const main = document.getElementById('main');
let leaving = new AbortController();
let firstView = true;
let pageTitle = document.title;

async function show() {
  // A link into the page (`#main`) is not a route.
  if (location.hash && !location.hash.startsWith('#/')) return;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const route = match(session.me?.role === 'analytics' && /^#?\/?$/.test(location.hash) ? link.analytics() : location.hash);
  drawNav(route?.nav);
  drawEnd();
  drawBanner();
  main.className = route ? `page-${route.name}` : '';
  if (!session.me) {
    fill(main, signInPanel());
  } else if (!route) {
    fill(main, empty('info', 'There is no such page', 'The address may be mistyped.', button('All channels', { kind: 'primary', href: link.channels() })));
  } else {
    try {
      const view = await route.load();
      if (signal.aborted) return;
      fill(main);
      await view.mount({ root: main, param: route.param, signal });
    } catch (error) {
      if (signal.aborted) return;
      fill(main, empty('warning', 'This page could not be shown', error.message, button('Try again', { kind: 'primary', on: { click: show } })));
    }
  }
  if (signal.aborted) return;
  const heading = main.querySelector('h1, h2');
  const title = heading?.textContent;
  pageTitle = title && title !== 'Stentor' ? `${title} · Stentor` : 'Stentor';
  drawTitle();
  window.scrollTo(0, 0);
  // The first page is announced by the browser; later ones need focus moved to their start.
  if (!firstView) {
    (main.querySelector('h1') ?? main).focus({ preventScroll: true });
    announce(pageTitle);
  }
  firstView = false;
}

function drawNav(current) {
  const entries = [
    ['channels', 'Channels', link.channels(), !['user', 'analytics'].includes(session.me?.role)],
    ['publish', 'Publish', link.publish(), session.canPublish()],
    ['call', 'Calls', link.call(), session.canCall],
    ['recordings', 'Recordings', link.recordings(), session.canSeeRecordings],
    ['operator', 'Operator', link.operator(), session.admin],
    ['analytics', 'Analytics', link.analytics(), session.canAnalyse],
  ];
  fill(document.getElementById('nav'), session.me && entries
    .filter(([, , , allowed]) => allowed)
    .map(([name, label, href]) => h(
      'a',
      { href, title: label, 'aria-current': name === current ? 'page' : null },
      icon(name),
      h('span', { text: label }),
    )));
}

function drawEnd() {
  const themeIcon = icon(THEMES[theme()].icon);
  const themeButton = h('button', { type: 'button', class: 'button button-quiet button-icon', 'aria-label': THEMES[theme()].label, title: THEMES[theme()].label }, themeIcon);
  themeButton.addEventListener('click', () => {
    const { label, icon: name } = THEMES[nextTheme()];
    setIcon(themeIcon, name);
    themeButton.setAttribute('aria-label', label);
    themeButton.title = label;
    announce(label);
  });
  fill(document.getElementById('topbar-end'), themeButton, account());
}

function account() {
  if (session.token) {
    const shown = match(location.hash)?.name === 'account' ? 'page' : null;
    return [
      user.me && button('Account', { kind: 'quiet', icon: 'user', href: link.account(), 'aria-current': shown }),
      button('Sign out', { kind: 'quiet', icon: 'leave', on: { click: signOut } }),
    ];
  }
  if (session.me?.open) return null;
  return session.me && button('Sign in', { kind: 'quiet', icon: 'key', on: { click: signIn } });
}

async function signOut() {
  phone.signOut();
  forgetRecent();
  await user.signOut();
  await refresh();
  toast('Signed out.');
}

/** A tab among many shows by its title that somebody calls. */
function drawTitle() {
  const title = phone.ringing ? `${contacts.nameOf(phone.ringing.from)} calls you · Stentor` : pageTitle;
  if (document.title !== title) document.title = title;
}

/** A broadcast and a call go on while other pages are looked at: they must never be forgotten. */
function drawBanner() {
  const shown = elsewhere(match(location.hash)?.name);
  const banner = document.getElementById('banner');
  banner.hidden = !shown;
  if (!shown) {
    fill(banner);
    return;
  }
  if (banner.dataset.text === shown.text && banner.childElementCount) return;
  banner.dataset.text = shown.text;
  fill(banner, h(
    'div',
    { class: 'banner' },
    h('span', { text: shown.text }),
    button('Show', { small: true, href: shown.href }),
    shown.end && button(shown.end, { small: true, kind: 'danger', on: { click: shown.stop } }),
  ));
}

/** What goes on apart from the page that is shown. */
function elsewhere(page) {
  if (phone.ringing && page !== 'call') return { text: `${contacts.nameOf(phone.ringing.from)} calls you.`, href: link.call() };
  if (phone.busy && page !== 'call') return { text: 'You are in a call.', href: link.call(), end: 'Hang up', stop: () => phone.hangUp() };
  if (publisher.busy && page !== 'publish') {
    const text = publisher.live ? `You are live on ${publisher.channel}.` : `Connecting to ${publisher.channel}…`;
    return { text, href: link.publish(publisher.channel), end: 'Stop', stop: () => publisher.stop().then(() => publisher.close()) };
  }
  return null;
}

/** Asks the server what the token allows, then draws everything anew. */
async function refresh() {
  try {
    session.me = await api.me();
  } catch (error) {
    session.me = null;
    session.hasAccounts = /sign_in=/.test(error.challenge ?? '');
    if (error.status !== 401 && error.status !== 403) {
      drawNav();
      drawEnd();
      fill(main, empty('warning', 'The server can’t be reached', error.message, button('Try again', { kind: 'primary', icon: 'refresh', on: { click: refresh } })));
      return;
    }
    if (session.token) {
      session.token = null;
      toast('That token is no longer valid. Sign in again.', 'bad');
    }
  }
  await knowServer();
  await show();
}

/** What the server has, and whose account it is, where the token is of one. */
async function knowServer() {
  if (!session.me) return;
  try {
    session.features = (await api.server()).features;
    const hasAccount = session.token && session.canCall && session.features.includes('accounts');
    if (hasAccount && !user.me) await user.load();
  } catch {
    // The page that needs it asks again.
  }
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener('hashchange', show);
session.addEventListener('change', refresh);
user.addEventListener('change', drawEnd);
publisher.addEventListener('change', drawBanner);
phone.addEventListener('change', () => {
  drawBanner();
  drawTitle();
  if (phone.ringing) startRinging();
  else stopRinging();
});
phone.addEventListener('recording', ({ detail }) => {
  if (detail.ready) toast('A recording of your call is ready, under Recordings.');
  else toast(`There is no recording of your call: ${detail.reason ?? 'it failed'}.`, 'bad');
});
phone.addEventListener('signed-out', () => {
  const why = phone.reason;
  phone.signOut();
  user.forget();
  refresh();
  toast(why ?? 'This device was signed out.', 'bad');
});
window.addEventListener('beforeunload', (event) => {
  if (publisher.busy || phone.busy) event.preventDefault();
});
refresh();
