/** A thread that sums parts of files, piece by piece: it never holds more than a piece. */

import { crc32 } from './crc32.js';

addEventListener('message', async ({ data: { id, blob } }) => {
  try {
    let crc = 0;
    const pieces = blob.stream().getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) break;
      crc = crc32(value, crc);
    }
    postMessage({ id, crc });
  } catch (error) {
    // The file was changed or removed since it was chosen.
    postMessage({ id, error: String(error?.message ?? error) });
  }
});
