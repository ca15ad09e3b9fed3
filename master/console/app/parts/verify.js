/** Has every copy of a file read where it lies, and tells how far that is. */

import { ApiError, pathOf, send } from '../api.js';

/** Disks read a large file for minutes. */
const PATIENCE_MILLIS = 3_600_000;

/**
 * @typedef {Record<string, { good: number, bad: number, moving: number }>} Counts by disk
 * @param {string} name @param {(counts: Counts) => void} progress called as copies are read, if the server tells
 * @returns {Promise<Record<string, any>>} the whole report
 */
export async function verify(name, progress) {
  const headers = { Accept: 'application/x-ndjson, application/json;q=0.5' };
  const response = await send('POST', `v1/files/${pathOf(name)}?verify`, { headers, patience: PATIENCE_MILLIS });
  if (!response.headers.get('content-type')?.startsWith('application/x-ndjson')) return response.json();
  /** @type {Counts} */
  const counts = {};
  let drawn = 0;
  for await (const line of linesOf(response.body)) {
    const told = JSON.parse(line);
    if (told.workers) return told;
    if (told.code) throw new ApiError(told.status, told.code, told.detail, told.request_id);
    const count = counts[told.disk_id] ?? { good: 0, bad: 0, moving: 0 };
    const chunks = told.chunks ?? 1;
    const kind = told.state === 'good' || told.state === 'moving' ? told.state : 'bad';
    counts[told.disk_id] = { ...count, [kind]: count[kind] + chunks };
    if (performance.now() - drawn > 100) {
      drawn = performance.now();
      progress({ ...counts });
    }
  }
  // Without its last line a report broke off.
  throw new ApiError(0, 'network', 'network', null);
}

/** @param {ReadableStream<Uint8Array>} body */
async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? '')).split('\n');
    rest = done ? '' : lines.pop();
    yield* lines.filter((line) => line.trim() !== '');
    if (done) return;
  }
}
