// The buttons below a call.

import { phone } from '../calls/phone.js';
import { canShareScreen } from '../capture.js';
import { h, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { icon, setIcon } from '../icons.js';
import { session } from '../session.js';
import { chooseDevices } from './call-devices.js';
import { addPeople } from './people-dialog.js';

/** `connection` is the panel that one button opens. Gives {node, update()}. */
export function createControls({ act, connection, signal }) {
  const time = h('span', { class: 'call-time num', role: 'timer', 'aria-live': 'off', 'aria-label': 'Time in the call' });
  const microphone = toggle('Microphone', 'microphone', () => phone.toggle('audio'));
  const camera = toggle('Camera', 'camera', () => phone.toggle('video'));
  const screen = toggle('Share screen', 'screen', () => act(() => phone.share(!phone.own.isSharing)));
  const devices = control('Devices', 'settings', chooseDevices, { 'aria-haspopup': 'dialog' });
  const people = control('Add people', 'people', addPeople, { 'aria-haspopup': 'dialog' });
  const quality = toggle('Connection', 'stats', () => connection.toggle());
  const record = toggle('Record', 'record', () => act(() => phone.record(!phone.call.recorded)));
  const all = control('End for all', 'close', () => act(() => phone.endForAll()));
  const hangUp = control('Hang up', 'hang-up', () => phone.hangUp());
  hangUp.classList.add('button-danger-solid');
  all.classList.add('button-danger-glass');
  const node = h(
    'div',
    { class: 'call-controls', role: 'group', 'aria-label': 'Controls' },
    time,
    h('div', { class: 'call-buttons' }, microphone.node, camera.node, screen.node, devices, people, quality.node, record.node, all, hangUp),
  );
  screen.node.hidden = !canShareScreen();
  const timer = setInterval(drawTime, 500);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });

  function drawTime() {
    const since = phone.call?.startedAt;
    setText(time, since ? format.clock((Date.now() - since) / 1000) : '');
  }

  return {
    node,
    update() {
      const { media, isSharing } = phone.own;
      microphone.update(media.audio, phone.own.has('audio'));
      camera.update(media.video && !isSharing, phone.own.has('video') && !isSharing);
      screen.update(isSharing, true);
      quality.update(connection.isOpen, true);
      record.node.hidden = !mayRecord();
      record.update(phone.call.recorded, true);
      setText(hangUp.querySelector('span'), phone.isGroup ? 'Leave' : 'Hang up');
      all.hidden = !phone.isGroup || !phone.isHost;
      drawTime();
    },
  };
}

/** Whoever started the call, or anybody, as the operator wants it. */
function mayRecord() {
  return session.features.includes('record-by-anyone') || (session.features.includes('record') && phone.isHost);
}

function control(label, name, click, props = {}) {
  return h('button', { type: 'button', class: 'button call-button', on: { click }, ...props }, icon(name), h('span', { text: label }));
}

/** A button that is pressed while something is on. */
function toggle(label, name, click) {
  const node = control(label, name, click);
  const picture = node.querySelector('.icon');
  const hasOff = ['microphone', 'camera'].includes(name);
  node.classList.toggle('call-device', hasOff);
  return {
    node,
    update(isOn, isEnabled) {
      node.disabled = !isEnabled;
      if (hasOff) setIcon(picture, isOn ? name : `${name}-off`);
      setAttribute(node, 'aria-pressed', String(isOn));
    },
  };
}
