/** Who may come in: tokens, made and ended. A secret is shown once. */

import { act, read } from '../api.js';
import { useData } from '../data.js';
import { ago, dateTime } from '../format.js';
import { html, useState } from '../html.js';
import { Badge, Card, Empty, PageHead, Skeleton, copyText } from '../parts/basics.js';
import { ask, Dialog } from '../parts/dialogs.js';
import { ErrorNote, ErrorText } from '../parts/errors.js';
import { Icon } from '../parts/icons.js';
import { say } from '../parts/toasts.js';
import { t } from '../texts.js';

const ROLES = ['read', 'write', 'delete', 'metrics', 'admin'];
const SPANS = [86400, 2592000, 31536000, 315360000];

export function Access() {
  const [making, setMaking] = useState(false);
  const { data, error, loading, reload } = useData('tokens', (signal) => read('v1/admin/tokens', { signal }), { on: ({ kind }) => kind === 'token', every: 60_000 });
  const tokens = data?.tokens ?? [];
  return html`<${PageHead} title=${t('page.access')} note=${t('access.note')}>
      <button type="button" class="button button-main" onClick=${() => setMaking(true)}><${Icon} name="plus" />${t('access.new')}</button>
    <//>
    ${making && html`<${NewToken} close=${() => setMaking(false)} reload=${reload} />`}
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<${Skeleton} lines=${5} />`}
    ${data && tokens.length === 0 && html`<${Empty} icon="access" title=${t('access.none')} text=${t('access.none_text')} />`}
    ${tokens.length > 0 && html`<div class="card card-flush"><table class="files">
      <caption class="off-screen">${t('page.access')}</caption>
      <thead><tr><th scope="col" class="cell-name">${t('access.label')}</th><th scope="col" class="cell-roles">${t('access.roles')}</th><th scope="col" class="cell-wide cell-span">${t('access.folder')}</th>
        <th scope="col" class="cell-wide cell-span">${t('access.expires')}</th><th class="cell-acts cell-one"><span class="off-screen">${t('files.acts')}</span></th></tr></thead>
      <tbody>${tokens.map((token) => html`<tr key=${token.id} data-token=${token.label}>
        <th scope="row" class="cell-name"><span class="name"><span class="name-icon"><${Icon} name="access" /></span><span class="name-text">${token.label}</span></span></th>
        <td class="cell-roles">${token.roles.map((role) => html`<span key=${role} class="role">${role}</span>`)}</td>
        <td class="cell-wide">${token.prefix ? html`<code>${token.prefix}</code>` : t('access.everything')}</td>
        <td class="cell-wide cell-soft">${token.expired ? html`<${Badge} tone="warn">${t('access.expired')}<//>` : html`<time datetime=${token.expires} title=${dateTime(token.expires)}>${ago(token.expires)}</time>`}</td>
        <td class="cell-acts"><button type="button" class="button-icon" title=${t('access.revoke')} aria-label=${t('access.revoke_of', { label: token.label })} onClick=${() => revoke(token, reload)}><${Icon} name="close" /></button></td>
      </tr>`)}</tbody></table></div>`}`;
}

function revoke(token, reload) {
  ask({
    title: t('revoke.ask', { label: token.label }), text: t('revoke.text'), confirm: t('access.revoke'), danger: true,
    run: async () => {
      await act('DELETE', `v1/admin/tokens/${token.id}`);
      reload();
      say(t('revoke.done', { label: token.label }));
    },
  });
}

function NewToken({ close, reload }) {
  const [form, setForm] = useState({ label: '', roles: ['read'], prefix: '', seconds: SPANS[1] });
  const [state, setState] = useState({ busy: false, error: null, made: null });
  const change = (part) => setForm((now) => ({ ...now, ...part }));
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: null, made: null });
    try {
      const made = await act('POST', 'v1/admin/tokens', { label: form.label, roles: form.roles, prefix: form.prefix, expires_seconds: form.seconds });
      setState({ busy: false, error: null, made });
      reload();
    } catch (error) {
      setState({ busy: false, error, made: null });
    }
  };
  if (state.made) return html`<${Secret} made=${state.made} close=${close} />`;
  const toggle = (role) => change({ roles: form.roles.includes(role) ? form.roles.filter((one) => one !== role) : [...form.roles, role] });
  return html`<${Dialog} title=${t('access.new')} close=${close} wide><form onSubmit=${submit}>
    <label class="field">${t('access.label')}<input type="text" name="label" required autofocus maxlength="128" autocomplete="off" value=${form.label} onInput=${(event) => change({ label: event.target.value })} />
      <small>${t('access.label_hint')}</small></label>
    <fieldset class="field"><legend>${t('access.roles')}</legend><div class="checks">${ROLES.map((role) => html`<label key=${role} class="field-check">
      <input type="checkbox" name=${role} checked=${form.roles.includes(role)} onChange=${() => toggle(role)} /><span><strong>${role}</strong> <small>${t(`role.${role}`)}</small></span></label>`)}</div></fieldset>
    <div class="field-row">
      <label class="field">${t('access.folder')}<input type="text" name="prefix" placeholder=${t('access.everything')} autocomplete="off" spellcheck="false" value=${form.prefix} onInput=${(event) => change({ prefix: event.target.value })} /></label>
      <label class="field">${t('access.span')}<select value=${form.seconds} onChange=${(event) => change({ seconds: Number(event.target.value) })}>
        ${SPANS.map((span) => html`<option key=${span} value=${span}>${t(`access.span.${span}`)}</option>`)}</select></label>
    </div>
    ${state.error && html`<div role="alert"><${ErrorText} error=${state.error} /></div>`}
    <footer class="dialog-foot"><button type="button" class="button" onClick=${close}>${t('action.cancel')}</button>
      <button type="submit" class="button button-main" disabled=${state.busy || form.roles.length === 0}>${t('access.make')}</button></footer>
  </form><//>`;
}

function Secret({ made, close }) {
  return html`<${Dialog} title=${t('access.made', { label: made.label })} close=${close} wide firm>
    <p class="note note-warn"><${Icon} name="warning" />${t('access.once')}</p>
    <label class="field">${t('access.secret')}<input type="text" readonly name="secret" value=${made.secret} onFocus=${(event) => event.target.select()} /></label>
    <p class="dialog-text"><time datetime=${made.expires}>${t('access.ends', { when: dateTime(made.expires) })}</time></p>
    <footer class="dialog-foot"><button type="button" class="button" onClick=${() => copyText(made.secret, t('access.secret'))}><${Icon} name="copy" />${t('action.copy')}</button>
      <button type="button" class="button button-main" onClick=${close}>${t('access.kept')}</button></footer>
  <//>`;
}
