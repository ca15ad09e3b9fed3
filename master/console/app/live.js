/**
 * What happens, as it happens: server-sent events, and polling while there are none.
 *
 * `tick` is the newest of the small figures, and when it came; `hear` is told of each event. After `reset`
 * (another master leads, or too much was missed) everything is read anew, and the figures before count no more.
 */

import { query, read, waitFor } from './api.js';
import { createStore } from './store.js';

/** Every kind of event that a page may be told of. */
export const KINDS = [
  'stored', 'changed', 'renamed', 'deleted', 'restored', 'purged', 'worker', 'health', 'leader', 'voters', 'task',
  'token', 'policy', 'damage',
];
const POLL_MILLIS = 5000;

/**
 * `live`: events come. `polling`: they do not, and figures are asked for. `lost`: nobody answers.
 * @type {import('./store.js').Store<'starting' | 'live' | 'polling' | 'lost'>}
 */
export const link = createStore('starting');

/** @type {import('./store.js').Store<{ at: number, figures: Record<string, any> } | null>} */
export const tick = createStore(null);

/** @type {Set<(event: Record<string, any>) => void>} */
const hearers = new Set();
/** @type {EventSource | null} */
let source = null;
let running = false;
let failures = 0;
let newest = '';
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Is called with every event, also with `reset`.
 * @param {(event: Record<string, any>) => void} hearer
 * @returns {() => void} ends it
 */
export function hear(hearer) {
  hearers.add(hearer);
  return () => hearers.delete(hearer);
}

/** What was told to somebody else is not for whoever is signed in now. */
export function forgetNews() {
  tick.set(null);
  newest = '';
}

export function startLive() {
  if (running) return;
  running = true;
  listen();
}

export function stopLive() {
  if (running) failures = 1; // what is missed until it begins again counts as lost
  running = false;
  clearTimeout(timer);
  source?.close();
  source = null;
  link.set('starting');
}

/** Something was not answered: the stream may be dead and nobody told us, so what it said last is not shown on. */
export function doubt() {
  if (!running || source === null || link.get() !== 'live') return;
  source.close();
  source = null;
  tick.set(null);
  failures += 1;
  poll();
}

function listen() {
  clearTimeout(timer);
  source?.close();
  source = new EventSource('v1/events');
  source.onopen = () => {
    // What was missed meanwhile is not known, so everything is read anew.
    if (failures > 0) tell({ kind: 'reset' });
    failures = 0;
    link.set('live');
  };
  source.onerror = () => {
    source?.close();
    source = null;
    if (!running) return;
    failures += 1;
    poll();
  };
  source.addEventListener('tick', (message) => take(message, (figures) => tick.set({ at: Date.now(), figures })));
  for (const kind of [...KINDS, 'reset']) {
    source.addEventListener(kind, (message) => take(message, (event) => {
      newest = message.lastEventId || newest;
      tell({ kind, ...event });
    }));
  }
}

/** @param {MessageEvent} message @param {(value: Record<string, any>) => void} use */
function take(message, use) {
  let value = {};
  try {
    value = JSON.parse(message.data || '{}');
  } catch {
    return; // not ours: a proxy's
  }
  use(value);
}

function tell(event) {
  if (event.kind === 'reset') tick.set(null);
  for (const hearer of [...hearers]) hearer(event);
}

/** Asks for figures once, and then tries to listen again, less often each time. */
async function poll() {
  try {
    const at = Date.now();
    tick.set({ at, figures: await read('v1/overview', { tries: 1 }) });
    await readMissed();
    link.set('polling');
  } catch (error) {
    if (error.status === 401) return stopLive();
    tick.set(null); // what was so before may be so no more
    link.set(error.status === 0 || error.passes ? 'lost' : 'polling');
  }
  if (!running) return undefined;
  const soon = link.get() === 'lost' ? waitFor(Math.min(failures, 4)) : POLL_MILLIS;
  const listenNow = link.get() === 'lost' || failures % 3 === 1;
  timer = setTimeout(listenNow ? listen : () => {
    failures += 1;
    poll();
  }, soon);
  return undefined;
}

async function readMissed() {
  const page = await read(`v1/events${query({ after: newest, limit: 1000 })}`, { tries: 1 });
  const known = newest !== '';
  newest = page.next ?? page.events.at(-1)?.id ?? newest;
  if (known) for (const event of page.events) tell(event);
}

addEventListener('offline', doubt);
/** Whoever comes back to the page sees what is true now. */
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && running && link.get() !== 'live') listen();
});
