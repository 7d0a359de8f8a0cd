// A bar that moves with the microphone: the quickest answer to "can they hear me?"

import { h } from '../dom.js';

/** Gives {node, set(track or null)}. */
export function soundLevel(signal) {
  const bar = h('span', { class: 'level-bar' });
  const node = h('div', { class: 'level', 'aria-hidden': 'true', hidden: true }, bar);
  let context = null;
  let current = null;
  let timer = null;

  function stop() {
    clearInterval(timer);
    context?.close();
    context = null;
  }

  signal.addEventListener('abort', stop, { once: true });
  return {
    node,
    set(track) {
      if (track === current) return;
      current = track;
      stop();
      node.hidden = !track;
      if (!track || !window.AudioContext) return;
      context = new AudioContext();
      const analyser = context.createAnalyser();
      analyser.fftSize = 1024;
      context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        const peak = samples.reduce((top, sample) => Math.max(top, Math.abs(sample)), 0);
        // −48 dB to 0 dB over the bar's length.
        const share = peak > 0 ? Math.max(0, 1 + (20 * Math.log10(peak)) / 48) : 0;
        bar.style.transform = `scaleX(${Math.min(1, share).toFixed(3)})`;
      }, 100);
    },
  };
}
