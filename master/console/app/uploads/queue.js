/**
 * All uploads of this browser: what waits, what moves, what is done, what needs somebody.
 *
 * Items are changed in place, thousands of them; `version` rises a few times a second for whoever draws.
 */

import { act, signedOut } from '../api.js';
import { createStore } from '../store.js';
import { forget, keep, remembered } from './kept.js';
import { Meter } from './meter.js';
import { endOld, transfer } from './transfer.js';

/** Browsers open six connections to a server; one listens to events, one reads pages. */
const LANES = 4;
/** So many files are under way at a time. */
const FILES_AT_A_TIME = 3;
const DRAW_MILLIS = 200;

/**
 * `absent`: its file has to be chosen again. `locked`: the browser wants to be asked for the file.
 * `conflict`: there is a file of that name.
 * @typedef {'waiting' | 'running' | 'paused' | 'absent' | 'locked' | 'conflict' | 'failed' | 'done'} State
 */

/**
 * @typedef {import('./kept.js').Kept & { file: File | null, state: State, sent: number, moving: Map<number, number>,
 *   error: any, waitingFor: any, stored: Record<string, any> | null, meter: Meter, abort: AbortController | null }} Item
 *   `sent` bytes are durable; `moving` is what went of each chunk under way
 */

/** @type {Map<string, Item>} */
const items = new Map();
/** Of all of them together. */
export const total = new Meter();
/** @type {import('../store.js').Store<number>} */
export const version = createStore(0);

let owner = '';
let drawing = false;
const lanes = { free: LANES, waiting: [] };

/** @returns {Item[]} */
export const all = () => [...items.values()];

/** Bytes of an item that are there or on their way. @param {Item} item */
export const movedOf = (item) => Math.min(item.size, item.sent + [...item.moving.values()].reduce((sum, sent) => sum + sent, 0));

/**
 * Brings back what was under way when the page was left.
 * @param {string} who the one who is signed in, on which cluster
 */
export async function startQueue(who) {
  if (owner === who) {
    for (const item of items.values()) if (item.state === 'paused' && item.error?.status === 401) resumeItem(item);
    return;
  }
  owner = who;
  for (const item of items.values()) item.abort?.abort(new DOMException('another is signed in', 'AbortError'));
  items.clear();
  for (const kept of await remembered(who)) {
    if (items.has(kept.id)) continue;
    const item = { ...fresh(), ...kept, state: 'absent' };
    item.sent = Object.keys(item.crcs).length * item.chunkSize;
    if (kept.handle) await openAgain(item, false);
    items.set(item.id, item);
  }
  changed();
  schedule();
}

/** @param {Item} item @param {boolean} asking within a click, browsers let us ask */
async function openAgain(item, asking) {
  try {
    const permission = asking ? await item.handle.requestPermission() : await item.handle.queryPermission();
    if (permission !== 'granted') {
      item.state = 'locked';
      return;
    }
    const file = await item.handle.getFile();
    const same = file.size === item.size && file.lastModified === item.modified;
    Object.assign(item, same ? { file, state: 'waiting' } : { state: 'failed', error: { code: 'file_changed' } });
  } catch (error) {
    item.state = 'absent';
  }
}

function fresh() {
  return {
    uploadId: null, beginId: null, ended: [], chunkSize: 1, crcs: {}, replace: false, handle: null, file: null, state: 'waiting', sent: 0,
    moving: new Map(), error: null, waitingFor: null, stored: null, meter: new Meter(), abort: null,
  };
}

/**
 * Takes files in. One that was under way before goes on where it was.
 * @param {import('./picking.js').Picked[]} picked @param {string} folder where to, with its slash
 */
export function add(picked, folder) {
  const added = picked.map(({ path, file, handle }) => {
    const before = all().find((item) => (item.state === 'absent' || item.state === 'locked')
      && item.size === file.size && item.modified === file.lastModified && `/${item.name}`.endsWith(`/${path}`));
    if (before) return Object.assign(before, { file, handle, state: 'waiting', error: null });
    const item = {
      ...fresh(), id: crypto.getRandomValues(new Uint32Array(4)).join('-'), owner, name: folder + path,
      size: file.size, modified: file.lastModified, type: file.type, file, handle,
    };
    items.set(item.id, item);
    return item;
  });
  keep(added.map(keptOf));
  changed();
  schedule();
  return added.length;
}

