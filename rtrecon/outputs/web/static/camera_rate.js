// How many pictures a second a camera should give: as many as the server follows. What it cannot
// follow is coded, sent and decoded for nothing, and on the processor that it needs: results come
// less often by that, and twice as late.

const FOLLOWS = 0.93; // of the camera's pictures: the rest are left out on the way, as ever
const FEWER = 1.08, MORE = 1.2; // so many times what the server makes; what there was
const SETTLE_MS = 3500; // the server counts over thirty results
const LOW_RESULTS = 40; // so many low ones in a row: one pause of the server is in thirty figures
const AGAIN_MS = 6000, LONGEST_MS = 320_000; // after what was too much

export class CameraRate {
  #changed_ms = null;
  #wait_ms = AGAIN_MS;
  #nextTry_ms = 0;
  #isTrying = false;
  #low_ms = null; // since when

  /** @param {number} most_hz and what it begins with; least_hz: it never asks for less */
  constructor(most_hz, least_hz = 8) {
    this.most_hz = this.hz = most_hz;
    this.least_hz = Math.min(least_hz, most_hz);
  }

  /** Begin anew, as after a pause or with another camera. */
  reset() {
    this.hz = this.most_hz;
    this.#changed_ms = null;
    this.#wait_ms = AGAIN_MS;
    this.#nextTry_ms = 0;
    this.#isTrying = false;
    this.#low_ms = null;
  }

  /**
   * To be asked some times a second.
   *
   * @param {number} fps results that the server makes a second; 0: it is not known
   * @returns {number|null} the rate that the camera should have from now on; null: it stays
   */
  next(fps, now_ms) {
    if (!(fps > 0)) return null;
    this.#changed_ms ??= now_ms; // the first results are slow
    if (now_ms - this.#changed_ms < SETTLE_MS) return null;
    if (fps < FOLLOWS * this.hz) {
      this.#low_ms ??= now_ms;
      if (this.hz === this.least_hz || now_ms - this.#low_ms < (LOW_RESULTS * 1000) / this.hz) return null;
      if (this.#isTrying) this.#wait_ms = Math.min(2 * this.#wait_ms, LONGEST_MS);
      this.#nextTry_ms = now_ms + this.#wait_ms;
      this.#isTrying = false;
      return this.#set(Math.round(FEWER * fps), now_ms);
    }
    this.#low_ms = null;
    if (this.#isTrying) [this.#isTrying, this.#wait_ms] = [false, AGAIN_MS]; // it was followed
    if (this.hz === this.most_hz || now_ms < this.#nextTry_ms) return null;
    this.#isTrying = true;
    return this.#set(Math.round(MORE * this.hz), now_ms);
  }

  #set(hz, now_ms) {
    const bounded = Math.min(Math.max(hz, this.least_hz), this.most_hz);
    if (bounded === this.hz) return null;
    this.#changed_ms = now_ms;
    this.#low_ms = null;
    return (this.hz = bounded);
  }
}
