// From bytes to results that can be drawn: the newest wins, and what is no result is skipped.

import { decodeResult, readHeader, readTints } from "./wire.js";

const MOST_TINTS = 16;

/**
 * Events: `ready` {result, bytes}: decoded, pictures as ImageBitmap (`bitmap` beside `picture`
 * and `texture`); who takes it owns them. `skipped` {seq}. `garbage` {why}.
 */
export class Results extends EventTarget {
  received = 0;
  decoded = 0;
  skipped = 0;
  garbage = 0;
  newest = -1;
  /** `rest` of /head.json, once it is there. */
  rest = null;
  #waiting = null;
  #busy = false;
  #run = 0;
  /** By face and `tint_key`; of skipped results too, since each is sent once. */
  #tints = new Map();

  /** The server began anew: its numbers do too. */
  restart() {
    this.newest = -1;
    if (this.#waiting) this.#drop(this.#waiting.header.seq);
    this.#waiting = null;
    this.#tints.clear();
    this.#run++;
  }

  /** @param {ArrayBuffer} buffer from whichever channel */
  push(buffer) {
    this.received++;
    let header;
    try {
      ({ header } = readHeader(buffer));
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (header.seq <= this.newest) {
      this.#skip({ header, buffer });
      return;
    }
    this.newest = header.seq;
    if (this.#waiting) this.#skip(this.#waiting);
    this.#waiting = { header, buffer, arrived_ms: performance.now() };
    if (!this.#busy) this.#work();
  }

  async #work() {
    this.#busy = true;
    while (this.#waiting) {
      const { buffer, header, arrived_ms } = this.#waiting;
      const run = this.#run;
      this.#waiting = null;
      try {
        const result = await withBitmaps(await decodeResult(buffer, { rest: this.rest }));
        if (run !== this.#run) {
          release(result);
          this.#drop(header.seq);
          continue;
        }
        this.#lendTints(result);
        this.decoded++;
        this.dispatchEvent(new CustomEvent("ready", { detail: { result, bytes: buffer.byteLength, arrived_ms } }));
      } catch (error) {
        this.#refuse(error, header.seq);
      }
    }
    this.#busy = false;
  }

  #lendTints(result) {
    for (const { id, head } of result.faces) {
      if (!head) continue;
      const key = `${id}/${head.tint_key}`;
      if (head.tint) this.#keepTint(key, head.tint);
      else head.tint = this.#tints.get(key) ?? null;
    }
  }

  #keepTint(key, tint) {
    this.#tints.delete(key);
    this.#tints.set(key, tint);
    if (this.#tints.size > MOST_TINTS) this.#tints.delete(this.#tints.keys().next().value);
  }

  #drop(seq) {
    this.skipped++;
    this.dispatchEvent(new CustomEvent("skipped", { detail: { seq } }));
  }

  #skip({ header, buffer }) {
    const run = this.#run;
    readTints(buffer, this.rest).then(
      (found) => run === this.#run && found.forEach(({ id, key, tint }) => this.#keepTint(`${id}/${key}`, tint)),
      () => {},
    );
    this.#drop(header.seq);
  }

  #refuse(error, seq = null) {
    this.garbage++;
    this.dispatchEvent(new CustomEvent("garbage", { detail: { why: error.message, seq } }));
  }
}

async function withBitmaps(result) {
  const made = [];
  const bitmap = async (blob) => {
    if (!blob) return null;
    const image = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    made.push(image);
    return image;
  };
  try {
    const [picture, ...textures] = await Promise.all([bitmap(result.picture), ...result.faces.map((face) => bitmap(face.texture))]);
    result.bitmap = picture;
    result.faces.forEach((face, k) => (face.bitmap = textures[k]));
    return result;
  } catch (error) {
    made.forEach((image) => image.close());
    throw new Error(`a picture that is damaged: ${error.message}`);
  }
}

/** Let go of the bitmaps that nobody took. */
export function release(result) {
  result.bitmap?.close();
  result.bitmap = null;
  for (const face of result.faces) {
    face.bitmap?.close();
    face.bitmap = null;
  }
}
