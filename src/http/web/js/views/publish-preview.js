// What will be sent, as the sender sees it, with a level for the sound.

import { fill, h, setText } from '../dom.js';
import * as format from '../format.js';
import { icon } from '../icons.js';
import { publisher } from '../publisher.js';
import { badge, button, setBadge } from '../ui/parts.js';
import { soundLevel } from './sound-level.js';

const STATES = {
  connecting: ['Connecting', 'accent'],
  connected: ['Live', 'ok'],
  waiting: ['Trying again', 'warn'],
  failed: ['Not live', 'bad'],
  stopped: ['Preview', 'neutral'],
};

/** `openCamera()` asks the browser. Gives {node, update()}. */
export function createPreview({ openCamera, signal }) {
  const video = h('video', { muted: true, autoplay: true, playsinline: true, 'aria-label': 'Preview of what is sent' });
  video.muted = true;
  const state = badge('Preview', 'neutral');
  const time = h('span', { class: 'preview-time num' });
  const level = soundLevel(signal);
  const open = button('', { icon: 'camera', kind: 'primary', on: { click: openCamera } });
  const cover = h('div', { class: 'preview-cover' });
  const node = h(
    'section',
    { class: 'preview', 'aria-label': 'Preview' },
    video,
    cover,
    h('div', { class: 'preview-top' }, state, time),
    level.node,
  );
  const timer = setInterval(drawTime, 500);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    video.srcObject = null;
  }, { once: true });

  function drawTime() {
    setText(time, publisher.startedAt ? format.clock((Date.now() - publisher.startedAt) / 1000) : '');
  }

  return {
    node,
    update() {
      const { stream, client, settings } = publisher;
      const screen = settings.kind === 'screen';
      if (video.srcObject !== stream) video.srcObject = stream;
      video.classList.toggle('is-mirrored', !screen);
      cover.hidden = Boolean(stream);
      state.hidden = !stream;
      setText(open.lastElementChild, screen ? 'Choose a screen' : 'Turn on camera');
      if (!stream && !cover.childElementCount) {
        fill(cover, icon('camera'), h('p', { text: 'Nothing is sent before you go live.' }), open);
      }
      const [text, kind] = STATES[client?.status.state ?? 'stopped'];
      setBadge(state, text, kind);
      level.set(stream?.getAudioTracks()[0] ?? null);
      drawTime();
    },
  };
}
