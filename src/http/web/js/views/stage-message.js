// What is said over the video while there is no picture: connecting, trying again, refused.

import { fill, h, setText } from '../dom.js';
import { icon } from '../icons.js';
import { link } from '../router.js';
import { button } from '../ui/parts.js';
import { signIn } from './sign-in.js';

const TITLES = {
  0: 'The server can’t be reached',
  401: 'Sign in to watch',
  403: 'The token doesn’t cover this channel',
  404: 'There is no such channel',
  406: 'This browser can’t play the channel',
  429: 'Too many tries',
  503: 'The server takes no viewers right now',
  507: 'The server is at its limit',
};

/** Gives {node, setChannel(channel)}. */
export function createMessage(client, video, signal) {
  const node = h('div', { class: 'stage-message', role: 'status' });
  let countdown = null;
  let seen = false;
  let channel = null;

  function draw() {
    clearInterval(countdown);
    const { state, error } = client.status;
    const playing = state === 'connected' && seen;
    node.hidden = playing && !video.paused;
    node.classList.toggle('is-over-picture', seen);
    node.classList.toggle('is-final', state === 'failed');
    if (playing && video.paused) {
      fill(node, button('Play', { icon: 'play', kind: 'primary', on: { click: () => video.play().catch(() => {}) } }));
    } else if (state === 'connecting') busy('Connecting…');
    else if (state === 'connected' && !seen) busy(channel?.state === 'running' ? 'Waiting for the first picture…' : 'The channel is starting…');
    else if (state === 'waiting') waiting(error, client.status.retryMs);
    else if (state === 'failed') failed(error);
  }

  function busy(text) {
    fill(node, h('div', { class: 'spinner' }), h('p', { text }));
  }

  function waiting(error, retryMs) {
    const until = performance.now() + retryMs;
    const left = h('span', { class: 'num', 'aria-hidden': 'true' });
    const tick = () => {
      const seconds = Math.ceil((until - performance.now()) / 1000);
      setText(left, seconds > 0 ? `Next try in ${seconds} s` : 'Trying again…');
    };
    tick();
    countdown = setInterval(tick, 250);
    fill(
      node,
      h('div', { class: 'spinner' }),
      h('h2', { text: TITLES[error?.status] ?? 'The connection failed' }),
      h('p', { text: error?.message ?? '' }),
      h('p', { class: 'stage-message-note' }, left),
      retryMs > 1500 && button('Try now', { icon: 'refresh', on: { click: client.retryNow } }),
    );
  }

  function failed(error) {
    const needsToken = error.status === 401 || error.status === 403;
    fill(
      node,
      icon('warning'),
      h('h2', { text: TITLES[error.status] ?? 'The player stopped' }),
      h('p', { text: error.message }),
      h(
        'div',
        { class: 'stage-message-actions' },
        needsToken && button('Sign in', { icon: 'key', kind: 'primary', on: { click: signIn } }),
        error.status === 404
          ? button('All channels', { kind: 'primary', href: link.channels() })
          : button('Try again', { icon: 'refresh', on: { click: () => client.start() } }),
      ),
    );
  }

  client.addEventListener('state', draw, { signal });
  client.addEventListener('stream', () => { seen = false; }, { signal });
  for (const event of ['loadeddata', 'playing', 'pause', 'resize']) {
    video.addEventListener(event, () => {
      if (video.videoWidth > 0) seen = true;
      draw();
    }, { signal });
  }
  signal.addEventListener('abort', () => clearInterval(countdown), { once: true });
  draw();
  return {
    node,
    setChannel(next) {
      const before = channel?.state;
      channel = next;
      if (before !== next.state && client.status.state === 'connected' && !seen) draw();
    },
  };
}
