/** Has every copy of a file read where it lies, and tells how far that is. */

import { ApiError, pathOf, send } from '../api.js';

/** Disks read a large file for minutes. */
const PATIENCE_MILLIS = 3_600_000;

/**
 * @typedef {Record<string, { good: number, bad: number }>} Counts by disk
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
    if (told.verified) return told.verified;
    if (told.failed) throw new ApiError(told.failed.status, told.failed.code, told.failed.detail, told.failed.request_id);
    const { disk_id: disk, state } = told.copy;
    const count = counts[disk] ?? { good: 0, bad: 0 };
    // What is missing here may be on its way: only the last line knows.
    counts[disk] = { good: count.good + (state === null ? 1 : 0), bad: count.bad + (state === 'damaged' ? 1 : 0) };
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
