/** What happened, the newest first. */

import { query, read } from '../api.js';
import { useData } from '../data.js';
import { html, useState } from '../html.js';
import { Empty, PageHead, Skeleton } from '../parts/basics.js';
import { ErrorNote } from '../parts/errors.js';
import { EventLine } from '../parts/event-line.js';
import { t } from '../texts.js';

/** The leader remembers as many. */
const MOST = 1000;
const STEP = 100;
const GROUPS = {
  all: () => true,
  files: ({ kind }) => ['stored', 'renamed', 'deleted', 'restored', 'purged'].includes(kind),
  cluster: ({ kind }) => ['worker', 'health', 'leader', 'voters', 'task', 'damage'].includes(kind),
  access: ({ kind }) => ['token', 'policy'].includes(kind),
};

export function Events() {
  const [group, setGroup] = useState('all');
  const [shown, setShown] = useState(STEP);
  const { data, error, loading, reload } = useData('events', (signal) => read(`v1/events${query({ limit: MOST })}`, { signal }), { on: () => true });
  const events = (data?.events ?? []).filter(GROUPS[group]).reverse();
  return html`<${PageHead} title=${t('page.events')} note=${t('events.note')}>
      <div class="segments" role="group" aria-label=${t('events.filter')}>${Object.keys(GROUPS).map((name) => html`
        <button key=${name} type="button" aria-pressed=${name === group ? 'true' : 'false'} onClick=${() => setGroup(name)}>${t(`events.${name}`)}</button>`)}</div>
    <//>
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<${Skeleton} lines=${8} />`}
    ${data && events.length === 0 && html`<${Empty} icon="events" title=${t('events.none')} text=${t('events.none_text')} />`}
    ${events.length > 0 && html`<section class="card"><ol class="event-list">${events.slice(0, shown).map((event) => html`<${EventLine} key=${event.id} event=${event} />`)}</ol>
      ${events.length > shown && html`<button type="button" class="button" onClick=${() => setShown(shown + STEP)}>${t('events.older')}</button>`}</section>`}`;
}
