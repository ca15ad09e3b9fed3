/** One event in one line: when, what, about what. */

import { ago, bytes, dateTime } from '../format.js';
import { html } from '../html.js';
import { href } from '../router.js';
import { hasText, t } from '../texts.js';
import { Icon } from './icons.js';

const ICONS = {
  stored: 'uploads', changed: 'edit', renamed: 'edit', deleted: 'trash', restored: 'retry', purged: 'trash', worker: 'workers',
  health: 'shield', leader: 'workers', voters: 'workers', task: 'tasks', token: 'access', policy: 'shield', damage: 'warning',
};
/** Events about a file that is there. */
const OF_FILES = new Set(['stored', 'changed', 'renamed', 'restored', 'damage']);
/** Events whose text has the name already. */
const NAMED = new Set(['worker', 'token']);

/** Where the words are for what something was before and is now. */
const WORDS = { worker: 'worker', health: 'health.word' };

function word(kind, state) {
  const key = `${WORDS[kind]}.${state}`;
  return hasText(key) ? t(key) : state ?? '–';
}

/** @param {Record<string, any>} event */
export function textOf(event) {
  const key = `event.${event.kind}`;
  const form = hasText(`${key}.${event.to}`) ? `${key}.${event.to}` : key;
  const task = hasText(`task.${event.text}`) ? t(`task.${event.text}`) : event.text ?? '';
  const what = hasText(form) ? t(form, { name: event.name ?? '', from: word(event.kind, event.from), to: word(event.kind, event.to), task }) : event.kind;
  const parts = [what, typeof event.size === 'number' && bytes(event.size), event.who && t('event.by', { who: event.who })];
  return parts.filter(Boolean).join(' · ');
}

/** @param {{ event: Record<string, any> }} props */
export function EventLine({ event }) {
  const about = event.kind === 'renamed' ? event.to ?? event.name : event.name;
  return html`<li class=${`event event-${event.kind}`}>
    <span class="event-icon"><${Icon} name=${ICONS[event.kind] ?? 'events'} /></span>
    <div class="event-text">
      <span>${textOf(event)}</span>
      ${OF_FILES.has(event.kind) && about
        ? html`<a class="event-about" href=${href('file', about)}>${about}</a>`
        : about && !NAMED.has(event.kind) && html`<span class="event-about">${about}</span>`}
      ${event.text && event.kind !== 'task' && html`<span class="event-about">${event.text}</span>`}
    </div>
    <time class="event-time" datetime=${event.time} title=${dateTime(event.time)}>${ago(event.time)}</time>
  </li>`;
}
