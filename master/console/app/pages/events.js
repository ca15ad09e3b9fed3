/** What happened, the newest first. */

import { html, useState } from '../html.js';
import { Empty, PageHead, Skeleton } from '../parts/basics.js';
import { ErrorNote } from '../parts/errors.js';
import { EventLine } from '../parts/event-line.js';
import { recent, reload } from '../recent.js';
import { useStore } from '../store.js';
import { t } from '../texts.js';

/** So many are shown at first, and more each time. */
const STEP = 100;
const GROUPS = {
  all: () => true,
  files: ({ kind }) => ['stored', 'changed', 'renamed', 'deleted', 'restored', 'purged'].includes(kind),
  cluster: ({ kind }) => ['worker', 'health', 'leader', 'voters', 'task', 'damage'].includes(kind),
  access: ({ kind }) => ['token', 'policy'].includes(kind),
};

export function Events() {
  const [group, setGroup] = useState('all');
  const [shown, setShown] = useState(STEP);
  const { events: all, error } = useStore(recent);
  const events = (all ?? []).filter(GROUPS[group]).reverse();
  return html`<${PageHead} title=${t('page.events')} note=${t('events.note')}>
      <div class="segments" role="group" aria-label=${t('events.filter')}>${Object.keys(GROUPS).map((name) => html`
        <button key=${name} type="button" aria-pressed=${name === group ? 'true' : 'false'} onClick=${() => setGroup(name)}>${t(`events.${name}`)}</button>`)}</div>
    <//>
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!all && !error && html`<${Skeleton} lines=${8} />`}
    ${all && events.length === 0 && html`<${Empty} icon="events" title=${t('events.none')} text=${t('events.none_text')} />`}
    ${events.length > 0 && html`<section class="card"><ol class="event-list">${events.slice(0, shown).map((event) => html`<${EventLine} key=${event.id} event=${event} />`)}</ol>
      ${events.length > shown && html`<button type="button" class="button" onClick=${() => setShown(shown + STEP)}>${t('events.older')}</button>`}</section>`}`;
}
