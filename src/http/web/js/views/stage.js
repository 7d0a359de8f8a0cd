// The video and everything over it: messages, controls, statistics, shortcuts.

import { fill, h } from '../dom.js';
import { preference, remember } from '../preferences.js';
import { button } from '../ui/parts.js';
import { createControls } from './stage-controls.js';
import { createMessage } from './stage-message.js';
import { createStatsPanel } from './stats-panel.js';
import { createSound } from './sound.js';
import { bindShortcuts } from './shortcuts.js';

const IDLE_MS = 3000;

/** Gives {node, setChannel(channel)}. Everything ends with `signal`. */
export function createStage(client, name, signal) {
  const video = h('video', { playsinline: true, 'aria-label': `Live video of ${name}` });
  const sound = createSound(video, signal);
  const message = createMessage(client, video, signal);
  const stats = createStatsPanel(client, signal);
  const unmute = button('Unmute', { icon: 'muted', kind: 'primary', on: { click: () => sound.setMuted(false) } });
  unmute.classList.add('stage-unmute');
  const stage = h('section', { class: 'stage', 'aria-label': 'Player' }, video, message.node, unmute);
  // On a wide screen the statistics lie over the picture, on a narrow one below it.
  const node = h('div', { class: 'player' }, stage, stats.node);
  const actions = {
    togglePlay() {
      if (video.paused) sound.play();
      else video.pause();
    },
    toggleMute: () => sound.setMuted(!video.muted),
    changeVolume: (by) => sound.setVolume(video.volume + by),
    toggleStats() {
      stats.toggle();
      remember('statistics', stats.shown);
      controls.update();
    },
    toggleFullscreen: () => toggleFullscreen(node, video),
    togglePip: () => togglePip(video),
    openRenditions: () => controls.openRenditions(),
    reconnect: () => client.reconnect(),
    showHelp: () => shortcuts.showHelp(),
  };
  const controls = createControls({ client, video, node, stats, actions, signal });
  const shortcuts = bindShortcuts(actions, signal);
  stage.append(controls.node);
  if (preference('statistics', false)) stats.toggle();

  function showStream() {
    if (!client.stream || video.srcObject === client.stream) return;
    video.srcObject = client.stream;
    sound.play();
  }
  client.addEventListener('stream', showStream, { signal });
  sound.onChange(() => {
    unmute.hidden = !(sound.mutedByBrowser && video.muted);
    controls.update();
  });
  unmute.hidden = true;
  watchIdle(stage, video, signal);
  signal.addEventListener('abort', () => {
    video.srcObject = null;
    if (document.fullscreenElement === node) document.exitFullscreen();
    fill(node);
  }, { once: true });

  return {
    node,
    setChannel(channel) {
      controls.setChannel(channel);
      stats.setChannel(channel);
      message.setChannel(channel);
    },
  };
}

/** Hides the controls while nothing moves; focus inside keeps them (in CSS). */
function watchIdle(node, video, signal) {
  let timer = null;
  const stir = () => {
    delete node.dataset.idle;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!video.paused && !node.querySelector('.menu:not([hidden])')) node.dataset.idle = '';
    }, IDLE_MS);
  };
  for (const event of ['pointermove', 'pointerdown', 'keydown', 'focusin']) node.addEventListener(event, stir, { signal });
  node.addEventListener('pointerleave', () => { if (!video.paused) node.dataset.idle = ''; }, { signal });
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  stir();
}

function toggleFullscreen(node, video) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (node.requestFullscreen) node.requestFullscreen().catch(() => {});
  else video.webkitEnterFullscreen?.();
}

function togglePip(video) {
  if (document.pictureInPictureElement) document.exitPictureInPicture();
  else video.requestPictureInPicture?.().catch(() => {});
}
