/** Signing in with a token. */

import { html, useState } from '../html.js';
import { ErrorText } from '../parts/errors.js';
import { signIn } from '../session.js';
import { useStore } from '../store.js';
import { chooseLanguage, LANGUAGES, language, t } from '../texts.js';

/** @param {{ again?: boolean }} props `again`: within a dialog, where a session has ended */
export function Login({ again }) {
  const [token, setToken] = useState('');
  const [state, setState] = useState({ busy: false, error: null });
  const tongue = useStore(language);
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: null });
    try {
      await signIn(token.trim());
    } catch (error) {
      const told = error.status === 401 ? Object.assign(error, { code: 'wrong_token', detail: '' }) : error;
      setState({ busy: false, error: told });
    }
  };
  const form = html`<form class="login-form" onSubmit=${submit}>
    ${again && html`<p>${t('login.again')}</p>`}
    <label class="field">${t('login.token')}
      <input type="password" name="token" required autofocus autocomplete="current-password" spellcheck="false" value=${token}
        aria-describedby="login-hint" aria-invalid=${state.error ? 'true' : undefined} onInput=${(event) => setToken(event.target.value)} />
    </label>
    <small id="login-hint">${t('login.hint')}</small>
    ${state.error && html`<div class="note note-error" role="alert"><${ErrorText} error=${state.error} /></div>`}
    <button type="submit" class="button button-main" disabled=${state.busy} aria-busy=${state.busy ? 'true' : undefined}>${t('login.in')}</button>
  </form>`;
  if (again) return form;
  return html`<main class="login">
    <div class="login-box">
      <div class="login-brand"><span class="boot-mark" aria-hidden="true"></span><h1>MDFS</h1></div>
      <p class="login-text">${t('login.text')}</p>
      ${form}
    </div>
    <label class="login-language"><span class="off-screen">${t('frame.language')}</span>
      <select value=${tongue} onChange=${(event) => chooseLanguage(event.target.value)}>
        ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option key=${tag} value=${tag} lang=${tag}>${name}</option>`)}
      </select></label>
  </main>`;
}
