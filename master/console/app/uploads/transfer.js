/**
 * One file on its way: begun or found again, its chunks sent in parallel, committed under its checksum.
 *
 * A chunk is a slice of the file, which the browser reads from the disk as it goes: no more than a few
 * pieces are in memory, however large the file is.
 */

import { act, ApiError, changeId, pause, problem, read, waitFor } from '../api.js';
import { checksum } from './checksum.js';
import { hex, joined } from './crc32.js';

const MIB = 1 << 20;
/** A commit waits for every copy of the last chunks. */
const COMMIT_PATIENCE_MILLIS = 600_000;
/** So many chunks of one file at a time. */
const CHUNKS_AT_A_TIME = 3;
/** So often a chunk is sent anew whose bytes came otherwise than they were read. */
const MOST_DAMAGED = 3;

/**
 * Chunks small enough that a reload costs little, and few enough that a large file has hundreds of them.
 * @param {number} size @returns {number | null} null for the cluster's own
 */
export function chunkSizeFor(size) {
  if (size <= 64 * MIB) return 4 * MIB;
  return size <= 1024 * MIB ? 16 * MIB : null;
}

/**
 * Sends all of `item` that is not there yet.
 * @param {import('./queue.js').Item} item changed as it goes on
 * @param {{ lane: () => Promise<() => void>, signal: AbortSignal, changed: (keep?: boolean) => void }} outside
 *   `lane` waits for one of the few connections and gives what lets it go; `changed` shows, and `keep`s
 * @throws {ApiError} what cannot pass by itself
 */
export async function transfer(item, { lane, signal, changed }) {
  for (;;) {
    await persist(item, signal, changed, () => endOld(item, signal));
    const there = await persist(item, signal, changed, () => openUpload(item, { signal, changed }));
    changed(true);
    if (there.file) return finish(item, there.file);
    await sendMissing(item, there, { lane, signal, changed });
    const whole = hex(wholeChecksum(item));
    try {
      const body = { size: item.size, crc32: whole };
      const options = { signal, patience: COMMIT_PATIENCE_MILLIS };
      const file = await persist(item, signal, changed, () => act('POST', `v1/uploads/${item.uploadId}/commit`, body, options));
      return finish(item, file);
    } catch (error) {
      // The server knows best which chunks it has: ask, and send the rest.
      if (error.code !== 'missing_chunks') throw error;
    }
  }
}

/**
 * Removes the server's uploads that an item has no more use for, with what was stored of them.
 * @param {import('./queue.js').Item} item @param {AbortSignal} [signal]
 * @throws {ApiError} and what is left stays noted
 */
export async function endOld(item, signal) {
  while (item.ended.length > 0) {
    try {
      await act('DELETE', `v1/uploads/${item.ended[0]}`, undefined, { signal });
    } catch (error) {
      if (error.code !== 'upload_not_found') throw error;
    }
    item.ended = item.ended.slice(1);
  }
}

/** The upload as the server has it: the one that was begun, or a new one. */
async function openUpload(item, { signal, changed }) {
  if (item.uploadId !== null) {
    try {
      const there = await read(`v1/uploads/${item.uploadId}`, { signal, tries: 1 });
      if (there.state === 'open' || there.state === 'committed') return there;
    } catch (error) {
      if (error.code !== 'upload_not_found') throw error;
    }
    Object.assign(item, { uploadId: null, beginId: null, crcs: {}, sent: 0 });
  }
  const body = {
    name: item.name, size: item.size, content_type: item.type || null, source_modified: item.modified,
    chunk_size: chunkSizeFor(item.size),
  };
  const unless = item.replace ? {} : { 'If-None-Match': '*' };
  // Asked twice, after an answer that was lost, the server begins once.
  item.beginId ??= changeId();
  changed(true);
  let begun;
  try {
    begun = await act('POST', 'v1/uploads', body, { headers: { ...unless, 'x-mdfs-request-id': item.beginId }, signal });
  } catch (error) {
    // What the server has answered, it answers again; the next try is another change.
    if (error instanceof ApiError && !error.passes) item.beginId = null;
    // Kept for longer than the server knows ids, or by a clock that is wrong.
    if (error.code !== 'request_outside_window') throw error;
    begun = await act('POST', 'v1/uploads', body, { headers: unless, signal });
  }
  Object.assign(item, { uploadId: begun.id, chunkSize: begun.chunk_size });
  return begun;
}

