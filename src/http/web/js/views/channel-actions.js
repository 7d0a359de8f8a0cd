// What an administrator does to a channel, from the list and from its own page.

import { api } from '../api.js';
import * as format from '../format.js';
import { confirmDialog } from '../ui/dialog.js';
import { toast } from '../ui/toast.js';
import { editChannel } from './channel-dialog.js';

export async function changeChannel(channel, done) {
  if (!(await editChannel(channel))) return;
  toast(`${channel.name} is changed.`);
  done();
}

export async function removeChannel(channel, done) {
  const text = channel.viewers
    ? `It ends for ${format.plural(channel.viewers, 'viewer')} at once, and can’t be brought back.`
    : 'It can’t be brought back.';
  const gone = await confirmDialog({
    title: `Delete ${channel.name}?`,
    text,
    label: 'Delete channel',
    act: () => api.deleteChannel(channel.name),
  });
  if (!gone) return;
  toast(`${channel.name} is deleted.`);
  done();
}

export async function endViewer(channel, viewer, done) {
  const ended = await confirmDialog({
    title: 'End this viewer?',
    text: `The session from ${viewer.address ?? 'an unknown address'} ends at once. Nothing stops the viewer from coming back.`,
    label: 'End viewer',
    act: () => api.endViewer(channel, viewer.session),
  });
  if (!ended) return;
  toast('The viewer’s session has ended.');
  done();
}
