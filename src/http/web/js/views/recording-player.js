// A recording's files, played or kept.

import { api } from '../api.js';
import { fill, h } from '../dom.js';
import * as format from '../format.js';
import { field, select } from '../ui/field.js';
import { button, notice } from '../ui/parts.js';

const FORMS = { tracks: 'As sent', composite: 'All in one picture' };

/** `name` is the recording's, for those who don't see it. Gives {node, toggle(recording)}. */
export function createRecordingPlayer(name) {
  const node = h('div', { class: 'recording-player', hidden: true });

  async function toggle(recording) {
    if (!node.hidden) {
      close();
      return;
    }
    node.hidden = false;
    try {
      const { files } = await api.recordingLinks(recording.id);
      if (!node.hidden) show(recording, new Map(files.map((file) => [file.name, file.url])));
    } catch (error) {
      fill(node, notice('bad', '', error.message));
    }
  }

  function close() {
    // A video that is only taken away goes on loading.
    const video = node.querySelector('video');
    if (video) video.removeAttribute('src');
    video?.load();
    fill(node);
    node.hidden = true;
  }

  function show({ files }, urls) {
    const video = h('video', { controls: true, playsinline: true, preload: 'metadata', 'aria-label': `Recording: ${name}` });
    const keep = button('Download', { icon: 'file', small: true, href: '#', download: '' });
    const choice = field('File', select(files.map((file) => [file.name, describe(file)]), files[0].name));
    choice.node.hidden = files.length < 2;
    const trouble = h('div', { class: 'call-trouble' });
    const open = (file) => {
      fill(trouble);
      const url = urls.get(file);
      video.src = url;
      keep.href = url;
      keep.download = file;
    };
    choice.input.addEventListener('change', () => open(choice.input.value));
    // A link may have expired: another is had by opening it again.
    video.addEventListener('error', () => {
      if (video.getAttribute('src')) fill(trouble, notice('bad', '', 'This browser can’t play the file, or the link has expired. Close it and play it again, or download it.'));
    });
    fill(node, video, h('div', { class: 'recording-actions' }, choice.node, keep, button('Close', { small: true, on: { click: close } })), trouble);
    open(files[0].name);
    video.focus();
    video.play().catch(() => {});
  }

  return { node, toggle };
}

function describe(file) {
  const size = file.width ? `, ${format.resolution(file)}` : '';
  return `${file.name.replace(/\.[^.]+$/, '')} · ${FORMS[file.form] ?? file.form}${size}`;
}