async function sendMissing(item, there, { lane, signal, changed }) {
  const durable = new Set(there.chunks.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at)));
  const all = Array.from({ length: Math.ceil(item.size / item.chunkSize) }, (_, index) => index);
  // A chunk that is there and whose sum was not kept is only read, not sent.
  const left = all.filter((index) => !durable.has(index) || item.crcs[index] === undefined);
  item.sent = [...durable].reduce((sum, index) => sum + lengthOf(item, index), 0);
  const work = async () => {
    for (let index = left.shift(); index !== undefined; index = left.shift()) {
      const release = await lane();
      try {
        signal.throwIfAborted();
        await sendOne(item, index, durable.has(index), { signal, changed });
      } finally {
        item.moving.delete(index);
        release();
      }
      changed(true);
    }
  };
  const lanes = Array.from({ length: Math.min(CHUNKS_AT_A_TIME, left.length) }, work);
  const results = await Promise.allSettled(lanes);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

async function sendOne(item, index, isThere, { signal, changed }) {
  const start = index * item.chunkSize;
  const slice = item.file.slice(start, start + lengthOf(item, index));
  for (let damaged = 0; ;) {
    const crc = await checksum(slice);
    if (isThere) {
      item.crcs[index] = crc;
      return;
    }
    try {
      const url = `v1/uploads/${item.uploadId}/chunks/${index}`;
      await persist(item, signal, changed, () => put(url, slice, hex(crc), signal, (sent) => {
        item.moving.set(index, sent);
        changed();
      }));
      item.crcs[index] = crc;
      item.sent += slice.size;
      return;
    } catch (error) {
      damaged += 1;
      if (error.code !== 'checksum_mismatch' || damaged >= MOST_DAMAGED) throw error;
    }
  }
}

/** Sends one chunk. `fetch` cannot say how far an upload is; this can. */
function put(url, body, crc, signal, moved) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', url);
    request.setRequestHeader('x-mdfs-crc32', crc);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.onprogress = (event) => moved(event.loaded);
    request.onload = () => {
      const text = request.responseText;
      if (request.status < 200 || request.status > 299) {
        reject(problem(request.status, text, request.getResponseHeader('x-request-id'), request.getResponseHeader('retry-after')));
      } else if (JSON.parse(text).crc32 !== crc) {
        reject(new ApiError(request.status, 'checksum_mismatch', '', request.getResponseHeader('x-request-id')));
      } else {
        resolve(undefined);
      }
    };
    request.onerror = () => reject(new ApiError(0, 'network', 'network', null));
    request.onabort = () => reject(signal.reason);
    const abort = () => request.abort();
    signal.addEventListener('abort', abort, { once: true });
    request.onloadend = () => signal.removeEventListener('abort', abort);
    request.send(body);
  });
}

/** Tries again for as long as it may pass, and says meanwhile what it waits for. */
async function persist(item, signal, changed, work) {
  for (let tried = 1; ; tried += 1) {
    try {
      const result = await work();
      item.waitingFor = null;
      return result;
    } catch (error) {
      if (signal.aborted || !(error instanceof ApiError) || !error.passes) throw error;
      item.waitingFor = error;
      item.moving.clear();
      changed();
      await pause(waitFor(Math.min(tried, 6), error.retryAfter), signal);
    }
  }
}

const lengthOf = (item, index) => Math.min(item.chunkSize, item.size - index * item.chunkSize);

function wholeChecksum(item) {
  const chunks = Math.ceil(item.size / item.chunkSize);
  let crc = 0;
  for (let index = 0; index < chunks; index += 1) crc = joined(crc, item.crcs[index], lengthOf(item, index));
  return crc;
}

/** What is stored has the checksum of what was read here, or it is no success. */
function finish(item, file) {
  const known = Object.keys(item.crcs).length === Math.ceil(item.size / item.chunkSize);
  if (known && file.crc32 !== hex(wholeChecksum(item))) throw new ApiError(200, 'checksum_mismatch', file.crc32, null);
  Object.assign(item, { sent: item.size, stored: file });
}
