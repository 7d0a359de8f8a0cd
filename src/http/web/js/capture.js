// Cameras, microphones and screens, and what their errors mean.

export const SIZES = { 1080: [1920, 1080], 720: [1280, 720], 540: [960, 540], 360: [640, 360] };
export const NO_MICROPHONE = 'none';

/** Browsers hand out cameras only to pages from HTTPS or localhost. */
export const canCapture = () => Boolean(navigator.mediaDevices?.getUserMedia);
export const canShareScreen = () => Boolean(navigator.mediaDevices?.getDisplayMedia);

/** {cameras, microphones, speakers} as [id, label] pairs; labels are known once a device was allowed. */
export async function devices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  const pairs = (kind, word) => all
    .filter((device) => device.kind === kind && device.deviceId)
    .map((device, i) => [device.deviceId, device.label || `${word} ${i + 1}`]);
  return { cameras: pairs('videoinput', 'Camera'), microphones: pairs('audioinput', 'Microphone'), speakers: pairs('audiooutput', 'Speaker') };
}

/** The picture that `settings` ask for: a stream with one video track, and a screen's sound. */
export async function openPicture({ kind, camera, size, rate }) {
  const [width, height] = SIZES[size];
  try {
    if (kind === 'screen') {
      return await navigator.mediaDevices.getDisplayMedia({
        video: { width: { max: width }, height: { max: height }, frameRate: { ideal: rate } },
        audio: true,
      });
    }
    return await navigator.mediaDevices.getUserMedia({
      video: {
        ...(camera && { deviceId: { exact: camera } }),
        width: { ideal: width },
        height: { ideal: height },
        frameRate: { ideal: rate },
      },
    });
  } catch (error) {
    throw explained(error, kind === 'screen' ? 'screen' : 'camera');
  }
}

/** The chosen microphone's track, or null where none is wanted. */
export async function openMicrophone(id) {
  if (id === NO_MICROPHONE) return null;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: id ? { deviceId: { exact: id } } : true });
    return stream.getAudioTracks()[0];
  } catch (error) {
    throw explained(error, 'microphone');
  }
}

function explained(error, what) {
  const sentences = {
    NotAllowedError: what === 'screen' ? 'Nothing was chosen to share.' : `The browser doesn’t allow the ${what}. Allow it next to the address bar, then try again.`,
    NotFoundError: `No ${what} was found.`,
    NotReadableError: `The ${what} is in use by another program.`,
    OverconstrainedError: `That ${what} is gone or can’t do this.`,
  };
  return new Error(sentences[error.name] ?? `The ${what} could not be opened: ${error.message}`, { cause: error });
}
