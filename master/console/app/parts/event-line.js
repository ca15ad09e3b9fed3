/** One event in one line: when, what, about what. */

import { ago, bytes, count, dateTime } from '../format.js';
import { html } from '../html.js';
import { href } from '../router.js';
import { hasText, t } from '../texts.js';
import { Icon } from './icons.js';

const ICONS = {
  stored: 'uploads', renamed: 'edit', deleted: 'trash', restored: 'retry', purged: 'trash', worker: 'workers',
  health: 'shield', leader: 'workers', voters: 'workers', task: 'tasks', token: 'access', policy: 'shield', damage: 'warning',
};
/** Events about a file that is there. */
const OF_FILES = new Set(['stored', 'renamed', 'restored', 'damage']);

/** @param {Record<string, any>} event */
export function textOf(event) {
  const key = `event.${event.kind}`;
  const shown = { ...event };
  if (typeof event.size === 'number') shown.size = bytes(event.size);
  for (const [name, value] of Object.entries(shown)) {
    if (typeof value === 'number') shown[name] = count(value);
    if (value !== null && typeof value === 'object') delete shown[name];
  }
  return hasText(key) ? t(key, { name: '', who: '', from: '', to: '', cause: '', what: '', state: '', worker: '', ...shown }) : event.kind;
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
        : about && !['worker'].includes(event.kind) && html`<span class="event-about">${about}</span>`}
      ${event.sentence && html`<span class="event-about">${event.sentence}</span>`}
    </div>
    <time class="event-time" datetime=${event.time} title=${dateTime(event.time)}>${ago(event.time)}</time>
  </li>`;
}
