// Whether pictures move: when each frame of a call's tile was shown.

/**
 * In the page: notes the time of every frame of every tile, from now on. Frames that were shown while
 * the page's thread was busy are said afterwards, by their number: they are spread over that time.
 */
export function noteFrames() {
  window.shownAt = {};
  const noted = new WeakSet();
  const look = () => {
    for (const tile of document.querySelectorAll('.call-tile')) {
      const video = tile.querySelector('video');
      if (!video || noted.has(video)) continue;
      noted.add(video);
      const { user } = tile.dataset;
      let last = null;
      const note = (_, { presentedFrames }) => {
        const times = (window.shownAt[user] ??= []);
        const [now, unsaid] = [Date.now(), last ? presentedFrames - last.presentedFrames : 1];
        for (let n = 1; n < unsaid; n++) times.push(last.at + ((now - last.at) * n) / unsaid);
        times.push(now);
        last = { at: now, presentedFrames };
        video.requestVideoFrameCallback(note);
      };
      video.requestVideoFrameCallback(note);
    }
    setTimeout(look, 20);
  };
  look();
}

/** The longest time, in ms, that `user` stood still in `page` between two times. */
export function longestPause(page, user, from, to) {
  return page.evaluate(([name, begin, end]) => {
    const times = (window.shownAt[name] ?? []).filter((at) => at > begin && at < end);
    const all = [begin, ...times, end];
    return Math.max(...all.slice(1).map((at, n) => at - all[n]));
  }, [user, from, to]);
}

/** When the first `count` frames of `user` were shown after `from`; null where they weren't yet. */
export function movesAgain(page, user, from, count = 5) {
  return page.evaluate(([name, begin, wanted]) => {
    const times = (window.shownAt[name] ?? []).filter((at) => at > begin);
    return times[wanted - 1] ?? null;
  }, [user, from, count]);
}
