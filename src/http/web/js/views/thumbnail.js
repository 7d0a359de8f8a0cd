// A channel's latest picture. The token goes in a header, so it is fetched as a blob; a new one
// is decoded before it replaces the old one, so that nothing flickers.

import { api } from '../api.js';
import { h } from '../dom.js';
import { icon } from '../icons.js';

/** Gives {node, update(channel), close()}. */
export function thumbnail(signal) {
  const image = h('img', { alt: '', hidden: true, decoding: 'async' });
  const node = h('div', { class: 'thumbnail' }, icon('channels'), image);
  let visible = false;
  let latest = null;
  let shown = null;
  let url = null;
  let busy = false;

  const watcher = new IntersectionObserver(([entry]) => {
    visible = entry.isIntersecting;
    load();
  }, { rootMargin: '200px' });
  watcher.observe(node);

  async function load() {
    if (!visible || busy || !latest || latest === shown || signal.aborted) return;
    busy = true;
    const path = latest;
    try {
      const next = URL.createObjectURL(await api.picture(path, signal));
      const probe = new Image();
      probe.src = next;
      await probe.decode();
      image.src = next;
      image.hidden = false;
      if (url) URL.revokeObjectURL(url);
      url = next;
      shown = path;
    } catch {
      // No picture yet, or not one that decodes: the last one stays, the next one is tried.
    }
    busy = false;
  }

  return {
    node,
    update(channel) {
      latest = channel.thumbnail;
      node.classList.toggle('is-stale', channel.source_state !== 'live');
      load();
    },
    close() {
      watcher.disconnect();
      if (url) URL.revokeObjectURL(url);
      url = null;
    },
  };
}
