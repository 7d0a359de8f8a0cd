// The fields of each kind of source, and their values as the API takes them.

import { h } from '../dom.js';
import { checkbox, field, select, textInput } from '../ui/field.js';

const SIZES = [['1920x1080', '1920×1080'], ['1280x720', '1280×720'], ['960x540', '960×540'], ['640x360', '640×360']];
const RATES = [['25/1', '25'], ['30/1', '30'], ['50/1', '50'], ['60000/1001', '59.94'], ['60/1', '60']];
const KEPT = 'Leave empty to keep the one that is set.';

/**
 * Gives {nodes, check(), value(), fieldAt(pointer)}. `check` gives the first input that is wrong,
 * with its error shown, or null. `old`: the source that is being changed.
 */
export function sourceForm(kind, old) {
  return FORMS[kind](old ?? {});
}

const FORMS = {
  whip(old) {
    const second = field(
      'A second publisher',
      select([['refuse', 'is refused while the first sends'], ['take_over', 'takes over from the first']], old.second_publisher ?? 'refuse'),
    );
    return form([second], { second_publisher: second }, () => ({ kind: 'whip', second_publisher: second.input.value }));
  },

  rtsp(old) {
    const url = field('Address', textInput({ inputmode: 'url', placeholder: 'rtsp://camera.example:554/stream', value: old.url ?? '' }));
    const transport = field('Transport', select([['tcp', 'TCP'], ['udp', 'UDP']], old.transport ?? 'tcp'));
    const user = field('User', textInput({ value: old.user ?? '' }));
    const password = field('Password', textInput({ type: 'password', autocomplete: 'new-password' }), old.kind && KEPT);
    return form(
      [url, row(user, password), transport],
      { url, transport, user, password },
      () => ({
        kind: 'rtsp',
        url: url.input.value.trim(),
        transport: transport.input.value,
        ...optional('user', user),
        ...optional('password', password),
      }),
      () => require(url, /^rtsps?:\/\/\S+$/, 'An address such as rtsp://camera.example/stream is expected.'),
    );
  },

  srt(old) {
    const mode = field('Direction', select([['listener', 'Listen: the encoder calls this server'], ['caller', 'Call: this server calls the encoder']], old.mode ?? 'listener'));
    const address = field('Address', textInput({ placeholder: '0.0.0.0:9000', value: old.address ?? '' }), 'host:port to listen on, or to call.');
    const passphrase = field('Passphrase', textInput({ type: 'password', autocomplete: 'new-password', maxlength: '79' }), old.kind ? KEPT : '10 to 79 characters, or empty.');
    const stream = field('Stream ID', textInput({ value: old.stream_id ?? '' }));
    const latency = field('Latency (ms)', textInput({ type: 'number', min: '0', max: '10000', value: old.latency_ms ?? 120 }));
    return form(
      [mode, address, row(passphrase, stream), latency],
      { mode, address, passphrase, stream_id: stream, latency_ms: latency },
      () => ({
        kind: 'srt',
        mode: mode.input.value,
        address: address.input.value.trim(),
        ...optional('passphrase', passphrase),
        ...optional('stream_id', stream),
        latency_ms: Number(latency.input.value),
      }),
      () => require(address, /^\S+:\d{1,5}$/, 'host:port is expected, such as 0.0.0.0:9000.')
        ?? require(passphrase, /^(.{10,79})?$/, '10 to 79 characters are needed.')
        ?? require(latency, /^\d{1,5}$/, 'A number of milliseconds is expected.'),
    );
  },

  file(old) {
    const path = field('Path on the server', textInput({ placeholder: '/srv/media/loop.mp4', value: old.path ?? '' }), 'Absolute, below a folder that the configuration allows.');
    const repeat = checkbox('Start again at the end', old.repeat ?? true);
    return form(
      [path, repeat],
      { path },
      () => ({ kind: 'file', path: path.input.value.trim(), repeat: repeat.input.checked }),
      () => require(path, /^\/./, 'An absolute path is expected.'),
    );
  },

  synthetic(old) {
    const { width = 1280, height = 720 } = old.resolution ?? {};
    const { numerator = 30, denominator = 1 } = old.frame_rate ?? {};
    const size = field('Size', select(including(SIZES, `${width}x${height}`), `${width}x${height}`));
    const rate = field('Frames per second', select(including(RATES, `${numerator}/${denominator}`), `${numerator}/${denominator}`));
    return form([row(size, rate)], { resolution: size, frame_rate: rate }, () => {
      const [w, h_] = size.input.value.split('x').map(Number);
      const [n, d] = rate.input.value.split('/').map(Number);
      return { kind: 'synthetic', resolution: { width: w, height: h_ }, frame_rate: { numerator: n, denominator: d } };
    });
  },
};

function form(parts, fields, value, check = () => null) {
  return {
    nodes: parts.map((part) => part.node ?? part),
    value,
    check,
    fieldAt: (pointer) => fields[/^\/source\/(\w+)/.exec(pointer)?.[1]],
  };
}

function row(...fields) {
  return h('div', { class: 'form-row' }, fields.map((f) => f.node));
}

function require(place, pattern, message) {
  if (pattern.test(place.input.value.trim())) return null;
  place.error(message);
  return place.input;
}

/** An empty optional field is left out: the server keeps a secret that it has. */
function optional(name, place) {
  const value = place.input.value.trim();
  return value ? { [name]: value } : {};
}

function including(options, value) {
  return options.some(([v]) => v === value) ? options : [...options, [value, value.replace('x', '×')]];
}
