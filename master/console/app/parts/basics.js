/** The small things that pages are made of. */

import { classes, html, useEffect, useRef } from '../html.js';
import { count, percent } from '../format.js';
import { complain, say } from './toasts.js';
import { t } from '../texts.js';
import { Icon } from './icons.js';

/** The head of a page: its title, and what can be done. @param {{ title: any, crumbs?: any, note?: any, children?: any }} props */
export function PageHead({ title, crumbs, note, children }) {
  return html`<header class="page-head">
    <div class="page-title">
      ${crumbs}
      <h1 id="page-title">${title}</h1>
      ${note && html`<p class="page-note">${note}</p>`}
    </div>
    ${children && html`<div class="page-actions">${children}</div>`}
  </header>`;
}

/** A box with a heading. @param {{ title?: string, aside?: any, flush?: boolean, class?: string, children: any }} props */
export function Card({ title, aside, flush, class: own, children }) {
  return html`<section class=${classes('card', flush && 'card-flush', own)}>
    ${title && html`<header class="card-head"><h2>${title}</h2>${aside && html`<div class="card-aside">${aside}</div>`}</header>`}
    ${children}
  </section>`;
}

/** One figure. `tone` colours it; `null` is not known, and said so. @param {{ label: string, value: any, note?: any, tone?: string, id?: string }} props */
export function Figure({ label, value, note, tone, id }) {
  return html`<div class=${classes('figure', tone && `tone-${tone}`)} data-figure=${id}>
    <dt>${label}</dt><dd class="figure-value">${value}</dd>${note && html`<dd class="figure-note">${note}</dd>`}
  </div>`;
}

/** Nothing is here, and why that is fine. @param {{ icon: string, title: string, text?: string, children?: any }} props */
export function Empty({ icon, title, text, children }) {
  return html`<div class="empty"><span class="empty-icon"><${Icon} name=${icon} /></span><p class="empty-title">${title}</p>
    ${text && html`<p class="empty-text">${text}</p>`}${children}</div>`;
}

/** Grey lines until there is something. @param {{ lines?: number }} props */
export function Skeleton({ lines = 3 }) {
  return html`<div class="skeleton" role="status" aria-label=${t('state.loading')}>
    ${Array.from({ length: lines }, (_, line) => html`<span key=${line} class=${`skeleton-line skeleton-${line % 3}`}></span>`)}
  </div>`;
}

/** How far something is, never more than all of it. @param {{ done: number, total: number, label: string, tone?: string, class?: string }} props */
export function Bar({ done, total, label, tone, class: own }) {
  const whole = Math.max(total, 1);
  return html`<progress class=${classes('bar', tone && `bar-${tone}`, own)} max=${whole} value=${Math.min(done, whole)}
    aria-label=${label}>${percent(done, total)}</progress>`;
}

/** A state in one word, with its colour and a mark, so that colour alone says nothing. @param {{ tone: string, children: any }} props */
export function Badge({ tone, children }) {
  return html`<span class=${`badge badge-${tone}`}><span class="badge-dot" aria-hidden="true"></span>${children}</span>`;
}

/** Copies that are good of those that are wanted; not known is said, never taken for good. @param {{ copies?: { wanted: number, good: number | null } | null }} props */
export function Copies({ copies }) {
  if (!copies || copies.good == null) {
    return html`<${Badge} tone="muted">${t('copies.unknown', { wanted: count(copies?.wanted) })}<//>`;
  }
  const { good, wanted } = copies;
  const tone = good >= wanted ? 'good' : good === 0 ? 'bad' : 'warn';
  return html`<${Badge} tone=${tone}>${t('copies.of', { good: count(good), wanted: count(wanted) })}<//>`;
}

/** @param {string} text @param {string} what for the message */
export async function copyText(text, what) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyByHand(text);
    say(t('copied', { what }));
  } catch (error) {
    complain(error, t('copied.not'));
  }
}

/** Without TLS browsers have no clipboard for pages, but still copy what is selected. */
function copyByHand(text) {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'off-screen';
  const home = document.querySelector('dialog[open]') ?? document.body;
  home.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  if (!copied) throw new Error('the browser does not allow it');
}

/** A check box that may stand for some of several. @param {{ checked: boolean, mixed?: boolean, label: string, onChange: (now: boolean) => void }} props */
export function Check({ checked, mixed = false, label, onChange }) {
  const box = useRef(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = mixed;
  }, [mixed]);
  return html`<input ref=${box} type="checkbox" class="check" checked=${checked} aria-label=${label}
    onChange=${(event) => onChange(event.target.checked)} />`;
}
