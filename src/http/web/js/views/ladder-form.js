// Which renditions a channel offers below its source: chosen by the server, none, or a list.

import { h } from '../dom.js';
import { field, select, textInput } from '../ui/field.js';

const HELP = 'One per line, the height and, if wanted, kb/s: “720 2500”. Only sizes below the source are made, and only while watched.';

/** Gives {node, check(), value(), fieldAt(pointer)}. `ladder`: null, [] or rungs, as in the API. */
export function ladderForm(ladder) {
  const mode = field('Renditions', select(
    [['auto', 'Chosen by the server'], ['source', 'The source only'], ['list', 'These sizes…']],
    ladder === null || ladder === undefined ? 'auto' : ladder.length ? 'list' : 'source',
  ));
  const list = field('Sizes', h('textarea', { class: 'input', rows: '3', spellcheck: 'false' }), HELP);
  list.input.value = (ladder ?? []).map(lineOf).join('\n') || '720\n360\n180';
  const show = () => { list.node.hidden = mode.input.value !== 'list'; };
  mode.input.addEventListener('change', show);
  show();

  return {
    node: h('div', { class: 'form' }, mode.node, list.node),
    check() {
      if (mode.input.value !== 'list' || parseLadder(list.input.value)) return null;
      list.error('A height of 16 to 4320 on each line is expected, and if wanted a bitrate in kb/s.');
      return list.input;
    },
    value() {
      if (mode.input.value === 'auto') return null;
      return mode.input.value === 'source' ? [] : keepNames(parseLadder(list.input.value), ladder);
    },
    fieldAt: (pointer) => (pointer.startsWith('/ladder') ? list : undefined),
  };
}

/** Rungs of the lines, or null where a line is none. */
export function parseLadder(text) {
  const rungs = [];
  for (const line of text.split('\n').map((l) => l.trim()).filter(Boolean)) {
    const found = /^(\d{2,4})p?(?:[\s,]+(\d{2,6}))?$/.exec(line);
    if (!found || Number(found[1]) < 16 || Number(found[1]) > 4320) return null;
    rungs.push({ height: Number(found[1]), ...(found[2] && { bitrate: Number(found[2]) * 1000 }) });
  }
  return rungs.length && rungs.length <= 8 ? rungs : null;
}

function lineOf(rung) {
  return rung.bitrate ? `${rung.height} ${Math.round(rung.bitrate / 1000)}` : String(rung.height);
}

/** A rung that keeps its height keeps the name that somebody gave it. */
function keepNames(rungs, old) {
  return rungs.map((rung) => {
    const name = (old ?? []).find((o) => o.height === rung.height)?.name;
    return name ? { name, ...rung } : rung;
  });
}
