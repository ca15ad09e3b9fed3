/** Questions that are answered before anything goes on. The browser's dialog keeps the focus inside. */

import { html, useEffect, useRef, useState } from '../html.js';
import { createStore, useStore } from '../store.js';
import { t } from '../texts.js';
import { ErrorText } from './errors.js';
import { Icon } from './icons.js';

/**
 * @typedef {{ title: string, text?: string, confirm: string, danger?: boolean,
 *   field?: { label: string, value: string, hint?: string }, run: (value: string) => Promise<void> }} Question
 */

/** @type {import('../store.js').Store<Question | null>} */
const asked = createStore(null);

/**
 * Asks. `run` does it, and the dialog stays with the error if that fails.
 * @param {Question} question
 */
export const ask = (question) => asked.set(question);

export function Questions() {
  const question = useStore(asked);
  if (question === null) return null;
  return html`<${Dialog} title=${question.title} close=${() => asked.set(null)}>
    <${Form} key=${question.title} question=${question} />
  <//>`;
}

/**
 * `firm`: it does not go away by a press beside it.
 * @param {{ title: string, close: () => void, wide?: boolean, firm?: boolean, children: any }} props
 */
export function Dialog({ title, close, wide, firm, children }) {
  const box = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => before instanceof HTMLElement && before.isConnected && before.focus();
  }, []);
  const outside = (event) => !firm && event.target === box.current && close();
  return html`<dialog ref=${box} class=${wide ? 'dialog dialog-wide' : 'dialog'} aria-label=${title} onClose=${close} onPointerDown=${outside}>
    <div class="dialog-box">
      <header class="dialog-head">
        <h2>${title}</h2>
        <button type="button" class="button-icon" aria-label=${t('action.close')} onClick=${close}><${Icon} name="close" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/** @param {{ question: Question }} props */
function Form({ question }) {
  const { field } = question;
  const [value, setValue] = useState(field?.value ?? '');
  const [state, setState] = useState({ busy: false, error: null });
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: null });
    try {
      await question.run(value);
      asked.set(null);
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return html`<form onSubmit=${submit}>
    ${question.text && html`<p class="dialog-text">${question.text}</p>`}
    ${field && html`<label class="field">${field.label}
      <input type="text" autofocus value=${value} autocomplete="off" spellcheck="false" onInput=${(event) => setValue(event.target.value)} />
      ${field.hint && html`<small>${field.hint}</small>`}
    </label>`}
    ${state.error && html`<div role="alert"><${ErrorText} error=${state.error} /></div>`}
    <footer class="dialog-foot">
      <button type="button" class="button" onClick=${() => asked.set(null)}>${t('action.cancel')}</button>
      <button type="submit" class=${question.danger ? 'button button-danger' : 'button button-main'} disabled=${state.busy}
        aria-busy=${state.busy ? 'true' : undefined}>${question.confirm}</button>
    </footer>
  </form>`;
}
