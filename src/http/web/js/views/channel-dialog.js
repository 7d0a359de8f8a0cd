// Makes or changes a channel. The form follows the source's kind; the server's complaints are
// shown at the fields they are about.

import { api } from '../api.js';
import { h } from '../dom.js';
import * as format from '../format.js';
import { showDialog } from '../ui/dialog.js';
import { choices, field, textInput } from '../ui/field.js';
import { notice } from '../ui/parts.js';
import { ladderForm } from './ladder-form.js';
import { sourceForm } from './source-form.js';

const KINDS = [
  { value: 'whip', icon: 'camera', label: 'Browser camera', text: 'From the Publish page, or any WHIP sender' },
  { value: 'rtsp', icon: 'network', label: 'RTSP', text: 'Pulled from a network camera' },
  { value: 'srt', icon: 'link', label: 'SRT', text: 'From an encoder, called or listened for' },
  { value: 'file', icon: 'file', label: 'File', text: 'Played in a loop from the server’s disk' },
  { value: 'synthetic', icon: 'pattern', label: 'Synthetic', text: 'Test picture with a running clock, and a tone' },
];

/** Opens the dialog, for a new channel or for `channel`. Resolves with the saved one or null. */
export function editChannel(channel = null) {
  const name = field('Name', textInput({ required: true, maxlength: '63', placeholder: 'studio-1', autofocus: channel ? null : true }), 'Letters, digits, - and _. It becomes part of addresses.');
  if (channel) {
    name.input.value = channel.name;
    name.node.hidden = true;
  }
  const holder = h('div', { class: 'form' });
  let source;
  const choose = (kind) => {
    source = sourceForm(kind, channel?.source.kind === kind ? channel.source : null);
    holder.replaceChildren(...source.nodes);
  };
  const kind = channel?.source.kind ?? 'whip';
  choose(kind);
  const ladder = ladderForm(channel ? channel.ladder : null);
  const trouble = h('div', {});
  const body = h('div', { class: 'form' }, name.node, choices('Source', KINDS, kind, choose), holder, ladder.node, trouble);

  async function submit() {
    trouble.replaceChildren();
    const wanted = name.input.value.trim();
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(wanted)) {
      name.error(wanted ? 'Start with a letter or digit; then letters, digits, - and _ only.' : 'Give the channel a name.');
      name.input.focus();
      throw new Error('invalid name');
    }
    const bad = source.check() ?? ladder.check();
    if (bad) {
      bad.focus();
      throw new Error('invalid field');
    }
    const settings = { source: source.value(), ladder: ladder.value() };
    try {
      return await (channel ? api.changeChannel(channel.name, settings) : api.createChannel({ name: wanted, ...settings }));
    } catch (error) {
      showProblem(error);
      throw error;
    }
  }

  function showProblem(error) {
    const rest = [];
    for (const { pointer, detail } of error.problem?.errors ?? []) {
      const place = pointer === '/name' ? name : source.fieldAt(pointer) ?? ladder.fieldAt(pointer);
      if (place) place.error(detail);
      else rest.push(detail);
    }
    const figures = (error.problem?.figures ?? []).map((f) => `${f.resource}: ${format.amount(f.asked)} ${f.unit} asked, ${format.amount(f.used)} of ${format.amount(f.capacity)} in use.`);
    trouble.replaceChildren(notice('bad', 'Not saved.', [error.message, ...rest, ...figures].join(' ')));
    body.querySelector('[aria-invalid="true"]')?.focus();
  }

  return showDialog({
    title: channel ? `Change ${channel.name}` : 'New channel',
    body,
    submit,
    submitLabel: channel ? 'Save' : 'Create channel',
  });
}
