// The bar under the picture.

import { h, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { icon, setIcon } from '../icons.js';
import { renditionNames } from '../model.js';
import { attachMenu } from '../ui/menu.js';
import { announce, toast } from '../ui/toast.js';

/** Gives {node, update(), setChannel(channel), openRenditions()}. */
export function createControls({ client, video, node: stage, stats, actions, signal }) {
  let channel = null;
  const play = control('pause', 'Pause (Space)', actions.togglePlay);
  const mute = control('volume', 'Mute (M)', actions.toggleMute);
  const volume = h('input', { type: 'range', class: 'volume', min: '0', max: '100', step: '5', 'aria-label': 'Volume' });
  volume.addEventListener('input', () => actions.changeVolume(volume.value / 100 - video.volume), { signal });
  const live = h('span', { class: 'stage-live', text: 'Live' });
  const renditionText = h('span', { class: 'num', text: 'Auto' });
  const rendition = h('button', { type: 'button', class: 'stage-button stage-rendition', title: 'Rendition (R)' }, icon('settings'), renditionText);
  const renditionHost = h('div', { class: 'stage-menu' }, rendition);
  const menu = attachMenu(rendition, renditionHost, 'Rendition', menuItems);
  const statistics = control('stats', 'Statistics (I)', actions.toggleStats);
  const help = control('keyboard', 'Keyboard shortcuts (?)', actions.showHelp);
  const pip = document.pictureInPictureEnabled && control('pip', 'Picture in picture (P)', actions.togglePip);
  const full = control('expand', 'Full screen (F)', actions.toggleFullscreen);
  statistics.setAttribute('aria-pressed', 'false');
  help.classList.add('stage-wide');
  pip?.classList.add('stage-wide');

  const node = h(
    'div',
    { class: 'stage-controls', role: 'group', 'aria-label': 'Player controls' },
    play, mute, volume, live, h('span', { class: 'stage-gap' }), renditionHost, statistics, help, pip, full,
  );

  function update() {
    name(play, video.paused ? 'play' : 'pause', video.paused ? 'Play (Space)' : 'Pause (Space)');
    const silent = video.muted || video.volume === 0;
    name(mute, silent ? 'muted' : 'volume', silent ? 'Unmute (M)' : 'Mute (M)');
    volume.value = silent ? 0 : Math.round(video.volume * 100);
    setAttribute(volume, 'aria-valuetext', silent ? 'Muted' : `${Math.round(video.volume * 100)} %`);
    setAttribute(statistics, 'aria-pressed', String(stats.shown));
    const isFull = document.fullscreenElement === stage;
    name(full, isFull ? 'shrink' : 'expand', isFull ? 'Leave full screen (F)' : 'Full screen (F)');
    const { text, kind } = liveState(client, video, channel);
    setText(live, text);
    setAttribute(live, 'data-kind', kind);
  }

  function updateRendition() {
    const now = client.layer?.rid;
    const text = client.rendition === 'auto' ? (now ? `Auto · ${now}` : 'Auto') : client.rendition;
    setText(renditionText, text);
    setAttribute(rendition, 'aria-label', `Rendition: ${text}`);
    menu.refresh();
  }

  function menuItems() {
    const now = client.layer?.rid;
    const list = client.layers?.length
      ? client.layers.map((layer) => ({ name: layer.rid, resolution: layer, bitrate: layer.targetBitrate ?? layer.bitrate }))
        .sort((a, b) => b.resolution.height - a.resolution.height || b.bitrate - a.bitrate)
      : renditionNames(channel);
    return [
      { label: 'Auto', note: client.rendition === 'auto' && now ? `now ${now}` : 'follows your bandwidth', checked: client.rendition === 'auto', act: () => choose('auto') },
      ...list.map((item) => ({
        label: item.name === 'source' ? 'Source' : item.name,
        note: [format.resolution(item.resolution), item.bitrate ? format.bitrate(item.bitrate) : null].filter((t) => t && t !== format.NONE).join(' · '),
        checked: client.rendition === item.name,
        act: () => choose(item.name),
      })),
    ];
  }

  async function choose(wanted) {
    if (wanted === client.rendition) return;
    try {
      const promise = client.choose(wanted);
      updateRendition();
      await promise;
      announce(wanted === 'auto' ? 'Rendition: automatic' : `Rendition: ${wanted}`);
    } catch (error) {
      toast(`Not switched: ${error.message}`, 'bad');
    }
    updateRendition();
  }

  for (const event of ['play', 'playing', 'pause', 'volumechange']) video.addEventListener(event, update, { signal });
  document.addEventListener('fullscreenchange', update, { signal });
  for (const event of ['state', 'source']) client.addEventListener(event, update, { signal });
  for (const event of ['layer', 'layers', 'state']) client.addEventListener(event, updateRendition, { signal });
  video.addEventListener('click', actions.togglePlay, { signal });
  video.addEventListener('dblclick', actions.toggleFullscreen, { signal });
  update();
  updateRendition();

  return {
    node,
    update,
    openRenditions: () => (menu.isOpen ? menu.close() : menu.open()),
    setChannel(next) {
      channel = next;
      update();
      if (!client.layers) menu.refresh();
    },
  };
}

function liveState(client, video, channel) {
  if (client.status.state !== 'connected') return { text: 'Offline', kind: 'off' };
  if (!client.active || (channel?.source_state && channel.source_state !== 'live')) return { text: 'Slate', kind: 'warn' };
  return video.paused ? { text: 'Paused', kind: 'off' } : { text: 'Live', kind: 'live' };
}

function control(picture, label, act) {
  return h('button', { type: 'button', class: 'stage-button', 'aria-label': label, title: label, on: { click: act } }, icon(picture));
}

function name(button, picture, label) {
  setIcon(button.firstElementChild, picture);
  setAttribute(button, 'aria-label', label);
  setAttribute(button, 'title', label);
}
