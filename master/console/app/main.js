/** The beginning: texts, who is signed in, and then the frame with its pages. */

import { render } from 'preact';
import { html, useEffect, useState } from './html.js';
import { forgetNews, startLive, stopLive } from './live.js';
import { Login } from './pages/login.js';
import { startRecent } from './recent.js';
import { resume, session } from './session.js';
import { useStore } from './store.js';
import { Frame } from './frame.js';
import { language, startTexts, t } from './texts.js';
import { startTheme } from './theme.js';
import { startQueue } from './uploads/queue.js';
import { Dialog, Questions } from './parts/dialogs.js';
import { ErrorNote } from './parts/errors.js';
import { Toasts } from './parts/toasts.js';

/** What is signed in decides what is shown. A session that ended leaves the page as it is, behind a question. */
function App() {
  const { state, info } = useStore(session);
  const tongue = useStore(language);
  const [error, setError] = useState(null);
  const begin = () => {
    setError(null);
    resume().catch(setError);
  };
  useEffect(begin, []);
  const who = info && `${info.cluster?.id ?? ''}/${info.token_id ?? info.who}`;
  useEffect(() => {
    if (state !== 'open') return undefined;
    forgetNews();
    startLive();
    startRecent();
    startQueue(who);
    return stopLive;
  }, [state, who]);

  if (state === 'unknown') {
    return html`<main class="boot">${error
      ? html`<${ErrorNote} error=${error} retry=${begin} />`
      : html`<span class="boot-mark" aria-hidden="true"></span><span class="boot-name" role="status">MDFS</span>`}</main>`;
  }
  return html`<div class="root" key=${tongue}>
    ${state === 'none' ? html`<${Login} />` : html`<${Frame} key=${who} info=${info} />`}
    ${state === 'ended' && html`<${Dialog} title=${t('login.ended')} close=${() => session.set({ state: 'none', info: null })}>
      <${Login} again />
    <//>`}
    <${Questions} />
    <${Toasts} />
  </div>`;
}

startTheme();
await startTexts();
const root = document.getElementById('app');
root.replaceChildren();
render(html`<${App} />`, root);
