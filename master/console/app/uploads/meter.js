/** How fast something goes, lately: even enough to read, quick enough to be true. */

/** The newest measure counts so much after a second. */
const SMOOTHING_MILLIS = 3000;

export class Meter {
  constructor() {
    this.stop();
  }

  /** It stands still; the next measure begins anew. */
  stop() {
    Object.assign(this, { bytesPerSecond: 0, at: null, moved: 0 });
  }

  /** @param {number} moved bytes in all @param {number} now in milliseconds */
  measure(moved, now) {
    if (this.at === null || moved < this.moved) {
      Object.assign(this, { at: now, moved });
      return;
    }
    const millis = now - this.at;
    if (millis < 250) return;
    const latest = ((moved - this.moved) * 1000) / millis;
    const weight = this.bytesPerSecond === 0 ? 1 : 1 - Math.exp(-millis / SMOOTHING_MILLIS);
    this.bytesPerSecond += (latest - this.bytesPerSecond) * weight;
    Object.assign(this, { at: now, moved });
  }

  /** Seconds until `left` bytes are gone; null while nothing moves. @param {number} left */
  eta(left) {
    return this.bytesPerSecond < 1 ? null : left / this.bytesPerSecond;
  }
}