/** What is remembered of an item. @param {Item} item @returns {import('./kept.js').Kept} */
const keptOf = ({ id, owner: whose, name, size, modified, type, uploadId, beginId, ended, chunkSize, crcs, replace, handle }) => (
  { id, owner: whose, name, size, modified, type, uploadId, beginId, ended, chunkSize, crcs, replace, handle });

/** @param {Item} item */
export function pauseItem(item) {
  if (item.state !== 'running' && item.state !== 'waiting') return;
  item.state = 'paused';
  item.abort?.abort(new DOMException('paused', 'AbortError'));
  changed();
}

/** Goes on with an item, whatever held it up. @param {Item} item @param {{ replace?: boolean, name?: string }} [change] */
export async function resumeItem(item, change = {}) {
  if (item.state === 'running' || item.state === 'done') return;
  if (item.file === null && item.handle !== null) await openAgain(item, true);
  if (item.file === null) {
    changed();
    return;
  }
  const otherwise = change.name !== undefined || change.replace !== undefined;
  if (otherwise) {
    // The server's upload is of the old name; it is removed before another begins.
    const ended = item.uploadId === null ? item.ended : [...item.ended, item.uploadId];
    Object.assign(item, change, { uploadId: null, beginId: null, ended, crcs: {}, sent: 0 });
  }
  Object.assign(item, { state: 'waiting', error: null });
  keep([keptOf(item)]);
  changed();
  schedule();
}

/** Ends an item, and frees what was stored of it. @param {Item} item */
export async function removeItem(item) {
  item.abort?.abort(new DOMException('removed', 'AbortError'));
  items.delete(item.id);
  changed();
  schedule();
  await forget([item.id]);
  if (item.state !== 'done' && item.uploadId !== null) item.ended = [...item.ended, item.uploadId];
  await endOld(item);
}

export const pauseAll = () => all().forEach(pauseItem);
export const resumeAll = () => all().filter((item) => item.state === 'paused' || item.state === 'failed').forEach((item) => resumeItem(item));

/** Puts away what is done. */
export function clearDone() {
  for (const item of all()) if (item.state === 'done') items.delete(item.id);
  changed();
}

/** Whether leaving the page would interrupt something. */
export const isBusy = () => all().some((item) => item.state === 'running' || item.state === 'waiting');

function schedule() {
  let running = all().filter((item) => item.state === 'running').length;
  for (const item of items.values()) {
    if (running >= FILES_AT_A_TIME) return;
    if (item.state === 'waiting' && item.file !== null) {
      running += 1;
      run(item);
    }
  }
}

/** @param {Item} item */
async function run(item) {
  const abort = new AbortController();
  Object.assign(item, { state: 'running', abort, error: null });
  try {
    await alone(item, () => transfer(item, {
      lane: takeLane,
      signal: abort.signal,
      changed: (kept) => changed(kept ? item : null),
    }));
    item.state = 'done';
    forget([item.id]);
  } catch (error) {
    abort.abort(error); // its other chunks need not go on
    if (item.state === 'running' && error.status === 401) {
      Object.assign(item, { state: 'paused', error }); // goes on once somebody is signed in again
      signedOut();
    } else if (item.state === 'running') {
      Object.assign(item, { state: error.code === 'precondition_failed' ? 'conflict' : 'failed', error });
    }
  }
  item.moving.clear();
  item.meter.stop();
  changed();
  schedule();
}

/** Two windows never send the same file at once, where browsers can prevent it. */
function alone(item, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(`mdfs-upload-${item.id}`, { ifAvailable: true }, (lock) => {
    if (lock === null) throw Object.assign(new Error(), { code: 'other_window' });
    return work();
  });
}

/** Waits for a connection. @returns {Promise<() => void>} lets it go */
function takeLane() {
  const release = () => {
    const next = lanes.waiting.shift();
    if (next) next(release);
    else lanes.free += 1;
  };
  if (lanes.free > 0) {
    lanes.free -= 1;
    return Promise.resolve(release);
  }
  return new Promise((resolve) => lanes.waiting.push(resolve));
}

/** @param {Item | null} [kept] an item whose state is to outlive a reload */
function changed(kept = null) {
  if (kept) keep([keptOf(kept)]);
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    const now = performance.now();
    const running = all().filter((item) => item.state === 'running');
    for (const item of running) item.meter.measure(movedOf(item), now);
    if (running.length > 0) total.measure(all().reduce((sum, item) => sum + movedOf(item), 0), now);
    else total.stop();
    version.set((before) => before + 1);
  }, DRAW_MILLIS);
}

addEventListener('beforeunload', (event) => {
  if (isBusy()) event.preventDefault();
});
