// Who calls, and whether to answer.

import { contacts } from '../calls/contacts.js';
import { phone } from '../calls/phone.js';
import { h, setText } from '../dom.js';
import { button } from '../ui/parts.js';

/** `act(fn)` runs what may be refused, and says why. Gives {node, update()}. */
export function createRinging(act) {
  const title = h('h2', { class: 'call-ringing-title' });
  const more = h('p', { class: 'muted' });
  const accept = button('Accept', { icon: 'call', kind: 'primary', on: { click: () => act(() => phone.accept()) } });
  const decline = button('Decline', { icon: 'hang-up', kind: 'danger', on: { click: () => phone.decline() } });
  const node = h(
    'section',
    { class: 'panel call-ringing', role: 'alert', 'aria-label': 'A call comes in' },
    h('div', {}, title, more),
    h('div', { class: 'call-ringing-actions' }, accept, decline),
  );
  node.hidden = true;
  return {
    node,
    update() {
      const rings = phone.ringing;
      const isNew = rings && node.hidden;
      if (rings) {
        setText(title, `${contacts.nameOf(rings.from)} calls you`);
        const names = rings.others.map((user) => contacts.nameOf(user));
        setText(more, names.length ? `With ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}` : '');
      }
      node.hidden = !rings;
      // Nobody is torn away from what they type.
      if (isNew && !['INPUT', 'TEXTAREA'].includes(document.activeElement?.tagName)) accept.focus();
    },
  };
}
