// Which camera, microphone and speaker a call uses. What is chosen holds at once.

import { phone } from '../calls/phone.js';
import { devices } from '../capture.js';
import { fill, h } from '../dom.js';
import { showDialog } from '../ui/dialog.js';
import { field, select, setOptions } from '../ui/field.js';
import { notice } from '../ui/parts.js';

export async function chooseDevices() {
  const trouble = h('div', { class: 'call-trouble' });
  const choice = (label, what) => field(label, select([['', `Default ${what}`]], ''));
  const camera = choice('Camera', 'camera');
  const microphone = choice('Microphone', 'microphone');
  const speaker = choice('Speaker', 'speaker');
  speaker.node.hidden = !('setSinkId' in HTMLMediaElement.prototype);
  const take = (place, choose) => place.input.addEventListener('change', async () => {
    fill(trouble);
    await choose(place.input.value);
    if (phone.own.trouble) fill(trouble, notice('bad', '', phone.own.trouble));
  });
  take(camera, (id) => phone.own.choose('video', id));
  take(microphone, (id) => phone.own.choose('audio', id));
  take(speaker, (id) => phone.setSpeaker(id));

  async function list() {
    const found = await devices().catch(() => ({ cameras: [], microphones: [], speakers: [] }));
    const offer = (place, what, known, chosen) => {
      // The system's own choice stands in Chromium's list a second time.
      const others = known.filter(([id]) => id !== 'default' && id !== 'communications');
      setOptions(place.input, [['', `Default ${what}`], ...others], chosen);
    };
    offer(camera, 'camera', found.cameras, phone.own.chosen.video);
    offer(microphone, 'microphone', found.microphones, phone.own.chosen.audio);
    offer(speaker, 'speaker', found.speakers, phone.speaker);
  }

  const closed = new AbortController();
  navigator.mediaDevices?.addEventListener('devicechange', list, { signal: closed.signal });
  await list();
  await showDialog({ title: 'Devices', body: h('div', { class: 'form' }, camera.node, microphone.node, speaker.node, trouble) });
  closed.abort();
}
