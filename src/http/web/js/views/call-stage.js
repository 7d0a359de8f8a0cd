// The call itself: everybody's picture, one's own, and what can be done.

import { grid } from '../calls/grid.js';
import { phone } from '../calls/phone.js';
import { h, reconcile, setText } from '../dom.js';
import { createConnection } from './call-connection.js';
import { createControls } from './call-controls.js';
import { createPager } from './call-pager.js';
import { play, tiles } from './call-tile.js';

const SHAPE = 9 / 16;
/** On a telephone a large tile and a row of small ones stand; else they lie. */
const larger = (width) => (width < 640 ? '1 / 1' : '16 / 9');

/** `act(fn)` runs what may be refused, and says why. Gives {node, update()}. */
export function createCallStage({ act, signal }) {
  /** Who is shown larger than the rest by choice; '' for nobody, null where nothing was chosen. */
  let chosen = null;
  const others = h('div', { class: 'call-tiles' });
  const tile = tiles({ act, enlarge: (user) => { chosen = user === large() ? '' : user; update(); } });
  const pager = createPager(() => update());
  /** Everybody is heard, whoever is on the page. */
  const unseen = h('div', { hidden: true });
  const own = h('video', { class: 'call-own', muted: true, autoplay: true, playsinline: true, 'aria-label': 'Your own picture' });
  own.muted = true;
  const recorded = h('p', { class: 'call-recorded', role: 'status' });
  const note = h('p', { class: 'call-note', role: 'status' });
  const connection = createConnection();
  const controls = createControls({ act, connection, signal });
  const stage = h('section', { class: 'call-stage', 'aria-label': 'Call' }, recorded, others, own, unseen, pager.node, note, controls.node);
  const node = h('div', { class: 'call-main' }, stage, connection.node);
  const sizes = new ResizeObserver(() => { if (phone.busy) arrange(); });
  sizes.observe(others);
  phone.listening.restUntil(signal);
  signal.addEventListener('abort', () => {
    sizes.disconnect();
    for (const element of stage.querySelectorAll('video, audio')) element.srcObject = null;
  }, { once: true });

  const present = () => phone.call.participants.filter((p) => p.user !== phone.user && p.state !== 'out');

  /** Whoever was chosen; else a screen that is shared, which nobody reads in a small tile. */
  function large() {
    const all = present();
    if (all.length < 2) return null;
    if (chosen !== null) return all.some((p) => p.user === chosen) ? chosen : null;
    return all.find((p) => p.media.screen && p.media.video)?.user ?? null;
  }

  function update() {
    node.hidden = !phone.busy;
    connection.update();
    if (!phone.busy) {
      chosen = null;
      for (const list of [others, unseen]) reconcile(list, [], () => '');
      own.srcObject = null;
      return;
    }
    const all = present();
    const first = large();
    // A large one is on the first page.
    all.sort((a, b) => Number(b.user === first) - Number(a.user === first));
    const people = pager.page(all);
    const canEnlarge = all.length > 1;
    reconcile(others, people, (p) => p.user, tile.create, (each, p) => tile.update(each, p, { large: first, canEnlarge }));
    reconcile(unseen, all.filter((p) => !people.includes(p)), (p) => p.user, () => h('audio', { autoplay: true }), play);
    stage.classList.toggle('is-group', all.length > 1);
    arrange();
    drawOwn();
    const isAlone = all.length === 0 ? 'Nobody else is here.' : '';
    setText(note, [phone.own.isSharing && 'You share your screen.', phone.own.trouble, isAlone].filter(Boolean).join(' '));
    setText(recorded, phone.call.recorded ? 'This call is recorded.' : '');
    controls.update();
  }

  function drawOwn() {
    if (own.srcObject !== phone.own.stream) own.srcObject = phone.own.stream;
    own.hidden = !phone.own.media.video;
    own.classList.toggle('is-screen', phone.own.isSharing);
  }

  /** Tiles as large as they can be, and what is shown told to the server. */
  function arrange() {
    const shown = [...others.children];
    const first = shown.find((each) => each.classList.contains('call-tile-large'));
    const most = parseFloat(getComputedStyle(others).maxHeight) || others.clientHeight;
    const count = first ? shown.length - 1 : shown.length;
    const { columns, rows } = first ? { columns: Math.max(1, count), rows: 1 } : grid(count, others.clientWidth, most);
    others.classList.toggle('has-large', Boolean(first));
    others.style.setProperty('--columns', columns);
    others.style.setProperty('--shape', first ? larger(others.clientWidth) : `${columns * 16} / ${rows * 9}`);
    tellScreen(shown.filter((each) => each !== first)[0] ?? first, shown, first);
  }

  /** Pictures that nobody looks at needn't be sent. */
  function tellScreen(one, shown, first) {
    if (!one) return;
    // What a tile shows of a picture of 16 to 9.
    const height = Math.round(Math.min(one.clientHeight, one.clientWidth * SHAPE) * devicePixelRatio);
    phone.call.parties.show({ page: pager.at, pageSize: pager.size, users: shown.map((each) => each.dataset.user), height, large: first?.dataset.user });
  }

  return { node, update };
}
