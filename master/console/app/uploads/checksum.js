/** Checksums of parts of files, made in threads beside the page. */

/** Two keep up with any line; more would only take from the page. */
const THREADS = 2;

/** @type {Worker[]} */
const threads = [];
/** @type {Map<number, { resolve: (crc: number) => void, reject: (error: Error) => void }>} */
const waiting = new Map();
let last = 0;

/**
 * The CRC-32 of a part of a file.
 * @param {Blob} blob @returns {Promise<number>}
 * @throws if it cannot be read any more
 */
export function checksum(blob) {
  last += 1;
  const id = last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    thread(id % THREADS).postMessage({ id, blob });
  });
}

function thread(number) {
  threads[number] ??= started();
  return threads[number];
}

function started() {
  const worker = new Worker(new URL('./checksum-worker.js', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }) => {
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error === undefined) asked?.resolve(data.crc);
    else asked?.reject(Object.assign(new Error(data.error), { code: 'file_changed' }));
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message || 'the checksum thread failed'));
    waiting.clear();
    threads.length = 0;
  };
  return worker;
}
