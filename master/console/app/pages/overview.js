/** Is everything safe, and what is going on: the first page. */

import { ago, bytes, count, percent, rate } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { useData } from '../data.js';
import { query, read } from '../api.js';
import { link, tick } from '../live.js';
import { Badge, Bar, Card, Empty, Figure, PageHead, Skeleton } from '../parts/basics.js';
import { Chart } from '../parts/chart.js';
import { ErrorNote } from '../parts/errors.js';
import { EventLine } from '../parts/event-line.js';
import { iconOfHealth, sentence, toneOf } from '../parts/health.js';
import { Icon } from '../parts/icons.js';
import { TaskLine } from '../parts/task-line.js';
import { recent, reload as reloadRecent } from '../recent.js';
import { href } from '../router.js';
import { may } from '../session.js';
import { useStore } from '../store.js';
import { t } from '../texts.js';

/** Minutes that can be shown; the masters remember an hour. */
const SPANS = [15, 60];
/** Of less growth, and further ahead, a forecast says nothing. */
const GROWTH_SECONDS = 600;
const MOST_HOURS = 24_000;
const RECENT = 6;

export function Overview() {
  const news = useStore(tick);
  const { data, error, loading, at, reload } = useData('overview', (signal) => read('v1/overview', { signal }), {
    on: (event) => !['stored', 'changed', 'renamed', 'deleted', 'restored'].includes(event.kind), every: 15_000,
  });
  const history = useData('history', (signal) => (may('admin') ? read(`v1/history${query({ minutes: SPANS.at(-1) })}`, { signal }) : null), { every: 10_000 });
  const now = data && truest(data, at, error, news);
  // What nobody could tell may be known now.
  useEffect(() => {
    if (data?.health === 'unknown' && news?.figures.health !== 'unknown') reload();
  }, [news]);
  return html`<${PageHead} title=${t('page.overview')} />
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!now && loading && html`<${Skeleton} lines=${5} />`}
    ${now && html`
      ${may('admin') && html`<${Health} now=${now} />`}
      <${Figures} now=${now} hours=${hoursToFull(now, history.data)} />
      ${may('admin') && html`<${Throughput} history=${history} />`}
      <div class="columns">
        ${may('admin') && html`<${Work} now=${now} />`}
        <${Recent} />
      </div>`}`;
}

/**
 * What was read, with the figures that came since. Figures from before the reading say nothing, none say that
 * all is well where the reading says that nobody knows, and what cannot be read anew is not known.
 */
function truest(data, at, error, news) {
  const newer = news !== null && news.at >= at;
  if (newer && data.health !== 'unknown') return { ...data, ...news.figures };
  return error && !newer ? { ...data, health: 'unknown', reasons: [] } : data;
}

/** @param {{ now: Record<string, any> }} props */
function Health({ now }) {
  const lost = useStore(link) === 'lost';
  const health = lost ? 'unknown' : now.health;
  const tone = toneOf(health);
  const reasons = lost ? [] : now.reasons ?? [];
  return html`<section class=${`hero hero-${tone}`} aria-label=${t('overview.health')} data-health=${health}>
    <span class="hero-icon"><${Icon} name=${iconOfHealth(health)} /></span>
    <div class="hero-text">
      <p class="hero-sentence" role="status">${sentence(lost ? null : now)}</p>
      ${reasons.length > 0 && html`<ul class="hero-reasons">${reasons.map((reason) => html`<li key=${reason}>${reason}</li>`)}</ul>`}
      ${now.counted_millis_ago > 10_000 && html`<p class="hero-age">${t('overview.counted', { when: ago(Date.now() - now.counted_millis_ago) })}</p>`}
    </div>
    <${Badge} tone=${tone}>${t(`health.word.${health}`)}<//>
  </section>`;
}

/** In how many hours the disks are full, at the rate of the last hour; null if too little is known to tell. */
function hoursToFull(now, history) {
  const { time = [], written = [] } = perSecond(history);
  const grown = written.findIndex((value) => value > 0);
  if (grown < 0 || time.at(-1) - time[grown] < GROWTH_SECONDS || now.free_bytes == null || !now.replicas) return null;
  const since = written.slice(grown);
  const rate = since.reduce((sum, value) => sum + (value ?? 0), 0) / since.length;
  const hours = now.free_bytes / (rate * now.replicas * 3600);
  return hours < 1 || hours > MOST_HOURS ? null : Math.floor(hours);
}

/** A forecast in words, in days where there are some. */
function forecast(hours) {
  if (hours === null) return '';
  const days = Math.floor(hours / 24);
  return ` · ${days > 0 ? t('figure.days', { count: days, n: count(days) }) : t('figure.hours', { count: hours, n: count(hours) })}`;
}

/** The columns of a history by name; bytes as bytes in a second. */
function perSecond(history) {
  const columns = Object.fromEntries((history?.columns ?? []).map((name, at) => [name, history.data[at] ?? []]));
  const [first, second] = columns.time ?? [];
  const step = second > first ? second - first : 10;
  for (const name of ['read', 'written', 'repaired']) columns[name] = columns[name]?.map((value) => (value == null ? null : value / step));
  return columns;
}

