/** Short messages at the corner: what was done, with a way back; what failed, with the request's id. */

import { html, useEffect, useRef } from '../html.js';
import { createStore, useStore } from '../store.js';
import { t } from '../texts.js';
import { ErrorText } from './errors.js';
import { Icon } from './icons.js';

/** Long enough to read it and to reach the button; what was deleted is in the trash besides. */
const SHOWN_MILLIS = 12_000;
/** So many at a time; older ones make room. */
const MOST = 4;

/** @typedef {{ id: number, text?: string, error?: Error, action?: { label: string, run: () => void } }} Toast */

/** @type {import('../store.js').Store<Toast[]>} */
const toasts = createStore([]);
let last = 0;

/** @param {string} text @param {{ label: string, run: () => void }} [action] */
export const say = (text, action) => add({ text, action });

/** Errors stay until they are put away. @param {Error} error @param {string} [text] what was being done */
export const complain = (error, text) => add({ text, error });

function add(toast) {
  last += 1;
  const id = last;
  toasts.set((now) => [...now, { id, ...toast }].slice(-MOST));
  return id;
}

const drop = (id) => toasts.set((now) => now.filter((toast) => toast.id !== id));

export function Toasts() {
  const now = useStore(toasts);
  return html`<section class="toasts" aria-label=${t('toasts.label')} aria-live="polite">
    ${now.map((toast) => html`<${One} key=${toast.id} toast=${toast} />`)}
  </section>`;
}

/** @param {{ toast: Toast }} props */
function One({ toast }) {
  const box = useRef(null);
  useEffect(() => {
    if (toast.error) return undefined;
    // Whoever points at it or has the focus in it is still reading.
    const timer = setInterval(() => {
      if (!box.current?.matches(':hover, :focus-within')) drop(toast.id);
    }, SHOWN_MILLIS);
    return () => clearInterval(timer);
  }, [toast.id]);
  const act = () => {
    drop(toast.id);
    toast.action.run();
  };
  return html`<div ref=${box} class=${toast.error ? 'toast toast-error' : 'toast'} role=${toast.error ? 'alert' : undefined}>
    <${Icon} name=${toast.error ? 'warning' : 'check'} />
    <div class="toast-text">
      ${toast.text && html`<p>${toast.text}</p>`}
      ${toast.error && html`<${ErrorText} error=${toast.error} />`}
    </div>
    ${toast.action && html`<button type="button" class="button-link" onClick=${act}>${toast.action.label}</button>`}
    <button type="button" class="button-icon" aria-label=${t('action.dismiss')} onClick=${() => drop(toast.id)}>
      <${Icon} name="close" />
    </button>
  </div>`;
}
