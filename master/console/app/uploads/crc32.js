/** CRC-32 as in gzip and zip: of bytes, and of two runs of bytes joined from their sums. */

const POLYNOMIAL = 0xedb88320;
/** Eight tables, so that eight bytes are taken at a time. */
const TABLES = tables();

function tables() {
  const all = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte += 1) {
    let rest = byte;
    for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
    all[0][byte] = rest;
  }
  for (let byte = 0; byte < 256; byte += 1) {
    for (let table = 1; table < 8; table += 1) {
      const before = all[table - 1][byte];
      all[table][byte] = (before >>> 8) ^ all[0][before & 255];
    }
  }
  return all;
}

/**
 * The sum of `bytes` behind what has the sum `before`.
 * @param {Uint8Array} bytes @param {number} [before]
 */
export function crc32(bytes, before = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let crc = ~before;
  let at = 0;
  const eights = bytes.length - (bytes.length % 8);
  for (; at < eights; at += 8) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc = t7[crc & 255] ^ t6[(crc >>> 8) & 255] ^ t5[(crc >>> 16) & 255] ^ t4[crc >>> 24]
      ^ t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]];
  }
  for (; at < bytes.length; at += 1) crc = t0[(crc ^ bytes[at]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The product of two polynomials modulo that of CRC-32; the highest bit is the power 0. */
function multiply(left, right) {
  let product = 0;
  let shifted = right;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if (left & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

/** Each the square of the one before, beginning with the power 1. */
const SQUARES = squares();

function squares() {
  const all = [0x40000000];
  while (all.length < 32) all.push(multiply(all.at(-1), all.at(-1)));
  return all;
}

/**
 * The sum of two runs of bytes, one behind the other.
 * @param {number} first @param {number} second @param {number} length of the second, in bytes
 */
export function joined(first, second, length) {
  let power = 0x80000000;
  for (let rest = length, at = 3; rest > 0; rest = Math.floor(rest / 2), at += 1) {
    if (rest % 2 === 1) power = multiply(SQUARES[at % 32], power);
  }
  return (multiply(power, first) ^ second) >>> 0;
}

/** As the API writes it. @param {number} crc */
export const hex = (crc) => crc.toString(16).padStart(8, '0');
