// Form fields: label, help and error are tied to their input.

import { h, uid } from '../dom.js';
import { icon } from '../icons.js';

/** A labelled input. Gives `{node, input, error(text)}`. */
export function field(label, input, help) {
  const id = uid('field');
  const errorNode = h('p', { class: 'error', id: `${id}-error` });
  const helpNode = help && h('p', { class: 'help', id: `${id}-help`, text: help });
  input.id = id;
  input.setAttribute('aria-describedby', [helpNode && `${id}-help`, `${id}-error`].filter(Boolean).join(' '));
  const node = h('div', { class: 'field' }, h('label', { for: id, text: label }), input, helpNode, errorNode);
  const error = (text) => {
    errorNode.textContent = text ?? '';
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  input.addEventListener('input', () => error(''));
  return { node, input, error };
}

export function textInput(props = {}) {
  return h('input', { class: 'input', type: 'text', autocomplete: 'off', spellcheck: 'false', ...props });
}

/** `options`: [value, label] pairs. */
export function select(options, value, props = {}) {
  const node = h('select', { class: 'input', ...props });
  setOptions(node, options, value);
  return node;
}

/** Replaces the options, keeping the chosen one where it still exists. */
export function setOptions(node, options, value = node.value) {
  node.replaceChildren(...options.map(([v, text]) => h('option', { value: v, text })));
  if (options.some(([v]) => v === value)) node.value = value;
}

export function checkbox(label, checked = false, props = {}) {
  const input = h('input', { type: 'checkbox', ...props });
  input.checked = checked;
  return { node: h('label', { class: 'check-field' }, input, h('span', { text: label })), input };
}

/** A row of two or three exclusive choices. `options`: [value, label, icon]. */
export function segments(legend, options, value, onChange) {
  const name = uid('segments');
  const inputs = options.map(([v]) => {
    const input = h('input', { type: 'radio', name, value: v, on: { change: () => onChange?.(v) } });
    input.checked = v === value;
    return input;
  });
  const node = h(
    'fieldset',
    {},
    h('legend', { class: 'visually-hidden', text: legend }),
    h('div', { class: 'segments' }, options.map(([, label, name_], i) => h('label', {}, inputs[i], h('span', {}, name_ && icon(name_), label)))),
  );
  return { node, inputs, value: () => inputs.find((input) => input.checked)?.value };
}

/** Exclusive choices as cards. `options`: {value, label, text, icon}. */
export function choices(legend, options, value, onChange) {
  const name = uid('choice');
  const cards = options.map((option) => {
    const input = h('input', { type: 'radio', name, value: option.value, on: { change: () => onChange?.(option.value) } });
    input.checked = option.value === value;
    const text = h('span', {}, h('strong', { text: option.label }), h('small', { text: option.text }));
    return h('label', { class: 'choice' }, input, h('span', { class: 'choice-box' }, icon(option.icon), text));
  });
  return h('fieldset', { class: 'field' }, h('legend', { class: 'label', text: legend }), h('div', { class: 'choices' }, cards));
}
