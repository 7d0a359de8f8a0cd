// Modal dialogs on the platform's <dialog>: focus is trapped and given back, Escape closes.

import { h, uid } from '../dom.js';
import { button } from './parts.js';

/**
 * Shows a dialog. `submit`, where given, makes it a form: it is called on Enter or the first
 * button; the dialog stays open until it resolves, and stays open where it throws (the caller
 * shows why). Resolves with what `submit` gave, or null where it was closed.
 */
export function showDialog({ title, body, submit, submitLabel = 'Save', submitKind = 'primary', cancelLabel = 'Cancel' }) {
  const id = uid('dialog');
  return new Promise((resolve) => {
    let result = null;
    const close = button('Close', { icon: 'close', kind: 'quiet', hideLabel: true, on: { click: () => dialog.close() } });
    const confirm = submit && button(submitLabel, { kind: submitKind, type: 'submit' });
    const foot = submit && h(
      'div',
      { class: 'dialog-foot' },
      button(cancelLabel, { on: { click: () => dialog.close() } }),
      confirm,
    );
    const content = [h('div', { class: 'dialog-body' }, body), foot];
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': id },
      h('div', { class: 'dialog-head' }, h('h2', { id, text: title }), close),
      submit ? h('form', { class: 'dialog-form', novalidate: true, on: { submit: onSubmit } }, content) : content,
    );

    async function onSubmit(event) {
      event.preventDefault();
      if (confirm.disabled) return;
      confirm.disabled = true;
      try {
        result = await submit();
        dialog.close();
      } catch {
        // The body shows why.
      } finally {
        confirm.disabled = false;
      }
    }

    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector('[autofocus], .dialog-body input:not([type=radio]), .dialog-body select, .dialog-foot .button')?.focus();
  });
}

/** Asks before something that can't be undone. */
export function confirmDialog({ title, text, label, act }) {
  const error = h('p', { class: 'field error', role: 'alert' });
  return showDialog({
    title,
    body: h('div', { class: 'form' }, h('p', { text }), error),
    submitLabel: label,
    submitKind: 'danger-solid',
    submit: async () => {
      try {
        await act();
      } catch (failure) {
        error.textContent = failure.message;
        throw failure;
      }
      return true;
    },
  });
}
