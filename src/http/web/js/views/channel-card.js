// One channel as a card. Its picture is fetched with the token and only while it can be seen.

import { setAttribute, h, setText } from '../dom.js';
import * as format from '../format.js';
import { icon } from '../icons.js';
import { channelState, formatLine } from '../model.js';
import { link } from '../router.js';
import { session } from '../session.js';
import { badge, button, setBadge } from '../ui/parts.js';
import { thumbnail } from './thumbnail.js';

/** Gives {node, update(channel), close()}. */
export function channelCard(channel, signal) {
  const picture = thumbnail(signal);
  const state = badge('', 'neutral');
  const viewers = h('span', { class: 'num' });
  const count = h('span', { class: 'card-viewers' }, icon('viewers'), viewers);
  const watch = h('a', { class: 'card-link', href: link.watch(channel.name), text: channel.name });
  const line = h('p', { class: 'card-line num' });
  const publish = session.canPublish(channel.name) && channel.source.kind === 'whip'
    && button('Go live', { small: true, icon: 'publish', href: link.publish(channel.name), 'aria-label': `Go live on ${channel.name}` });
  const node = h(
    'article',
    { class: 'card' },
    h('div', { class: 'card-picture' }, picture.node, h('div', { class: 'card-state' }, state), count),
    h('div', { class: 'card-text' }, h('div', { class: 'card-words' }, h('h2', {}, watch), line), publish),
  );

  function update(next) {
    const { text, kind, detail } = channelState(next);
    setBadge(state, text, kind);
    setAttribute(state, 'title', detail || null);
    setText(viewers, format.count(next.viewers));
    setAttribute(count, 'title', format.plural(next.viewers, 'viewer'));
    setText(line, [formatLine(next), format.sourceKind(next.source.kind)].filter(Boolean).join(' · '));
    picture.update(next);
    if (publish) publish.hidden = next.source_state === 'live';
  }

  return { node, update, close: picture.close };
}