/** @param {{ now: Record<string, any>, hours: number | null }} props */
function Figures({ now, hours }) {
  const { files, bytes: size, workers } = now;
  const known = useStore(link) !== 'lost' && now.health !== 'unknown';
  const under = known ? now.under_replicated : null;
  const full = files == null || under == null ? null : Math.max(files - under, 0);
  const shareTone = full == null ? 'muted' : full === files ? 'good' : 'warn';
  return html`<dl class="figures">
    <${Figure} id="files" label=${t('figure.files')} value=${count(files)} note=${size == null ? null : t('figure.files_bytes', { bytes: bytes(size) })} />
    ${may('admin') && html`
      <${Figure} id="whole" label=${t('figure.whole')} tone=${shareTone} value=${full === 0 && files === 0 ? '100 %' : percent(full ?? 0, full == null ? 0 : files)}
        note=${under == null ? null : under ? t('figure.under', { count: under, n: count(under) }) : t('figure.none_under')} />
      <${Figure} id="workers" label=${t('figure.workers')} tone=${workers && workers.live < workers.total ? 'warn' : undefined}
        value=${workers ? html`${count(workers.live)}<span class="figure-of"> / ${count(workers.total)}</span>` : '–'}
        note=${now.voters ? t('figure.voters', { leased: count(now.voters.live), total: count(now.voters.total) }) : null} />
      <${Capacity} total=${now.capacity_bytes} free=${now.free_bytes} hours=${hours} />`}
  </dl>`;
}

/** @param {{ total: number | null, free: number | null, hours: number | null }} props */
function Capacity({ total, free, hours }) {
  if (total == null || free == null) return html`<${Figure} id="capacity" label=${t('figure.capacity')} value="–" />`;
  const used = Math.max(total - free, 0);
  const share = total > 0 ? used / total : 0;
  const tone = share > 0.95 ? 'bad' : share > 0.85 ? 'warn' : undefined;
  return html`<${Figure} id="capacity" label=${t('figure.capacity')} tone=${tone} value=${percent(used, total)}
    note=${html`<${Bar} done=${used} total=${total} tone=${tone} label=${t('figure.capacity')} />
      <span>${t('figure.used', { used: bytes(used), total: bytes(total) })}${forecast(hours)}</span>`} />`;
}

/** @param {{ history: import('../data.js').Reading<any> }} props */
function Throughput({ history: { data, error, loading, reload } }) {
  const [minutes, setMinutes] = useState(SPANS[0]);
  const columns = perSecond(data);
  const since = (columns.time?.at(-1) ?? 0) - minutes * 60;
  const from = Math.max(0, columns.time?.findIndex((time) => time >= since) ?? 0);
  const choice = html`<div class="segments" role="group" aria-label=${t('chart.span')}>
    ${SPANS.map((span) => html`<button key=${span} type="button" aria-pressed=${span === minutes ? 'true' : 'false'}
      onClick=${() => setMinutes(span)}>${span < 60 ? t('chart.minutes', { n: span }) : t('chart.hours', { n: span / 60 })}</button>`)}
  </div>`;
  const series = [
    { name: 'read', label: t('chart.read'), tone: 'a' },
    { name: 'written', label: t('chart.write'), tone: 'b' },
    { name: 'repaired', label: t('chart.repair'), tone: 'c' },
  ];
  return html`<${Card} title=${t('overview.throughput')} aside=${choice}>
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<div class="chart-space"><${Skeleton} lines=${4} /></div>`}
    ${data && html`<${Chart} columns=${columns} from=${from} series=${series} show=${rate} label=${t('overview.throughput')} />`}
  <//>`;
}

/** @param {{ now: Record<string, any> }} props */
function Work({ now }) {
  const tasks = now.tasks ?? [];
  const risky = now.worst ?? [];
  const aside = html`<a href=${href('tasks')}>${t('overview.all_tasks')}</a>`;
  return html`<${Card} title=${t('overview.work')} aside=${aside}>
    ${tasks.length === 0 && risky.length === 0 && html`<${Empty} icon="shield" title=${t('overview.no_work')} text=${t('overview.no_work_text')} />`}
    ${now.repair_paused && html`<p class="note note-warn"><${Icon} name="pause" />${t('tasks.paused')}</p>`}
    ${tasks.map((task) => html`<${TaskLine} key=${task.kind + task.disk_id} task=${task} />`)}
    ${risky.length > 0 && html`<h3>${t('overview.at_risk')}</h3>
      <ul class="lines">${risky.map((file) => html`<li key=${file.name}><a href=${href('file', file.name)}>${file.name}</a>
        <${Badge} tone=${file.copies === 0 ? 'bad' : 'warn'}>${t('copies.of', { good: file.copies, wanted: file.wanted })}<//></li>`)}</ul>`}
  <//>`;
}

function Recent() {
  const { events: all, error } = useStore(recent);
  const aside = html`<a href=${href('events')}>${t('overview.all_events')}</a>`;
  const events = (all ?? []).slice(-RECENT).reverse();
  return html`<${Card} title=${t('overview.recent')} aside=${aside}>
    ${error && html`<${ErrorNote} error=${error} retry=${reloadRecent} />`}
    ${!all && !error && html`<${Skeleton} lines=${3} />`}
    ${all && events.length === 0 && html`<${Empty} icon="events" title=${t('events.none')} text=${t('events.none_text')} />`}
    <ol class="event-list">${events.map((event) => html`<${EventLine} key=${event.id} event=${event} />`)}</ol>
  <//>`;
}
