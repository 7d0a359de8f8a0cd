// Why publishing isn't going on, and what can be done about it.

import * as format from '../format.js';
import { link } from '../router.js';
import { session } from '../session.js';
import { button, notice } from '../ui/parts.js';
import { signIn } from './sign-in.js';

/**
 * A notice for the publisher's state; null where all is well, undefined where it has nothing to
 * say. `retry()` goes live again.
 */
export function publishTrouble(publisher, { retry }) {
  const status = publisher.client?.status;
  if (!status) return undefined;
  const { state, error } = status;
  if (state === 'connected' || state === 'connecting') return null;
  if (state === 'waiting') {
    const seconds = Math.max(1, Math.round(status.retryMs / 1000));
    return notice('warn', 'Not sending.', `${error?.message ?? ''} Next try in ${seconds} s.`, button('Try now', { small: true, on: { click: publisher.client.retryNow } }));
  }
  if (state !== 'failed') return undefined;
  const again = button('Try again', { small: true, icon: 'refresh', on: { click: retry } });
  const key = button('Use another token', { small: true, icon: 'key', on: { click: signIn } });
  switch (error.status) {
    case 409:
      return notice(
        'warn',
        'The channel is taken.',
        `${error.message} You can try again when it is free${session.admin ? ', or let new publishers take over in the channel’s settings.' : '.'}`,
        again,
        session.admin && button('Settings', { small: true, href: link.operator(publisher.channel) }),
      );
    case 401:
    case 403:
      return notice('bad', 'Not allowed.', error.message, key);
    case 406:
      return notice('bad', 'No common codec.', error.message);
    case 507: {
      const figures = (error.problem?.figures ?? []).map((f) => `${f.resource}: ${format.amount(f.used)} of ${format.amount(f.capacity)} ${f.unit} in use.`);
      return notice('bad', 'The server is at its limit.', [error.message, ...figures].join(' '), again);
    }
    default:
      return notice('bad', 'Publishing failed.', error.message, again);
  }
}
