// A line of the last values: enough to see a trend, without axes.

import { h } from '../dom.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** Gives {node, push(value)}; `length` values are kept, the scale follows the largest. */
export function sparkline(length) {
  const path = document.createElementNS(NAMESPACE, 'polyline');
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('viewBox', `0 0 ${length - 1} 20`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(path);
  const values = [];
  return {
    node: h('div', { class: 'sparkline' }, svg),
    push(value) {
      values.push(value);
      if (values.length > length) values.shift();
      const top = Math.max(...values, 1) * 1.1;
      const start = length - values.length;
      path.setAttribute('points', values.map((v, i) => `${start + i},${(19 - (v / top) * 18).toFixed(2)}`).join(' '));
    },
  };
}
