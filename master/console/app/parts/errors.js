/** What failed, in words: what it means, what the server said, and the id by which its log has more. */

import { html } from '../html.js';
import { hasText, t } from '../texts.js';
import { Icon } from './icons.js';

/** @param {any} error */
export function meaning(error) {
  if (error?.code && hasText(`error.${error.code}`)) return t(`error.${error.code}`);
  if (error?.status) return t('error.status', { status: error.status });
  return t('error.console');
}

/** @param {{ error: any }} props */
export function ErrorText({ error }) {
  const detail = error?.status === 0 ? '' : error?.detail ?? error?.message ?? '';
  return html`<div class="error-text">
    <p>${meaning(error)}</p>
    ${detail && html`<p class="error-detail">${detail}</p>`}
    ${error?.requestId && html`<p class="error-id">${t('error.request')} <code>${error.requestId}</code></p>`}
  </div>`;
}

/** In the place of what could not be shown. @param {{ error: any, retry?: () => void }} props */
export function ErrorNote({ error, retry }) {
  return html`<div class="note note-error" role="alert">
    <${Icon} name="warning" />
    <${ErrorText} error=${error} />
    ${retry && html`<button type="button" class="button" onClick=${retry}><${Icon} name="retry" />${t('action.retry')}</button>`}
  </div>`;
}
