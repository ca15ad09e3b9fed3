/** The frame around the pages: where one can go, who is signed in, whether there is a connection. */

import { classes, html, useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { link, tick } from './live.js';
import { href, place } from './router.js';
import { may, signOut } from './session.js';
import { useStore } from './store.js';
import { chooseLanguage, LANGUAGES, language, t } from './texts.js';
import { chooseTheme, theme } from './theme.js';
import { toneOf } from './parts/health.js';
import { Icon } from './parts/icons.js';
import { complain } from './parts/toasts.js';
import { all, movedOf, version } from './uploads/queue.js';
import { Page, PAGES } from './pages/index.js';

/** @param {{ info: import('./session.js').Info }} props */
export function Frame({ info }) {
  const here = useStore(place);
  const [open, setOpen] = useState(false);
  const first = useRef(true);
  const page = PAGES[here.page] ?? PAGES.missing;
  const title = t(`page.${here.page in PAGES ? here.page : 'missing'}`);

  useEffect(() => {
    document.title = [title, info.cluster?.name || 'MDFS'].join(' · ');
  }, [title, info]);
  useLayoutEffect(() => {
    setOpen(false);
    // Whoever hears the page hears where they are now. The first page is heard anyway.
    if (first.current) first.current = false;
    else document.getElementById('main').focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [here.page, here.rest]);

  return html`<div class=${classes('frame', open && 'frame-open')} onKeyDown=${(event) => event.key === 'Escape' && setOpen(false)}>
    <a class="skip" href="#main" onClick=${skip}>${t('frame.skip')}</a>
    <header class="top">
      <button type="button" class="button-icon" aria-label=${t('frame.menu')} aria-expanded=${open ? 'true' : 'false'}
        aria-controls="side" onClick=${() => setOpen(!open)}><${Icon} name=${open ? 'close' : 'menu'} /></button>
      <span class="top-title">${title}</span>
      <${HealthDot} />
    </header>
    <div class="shade" onClick=${() => setOpen(false)}></div>
    <aside id="side" class="side">
      <${Brand} info=${info} />
      <nav class="nav" aria-label=${t('frame.pages')}>
        <ul>${Object.entries(PAGES).filter(([, { icon, needs }]) => icon && (!needs || may(needs))).map(([name, { icon }]) => html`
          <li key=${name}><a href=${href(name)} aria-current=${(page.under ?? here.page) === name ? 'page' : undefined}>
            <${Icon} name=${icon} /><span>${t(`page.${name}`)}</span>
            ${name === 'uploads' && html`<${UploadCount} />`}
            ${name === 'overview' && html`<${HealthDot} />`}
          </a></li>`)}
        </ul>
      </nav>
      <${Account} info=${info} />
    </aside>
    <main id="main" class="main" tabindex="-1" aria-labelledby="page-title">
      <${Connection} />
      <div class="page" key=${here.page} data-place=${`${here.page}/${here.rest}`}><${Page} here=${here} /></div>
    </main>
  </div>`;
}

function skip(event) {
  event.preventDefault(); // what stands behind # are places
  document.getElementById('main')?.focus();
}

/** @param {{ info: import('./session.js').Info }} props */
function Brand({ info }) {
  return html`<div class="brand">
    <span class="boot-mark" aria-hidden="true"></span>
    <div><strong>MDFS</strong><span class="brand-cluster" title=${info.cluster?.id}>${info.cluster?.name || info.cluster?.id?.slice(0, 8) || ''}</span></div>
  </div>`;
}

function HealthDot() {
  const health = useStore(tick, (now) => now?.figures.health);
  const state = useStore(link);
  if (!may('admin')) return null;
  const shown = state === 'lost' ? 'unknown' : health ?? 'unknown';
  return html`<span class=${`dot dot-${toneOf(shown)}`} role="img" aria-label=${t(`health.word.${shown}`)}></span>`;
}

function UploadCount() {
  useStore(version);
  const open = all().filter((item) => item.state !== 'done');
  if (open.length === 0) return null;
  const size = open.reduce((sum, item) => sum + item.size, 0);
  const moved = open.reduce((sum, item) => sum + movedOf(item), 0);
  return html`<span class="nav-count">${Math.floor((100 * moved) / Math.max(size, 1))} %</span>`;
}

/** @param {{ info: import('./session.js').Info }} props */
function Account({ info }) {
  const tongue = useStore(language);
  const look = useStore(theme);
  const leave = () => signOut().catch((error) => complain(error, t('login.not_out')));
  return html`<div class="account">
    <div class="account-choices">
      <label><span class="off-screen">${t('frame.language')}</span>
        <select value=${tongue} onChange=${(event) => chooseLanguage(event.target.value)}>
          ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option key=${tag} value=${tag} lang=${tag}>${name}</option>`)}
        </select></label>
      <label><span class="off-screen">${t('frame.theme')}</span>
        <select value=${look} onChange=${(event) => chooseTheme(event.target.value)}>
          ${['auto', 'light', 'dark'].map((name) => html`<option key=${name} value=${name}>${t(`theme.${name}`)}</option>`)}
        </select></label>
    </div>
    <div class="account-who">
      <div><strong title=${info.who}>${info.who}</strong>
        <span>${rights(info)}</span></div>
      <button type="button" class="button-icon" aria-label=${t('login.out')} title=${t('login.out')} onClick=${leave}><${Icon} name="signout" /></button>
    </div>
    ${info.links?.grafana && html`<a class="account-link" href=${info.links.grafana} target="_blank" rel="noreferrer">${t('frame.grafana')}</a>`}
    <p class="account-version">${t('frame.version', { version: info.version ?? '' })}</p>
  </div>`;
}

/** What they may do, in a few words. */
function rights({ prefix, roles }) {
  if (prefix) return t('account.within', { folder: prefix });
  return roles.includes('admin') && roles.includes('delete') ? t('account.all') : roles.join(', ');
}

/** Says so while nobody answers, or while news come late. */
function Connection() {
  const state = useStore(link);
  return html`<div class="connection" role="status">
    ${state === 'lost' && html`<p class="note note-warn"><${Icon} name="warning" />${t('connection.lost')}</p>`}
    ${state === 'polling' && html`<p class="connection-note">${t('connection.polling')}</p>`}
  </div>`;
}
