// The sound of a call that comes in, where the browser lets the page make one.

const TONES = [523, 659];
const TONE_S = 0.35;
const PAUSE_MS = 2600;
const LOUDNESS = 0.12;

let context = null;
let timer = null;

export function startRinging() {
  if (timer !== null) return;
  ring();
  timer = setInterval(ring, PAUSE_MS);
}

export function stopRinging() {
  if (timer === null) return;
  clearInterval(timer);
  timer = null;
  navigator.vibrate?.(0);
  context?.close();
  context = null;
}

/** Before somebody has touched the page a browser makes no sound, and says so in its console. */
function ring() {
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  navigator.vibrate?.([300, 150, 300]);
  context ??= new AudioContext();
  TONES.forEach((frequency, n) => {
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    const at = context.currentTime + n * TONE_S;
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(LOUDNESS, at + 0.03);
    volume.gain.linearRampToValueAtTime(0, at + TONE_S);
    tone.connect(volume).connect(context.destination);
    tone.start(at);
    tone.stop(at + TONE_S);
  });
}
