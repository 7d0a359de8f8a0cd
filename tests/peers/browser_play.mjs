// Plays a file in Chromium, as a page of the server's would:
//   node browser_play.mjs PAGE_URL FILE_URL
// Prints what the browser says of it after it has played a second, and another one in the middle:
// duration, size of the picture, frames and the times that it had got to.

import { createRequire } from 'node:module';

const require = createRequire(new URL('../browser/package.json', import.meta.url));
const [page, file] = process.argv.slice(2);

async function play(url) {
  const video = document.createElement('video');
  video.muted = true;
  video.src = url;
  document.body.append(video);
  const when = (event) => new Promise((resolve, reject) => {
    video.addEventListener(event, resolve, { once: true });
    video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
  });
  const upTo = async (time) => {
    while (video.currentTime < time) await when('timeupdate');
    return video.currentTime;
  };
  await when('loadedmetadata');
  await video.play();
  const first = await upTo(1);
  const middle = video.duration / 2;
  video.currentTime = middle;
  await when('seeked');
  const second = await upTo(middle + 1);
  const frames = video.getVideoPlaybackQuality().totalVideoFrames;
  return {
    duration: video.duration, width: video.videoWidth, height: video.videoHeight,
    frames, first, middle, second,
  };
}

const browser = await require('playwright-core').chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
});
try {
  const tab = await browser.newPage();
  await tab.goto(page);
  console.log(JSON.stringify(await tab.evaluate(play, file)));
} finally {
  await browser.close();
}
