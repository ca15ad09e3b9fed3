/** The machines that keep the bytes: whether they answer, what room they have, and emptying one. */

import { act, read } from '../api.js';
import { useData } from '../data.js';
import { bytes, count, percent } from '../format.js';
import { html } from '../html.js';
import { Badge, Bar, Card, Empty, PageHead, Skeleton } from '../parts/basics.js';
import { ask } from '../parts/dialogs.js';
import { ErrorNote } from '../parts/errors.js';
import { Icon } from '../parts/icons.js';
import { complain, say } from '../parts/toasts.js';
import { t } from '../texts.js';

const TONES = { live: 'good', suspect: 'warn', dead: 'bad' };

export function Workers() {
  const { data, error, loading, reload } = useData('workers', (signal) => read('v1/workers', { signal }), {
    on: (event) => ['worker', 'voters', 'task', 'health'].includes(event.kind), every: 10_000,
  });
  const workers = data?.workers ?? [];
  const live = workers.filter((worker) => worker.state === 'live').length;
  return html`<${PageHead} title=${t('page.workers')} note=${data && t('workers.note', { live: count(live), total: count(workers.length) })} />
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<${Skeleton} lines=${6} />`}
    ${data && workers.length === 0 && html`<${Empty} icon="workers" title=${t('workers.none')} text=${t('workers.none_text')} />`}
    <div class="workers">${workers.map((worker) => html`<${WorkerCard} key=${worker.disk_id} worker=${worker} reload=${reload} />`)}</div>`;
}

function WorkerCard({ worker, reload }) {
  const { name, state, capacity_bytes: capacity, chunk_bytes: used, free_bytes: free } = worker;
  const share = capacity > 0 ? used / capacity : 0;
  return html`<article class="card worker" data-worker=${name} data-state=${state} aria-label=${name}>
    <header class="worker-head"><h2>${name}</h2><${Badge} tone=${TONES[state] ?? 'muted'}>${t(`worker.${state}`)}<//></header>
    <p class="worker-space"><strong>${percent(used, capacity)}</strong> <span>${t('worker.space', { used: bytes(used), total: bytes(capacity), free: bytes(free) })}</span></p>
    <${Bar} done=${used} total=${capacity} tone=${share > 0.95 ? 'bad' : share > 0.85 ? 'warn' : undefined} label=${t('worker.space_of', { name })} />
    <dl class="worker-facts">
      <div><dt>${t('worker.zone')}</dt><dd>${worker.zone ?? '–'}</dd></div>
      <div><dt>${t('worker.chunks')}</dt><dd>${count(worker.chunks)}</dd></div>
      <div><dt>${t('worker.partitions')}</dt><dd>${count(worker.partitions)}</dd></div>
      <div><dt>${t('worker.bad_blocks')}</dt><dd>${worker.bad_blocks > 0 ? html`<${Badge} tone="bad">${count(worker.bad_blocks)}<//>` : count(worker.bad_blocks)}</dd></div>
    </dl>
    <footer class="worker-foot">
      <div class="worker-marks">
        ${worker.voter && html`<${Badge} tone=${worker.voter_broken ? 'bad' : 'info'}>${worker.voter_broken ? t('worker.voter_broken') : t('worker.voter')}<//>`}
        ${worker.witness && html`<${Badge} tone="muted">${t('worker.witness')}<//>`}
        ${worker.read_only && html`<${Badge} tone="warn">${t('worker.read_only')}<//>`}
        ${worker.draining && html`<${Badge} tone="warn">${worker.decommissioning ? t('worker.decommissioning') : t('worker.draining')}<//>`}
        ${worker.announced_seconds != null && html`<${Badge} tone="muted">${t('worker.announced')}<//>`}
      </div>
      ${worker.draining
        ? html`<button type="button" class="button" onClick=${() => undrain(worker, reload)}><${Icon} name="retry" />${t('worker.undrain')}</button>`
        : html`<button type="button" class="button" onClick=${() => drain(worker, reload)}><${Icon} name="signout" />${t('worker.drain')}</button>`}
    </footer>
  </article>`;
}

function drain(worker, reload) {
  ask({
    title: t('drain.ask', { name: worker.name }), text: t('drain.text', { bytes: bytes(worker.chunk_bytes) }), confirm: t('worker.drain'),
    run: async () => {
      await act('POST', 'v1/admin/drain', { worker: worker.disk_id });
      reload();
      say(t('drain.done', { name: worker.name }), { label: t('action.undo'), run: () => undrain(worker, reload) });
    },
  });
}

async function undrain(worker, reload) {
  try {
    await act('POST', 'v1/admin/undrain', { worker: worker.disk_id });
    say(t('undrain.done', { name: worker.name }));
  } catch (error) {
    complain(error, t('undrain.failed', { name: worker.name }));
  }
  reload();
}
