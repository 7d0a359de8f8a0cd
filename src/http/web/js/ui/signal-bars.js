// Four bars, as many of them filled as a way is good.

const NAMESPACE = 'http://www.w3.org/2000/svg';
const BARS = 4;

/** Gives {node, set(level, text)}; `level` from 0 to 4, `text` for those who don't see it. */
export function signalBars() {
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('viewBox', '0 0 19 16');
  svg.setAttribute('class', 'signal-bars');
  svg.setAttribute('role', 'img');
  for (let n = 0; n < BARS; n += 1) {
    const bar = document.createElementNS(NAMESPACE, 'rect');
    const height = 4 + n * 4;
    for (const [name, value] of Object.entries({ x: n * 5, y: 16 - height, width: 4, height, rx: 1 })) bar.setAttribute(name, value);
    svg.append(bar);
  }
  return {
    node: svg,
    set(level, text) {
      if (svg.dataset.level !== String(level)) svg.dataset.level = String(level);
      if (svg.getAttribute('aria-label') !== text) svg.setAttribute('aria-label', text);
    },
  };
}
