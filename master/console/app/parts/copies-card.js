/** Where a file's copies are, and whether they are good: as the leader knows it, and as the disks say when asked. */

import { pathOf, read } from '../api.js';
import { useData } from '../data.js';
import { bytes, count } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { may } from '../session.js';
import { t } from '../texts.js';
import { Badge, Bar, Card, Skeleton } from './basics.js';
import { ErrorNote } from './errors.js';
import { Icon } from './icons.js';
import { verify } from './verify.js';

/** @param {{ file: Record<string, any> }} props */
export function CopiesCard({ file }) {
  const path = `v1/files/${pathOf(file.name)}?replicas`;
  const { data, error, loading, reload } = useData(path, (signal) => read(path, { signal }), {
    on: (event) => ['worker', 'damage', 'task'].includes(event.kind), every: 30_000,
  });
  const names = useNames();
  const [report, setReport] = useState(null);
  const running = report?.running === true;
  const start = async () => {
    setReport({ running: true, workers: {}, result: null, error: null });
    try {
      const result = await verify(file.name, (workers) => setReport((now) => ({ ...now, workers })));
      setReport((now) => ({ ...now, running: false, result }));
    } catch (failed) {
      setReport((now) => ({ ...now, running: false, error: failed }));
    }
    reload();
  };
  const button = html`<button type="button" class="button" disabled=${running} aria-busy=${running ? 'true' : undefined} onClick=${start}>
    <${Icon} name="shield" />${running ? t('verify.running') : t('verify.start')}</button>`;
  return html`<${Card} title=${t('copies.title')} aside=${button}>
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<${Skeleton} lines=${4} />`}
    ${report && html`<${Verdict} report=${report} />`}
    ${data && html`<ul class="copies">${holdersOf(data).map((holder) => html`<${Holder} key=${holder.id} holder=${holder} names=${names} report=${report} />`)}</ul>`}
    ${report?.result?.problems.length > 0 && html`<${Problems} problems=${report.result.problems} names=${names} />`}
    ${!report && html`<p class="card-note">${t('verify.hint')}</p>`}
  <//>`;
}

/** The names of workers; who may not know them sees the ids of disks. */
function useNames() {
  const [names, setNames] = useState({});
  useEffect(() => {
    if (!may('admin')) return undefined;
    const abort = new AbortController();
    read('v1/workers', { signal: abort.signal }).then(
      ({ workers }) => setNames(Object.fromEntries(workers.map((worker) => [worker.disk_id, worker.name]))),
      () => {}, // ids do
    );
    return () => abort.abort();
  }, []);
  return names;
}

const nameOf = (names, id) => names[id] ?? id.slice(0, 8);

/** Chunks and bytes on each disk. */
function holdersOf({ runs, size, chunk_size: chunkSize }) {
  const all = new Map();
  for (const run of runs) {
    const end = Math.min((run.first_chunk + run.chunks) * chunkSize, size);
    for (const { disk_id: id, state } of run.holders) {
      const holder = all.get(id) ?? { id, state, chunks: 0, bytes: 0 };
      holder.chunks += run.chunks;
      holder.bytes += Math.max(0, end - run.first_chunk * chunkSize);
      all.set(id, holder);
    }
  }
  return [...all.values()].sort((left, right) => right.chunks - left.chunks);
}

function Holder({ holder, names, report }) {
  const { id, chunks } = holder;
  const verified = report?.workers[id];
  const final = report?.result?.workers.find((worker) => worker.disk_id === id);
  const good = final?.good ?? verified?.good ?? 0;
  const bad = final ? final.asked - final.good - final.moving : verified?.bad ?? 0;
  const asked = final?.asked ?? chunks;
  const live = holder.state === 'live';
  return html`<li class="copy" data-disk=${id}>
    <div class="copy-head"><span class="copy-name"><${Icon} name="workers" />${nameOf(names, id)}</span>
      <${Badge} tone=${bad > 0 ? 'bad' : !live ? 'warn' : final ? 'good' : 'muted'}>${bad > 0
        ? t('verify.bad', { count: bad, n: count(bad) })
        : !live ? t('copies.silent') : final ? t('verify.all_good') : t('copies.answers')}<//></div>
    ${report && html`<${Bar} done=${good + bad} total=${asked} tone=${bad > 0 ? 'bad' : final ? 'good' : undefined} label=${t('verify.progress', { worker: nameOf(names, id) })} />`}
    <p class="copy-note">${t('copies.chunks', { count: chunks, n: count(chunks), bytes: bytes(holder.bytes) })}
      ${report && html` · <span>${t('verify.good_of', { good: count(good), asked: count(asked) })}</span>`}</p>
  </li>`;
}

/** What came of it, in one sentence. */
function Verdict({ report }) {
  const { running, result, error } = report;
  if (error) return html`<${ErrorNote} error=${error} />`;
  if (running || !result) return html`<p class="note note-info" role="status"><${Icon} name="retry" />${t('verify.reading')}</p>`;
  if (result.good) {
    return html`<p class="note note-good" role="status" data-verdict="good"><${Icon} name="check" />${t('verify.whole', { copies: count(result.replicas), crc: result.crc32 })}</p>`;
  }
  const key = result.lost_chunks > 0 ? 'verify.lost' : 'verify.partly';
  return html`<p class=${`note ${result.lost_chunks > 0 ? 'note-error' : 'note-warn'}`} role="status" data-verdict="bad"><${Icon} name="warning" />
    ${t(key, { count: result.lost_chunks || result.problems.length, n: count(result.lost_chunks || result.problems.length) })}</p>`;
}

const SHOWN = 20;

function Problems({ problems, names }) {
  return html`<ul class="problems">${problems.slice(0, SHOWN).map((problem) => html`<li key=${problem.chunk + problem.disk_id}>
    <${Badge} tone=${problem.state === 'damaged' ? 'bad' : 'warn'}>${t(`copy.${problem.state}`)}<//>
    <span>${t('verify.problem', { chunk: count(problem.chunk), worker: nameOf(names, problem.disk_id) })}</span><small>${problem.detail}</small></li>`)}
    ${problems.length > SHOWN && html`<li>${t('verify.more', { count: problems.length - SHOWN, n: count(problems.length - SHOWN) })}</li>`}</ul>`;
}
