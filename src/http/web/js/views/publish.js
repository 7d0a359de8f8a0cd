// The publish page: pick what to send, look at it, go live.

import { api } from '../api.js';
import { canCapture } from '../capture.js';
import { fill, h } from '../dom.js';
import { publisher } from '../publisher.js';
import { link } from '../router.js';
import { session } from '../session.js';
import { button, empty, notice, pageHead } from '../ui/parts.js';
import { toast } from '../ui/toast.js';
import { editChannel } from './channel-dialog.js';
import { createPreview } from './publish-preview.js';
import { createPublishForm } from './publish-form.js';
import { createPublishStats } from './publish-stats.js';
import { publishTrouble } from './publish-trouble.js';

export async function mount({ root, param, signal }) {
  const head = pageHead('Publish', { subtitle: h('p', { text: 'Send this browser’s camera or screen to a channel.' }) });
  if (!canCapture()) {
    fill(root, head, notice('warn', 'No camera here.', 'Browsers hand out cameras only to pages from HTTPS or from localhost. Set up a certificate, or use another WHIP sender.'));
    return;
  }
  if (!session.canPublish()) {
    fill(root, head, notice('warn', 'This token only watches.', 'To publish, sign in with a token that has the role publish.'));
    return;
  }
  fill(root, head, h('div', { class: 'publish' }, h('div', { class: 'skeleton publish-skeleton' })));
  const [channels, server] = await Promise.all([whipChannels(signal), api.server(signal).catch(() => null)]);
  if (signal.aborted) return;
  if (!channels.length) {
    fill(root, head, nowhere());
    return;
  }

  const trouble = h('div', { class: 'publish-trouble', role: 'alert' });
  const preview = createPreview({ openCamera, signal });
  const form = createPublishForm({ channels, preferred: publisher.channel ?? param, act, signal });
  const stats = createPublishStats(signal);
  const main = button('Go live', { icon: 'publish', kind: 'primary', on: { click: toggle } });
  main.classList.add('button-large');
  const again = { retry: goLive, stop: () => publisher.stop() };
  fill(
    root,
    head,
    h(
      'div',
      { class: 'publish' },
      h('div', { class: 'publish-left' }, preview.node, trouble, stats.node),
      h('div', { class: 'panel publish-side' }, form.node, h('div', { class: 'publish-go' }, main)),
    ),
  );

  function openCamera() {
    return act(() => publisher.open());
  }

  /** Runs something that may be refused, and says why it was. */
  async function act(fn) {
    fill(trouble);
    try {
      await fn();
    } catch (error) {
      fill(trouble, notice('bad', '', error.message));
    }
    form.refreshDevices();
    draw();
  }

  async function toggle() {
    if (publisher.busy) {
      await publisher.stop();
      return;
    }
    main.disabled = true;
    if (publisher.stream) await publisher.settled();
    else await openCamera();
    main.disabled = false;
    if (publisher.stream && !signal.aborted) goLive();
  }

  function goLive() {
    publisher.goLive(form.channel(), server?.ice_servers ?? []);
  }

  function draw() {
    const { busy } = publisher;
    main.className = `button button-large ${busy ? 'button-danger-solid' : 'button-primary'}`;
    main.lastElementChild.textContent = busy ? 'Stop' : 'Go live';
    preview.update();
    form.update();
    stats.update();
    const problem = publishTrouble(publisher, again);
    if (problem !== undefined) fill(trouble, problem);
  }

  publisher.addEventListener('change', draw, { signal });
  publisher.addEventListener('ended', () => toast('The camera or screen went away. Publishing has ended.', 'bad'), { signal });
  signal.addEventListener('abort', () => publisher.close(), { once: true });
  if (publisher.stream) form.refreshDevices();
  draw();
}

/** The channels that take a publisher and that the token covers. */
async function whipChannels(signal) {
  const channels = await api.channels(signal);
  return channels.filter((channel) => channel.source.kind === 'whip' && session.canPublish(channel.name));
}

function nowhere() {
  const text = 'Publishing needs a channel whose source is a browser camera (WHIP).';
  const create = session.admin && button('New channel', {
    icon: 'plus',
    kind: 'primary',
    on: {
      async click() {
        const made = await editChannel();
        if (made) location.hash = link.publish(made.name);
      },
    },
  });
  return empty('publish', 'No channel to publish to', text, create);
}
