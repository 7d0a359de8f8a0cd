// Small parts: buttons, badges, notices, empty states, skeletons.

import { h } from '../dom.js';
import { icon } from '../icons.js';

/** A button or, with `href`, a link that looks like one. */
export function button(label, { icon: name, kind = '', small = false, hideLabel = false, href, ...props } = {}) {
  const classes = ['button', kind && `button-${kind}`, small && 'button-small', hideLabel && 'button-icon'];
  return h(
    href ? 'a' : 'button',
    {
      ...(href ? { href } : { type: 'button' }),
      class: classes.filter(Boolean).join(' '),
      'aria-label': hideLabel ? label : null,
      title: hideLabel ? label : null,
      ...props,
    },
    name && icon(name),
    !hideLabel && h('span', { text: label }),
  );
}

/** `kind`: ok, warn, bad, accent or neutral. */
export function badge(text, kind = 'neutral', plain = false) {
  return h('span', { class: 'badge', dataset: { kind, ...(plain && { plain: '' }) }, text });
}

export function setBadge(node, text, kind) {
  if (node.textContent !== text) node.textContent = text;
  if (node.dataset.kind !== kind) node.dataset.kind = kind;
}

/** A sentence that stays: what is wrong, and what can be done. */
export function notice(kind, title, text, ...actions) {
  return h(
    'div',
    { class: 'notice', dataset: { kind }, role: kind === 'bad' ? 'alert' : null },
    icon(kind === 'neutral' ? 'info' : 'warning'),
    h('div', { class: 'notice-text' }, title && h('strong', { text: title }), title && text && ' ', text && h('span', { text })),
    ...actions,
  );
}

export function empty(name, title, text, ...actions) {
  return h('div', { class: 'empty' }, icon(name), h('h2', { class: 'empty-title', text: title }), text && h('p', { text }), ...actions);
}

/** Grey shapes in the size of what will come. */
export function skeletons(count, extraClass) {
  return Array.from({ length: count }, () => h('div', { class: `skeleton ${extraClass}`, 'aria-hidden': 'true' }));
}

export function pageHead(title, { subtitle = null, actions = [], level = 'h1' } = {}) {
  const heading = h(level, { tabindex: '-1', text: title });
  return h(
    'div',
    { class: 'page-head' },
    h('div', { class: 'page-head-text' }, heading, subtitle),
    h('div', { class: 'page-actions' }, ...actions),
  );
}
