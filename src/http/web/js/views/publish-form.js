// What to send, where, and how.

import { canShareScreen, devices } from '../capture.js';
import { h } from '../dom.js';
import { publisher, NO_MICROPHONE } from '../publisher.js';
import { field, segments, select, setOptions } from '../ui/field.js';

const SIZES = [['1080', '1080p'], ['720', '720p'], ['540', '540p'], ['360', '360p']];
const RATES = [['60', '60'], ['30', '30'], ['15', '15']];
const BITRATES = [['0', 'As the network allows'], ['6000000', 'At most 6 Mb/s'], ['4000000', 'At most 4 Mb/s'], ['2500000', 'At most 2.5 Mb/s'], ['1000000', 'At most 1 Mb/s'], ['500000', 'At most 500 kb/s']];
const CODECS = [['auto', 'H.264, or else VP8'], ['H264', 'H.264'], ['VP8', 'VP8']];

/**
 * `act(fn)` runs a change that may be refused. Gives {node, channel(), update(),
 * refreshDevices()}.
 */
export function createPublishForm({ channels, preferred, act, signal }) {
  const { settings } = publisher;
  const known = channels.some((channel) => channel.name === preferred);
  const channel = field('Channel', select(channels.map((c) => [c.name, c.name]), known ? preferred : channels[0].name));
  const kind = segments('What to send', [['camera', 'Camera', 'camera'], ['screen', 'Screen', 'screen']], settings.kind, (value) => change({ kind: value }));
  const camera = field('Camera', select([['', 'Default camera']], ''));
  const microphone = field('Sound', select(microphoneOptions([]), settings.microphone));
  const size = field('Size', select(SIZES, String(settings.size)));
  const rate = field('Frame rate', select(RATES, String(settings.rate)));
  const bitrate = field('Bitrate', select(BITRATES, String(settings.bitrate)));
  const codec = field('Codec', select(CODECS, settings.codec));
  if (!canShareScreen()) kind.inputs[1].disabled = true;

  function change(changes) {
    update();
    return act(() => publisher.set(changes));
  }
  const on = (place, read) => place.input.addEventListener('change', () => change(read(place.input.value)), { signal });
  on(camera, (value) => ({ camera: value }));
  on(microphone, (value) => ({ microphone: value }));
  on(size, (value) => ({ size: Number(value) }));
  on(rate, (value) => ({ rate: Number(value) }));
  on(bitrate, (value) => ({ bitrate: Number(value) }));
  on(codec, (value) => ({ codec: value }));

  async function refreshDevices() {
    const found = await devices().catch(() => ({ cameras: [], microphones: [] }));
    if (signal.aborted) return;
    setOptions(camera.input, [['', 'Default camera'], ...found.cameras], publisher.settings.camera);
    setOptions(microphone.input, microphoneOptions(found.microphones), publisher.settings.microphone);
  }

  function update() {
    const { busy } = publisher;
    channel.input.disabled = busy;
    codec.input.disabled = busy;
    if (busy) channel.input.value = publisher.channel;
    camera.node.hidden = kind.value() === 'screen';
  }

  navigator.mediaDevices.addEventListener('devicechange', refreshDevices, { signal });
  refreshDevices();
  update();
  return {
    node: h(
      'div',
      { class: 'form publish-form' },
      channel.node,
      kind.node,
      camera.node,
      microphone.node,
      h('div', { class: 'form-row' }, size.node, rate.node),
      bitrate.node,
      codec.node,
    ),
    channel: () => channel.input.value,
    update,
    refreshDevices,
  };
}

function microphoneOptions(microphones) {
  return [['', 'Default microphone'], ...microphones, [NO_MICROPHONE, 'No microphone']];
}
