// Sound and autoplay. A browser may refuse to play with sound before the visitor has touched the
// page: then it plays muted, and a button offers the sound.

import { preference, remember } from '../preferences.js';

/** Gives {play(), setMuted(bool), setVolume(0…1), mutedByBrowser, onChange(fn)}. */
export function createSound(video, signal) {
  const listeners = [];
  const state = { mutedByBrowser: false };
  video.volume = Math.min(1, Math.max(0, Number(preference('volume', 1))));
  video.muted = Boolean(preference('muted', false));
  const tell = () => listeners.forEach((fn) => fn());
  video.addEventListener('volumechange', tell, { signal });

  async function play() {
    try {
      await video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError' || signal.aborted) return;
      if (video.muted) {
        tell();
        return;
      }
      video.muted = true;
      state.mutedByBrowser = true;
      await video.play().catch(() => {});
    }
    tell();
  }

  return {
    play,
    get mutedByBrowser() {
      return state.mutedByBrowser;
    },
    setMuted(muted) {
      state.mutedByBrowser = false;
      video.muted = muted;
      if (!muted && video.volume === 0) video.volume = 0.5;
      remember('muted', muted);
      tell();
    },
    setVolume(value) {
      state.mutedByBrowser = false;
      video.volume = Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
      video.muted = video.volume === 0;
      remember('volume', video.volume);
      remember('muted', video.muted);
    },
    onChange: (fn) => listeners.push(fn),
  };
}
