// Results as they come over the wire (docs/web.md) made into arrays that can be drawn.

const MAGIC = 0x31525452; // "RTR1", little-endian
const MOST_HEADER_BYTES = 1 << 20;
const MOST_SIDE = 1024;

/** What is not a result of ours; its message says why. */
export class WireError extends Error {
  name = "WireError";
}

/**
 * The header of a result alone, at next to no cost.
 *
 * @param {ArrayBuffer} buffer
 * @returns {{header: object, start: number}} `start`: where the blobs begin, bytes
 * @throws {WireError}
 */
export function readHeader(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < 8) throw new WireError("too short");
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) throw new WireError("does not begin with RTR1");
  const length = view.getUint32(4, true);
  if (length > MOST_HEADER_BYTES || 8 + length > buffer.byteLength) {
    throw new WireError(`a header of ${length} bytes in a message of ${buffer.byteLength}`);
  }
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, length)));
  } catch (error) {
    throw new WireError(`header: ${error.message}`);
  }
  if (header === null || typeof header !== "object" || !Number.isInteger(header.seq)) {
    throw new WireError("a header without seq");
  }
  if (!Array.isArray(header.faces)) throw new WireError("a header without faces");
  return { header, start: 8 + length };
}

/**
 * A result with its blobs inflated.
 *
 * The header's fields stay as they are; instead of blobs it has
 * - `picture`, `faces[].texture`: Blob (JPEG) or null,
 * - `faces[].depth.values`: Uint16Array (height * width), 0: off the face,
 * - `faces[].head.positions`: Float32Array (count * 3), metres, HEAD frame (`R`, `t` bring it to
 *   the camera's), `.share`: Uint8Array (count), `.tint`: Uint8Array (count * 3) or null.
 *
 * @param {ArrayBuffer} buffer
 * @param {{rest?: Float32Array}} known `rest` of /head.json; without it heads are left out (null)
 * @returns {Promise<object>}
 * @throws {WireError}
 */
export async function decodeResult(buffer, { rest = null } = {}) {
  const { header, start } = readHeader(buffer);
  const cut = (range) => {
    if (range === null || range === undefined) return null;
    const [offset, length] = Array.isArray(range) ? range : [NaN, NaN];
    const whole = Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0;
    if (!whole || start + offset + length > buffer.byteLength) {
      throw new WireError(`a blob at ${JSON.stringify(range)} of ${buffer.byteLength - start} bytes`);
    }
    return new Uint8Array(buffer, start + offset, length);
  };
  const jpeg = (range) => {
    const bytes = cut(range);
    return bytes && new Blob([bytes], { type: "image/jpeg" });
  };
  const faces = header.faces.map(async (face) => {
    const [depth, head] = await Promise.all([
      face.depth ? unpackDepth(face.depth, cut(face.depth.blob)) : null,
      face.head && rest ? unpackHead(face.head, cut(face.head.blob), cut(face.head.tint), rest) : null,
    ]);
    return { ...face, texture: jpeg(face.texture), depth, head };
  });
  return { ...header, picture: jpeg(header.picture), faces: await Promise.all(faces) };
}

/**
 * Colours of heads alone, of a result that is not drawn.
 *
 * @returns {Promise<{id: number, key: number, tint: Uint8Array}[]>}
 */
export async function readTints(buffer, rest) {
  const { header, start } = readHeader(buffer);
  const faces = rest ? header.faces.filter((face) => Array.isArray(face.head?.tint)) : [];
  return Promise.all(
    faces.map(async ({ id, head }) => {
      const bytes = new Uint8Array(buffer, start + head.tint[0], head.tint[1]);
      return { id, key: head.tint_key, tint: await inflate(bytes, rest.length) };
    }),
  );
}

async function unpackDepth(depth, blob) {
  const { width, height } = depth;
  if (!side(width) || !side(height)) throw new WireError(`a depth of ${width}x${height}`);
  const bytes = await inflate(blob, width * height * 2);
  const values = uint16(bytes);
  for (let k = width; k < values.length; k++) values[k] += values[k - width]; // modulo 65536
  return { ...depth, values };
}

async function unpackHead(head, blob, tintBlob, rest) {
  const count = rest.length / 3;
  if (head.count !== count) throw new WireError(`a head of ${head.count} vertices, not ${count}`);
  const [bytes, tint] = await Promise.all([
    inflate(blob, count * 7),
    tintBlob ? inflate(tintBlob, count * 3) : null,
  ]);
  const steps = int16(bytes.subarray(0, count * 6));
  const positions = new Float32Array(count * 3);
  for (let axis = 0; axis < 3; axis++) {
    let offset = 0;
    for (let k = 0, at = axis * count; k < count; k++, at++) {
      offset = ((offset + steps[at]) << 16) >> 16; // differences wrap as int16 do
      positions[k * 3 + axis] = rest[k * 3 + axis] + offset * head.step_m;
    }
  }
  return { ...head, positions, share: bytes.subarray(count * 6), tint };
}

const side = (n) => Number.isInteger(n) && n > 1 && n <= MOST_SIDE;

/** @returns {Promise<Uint8Array>} exactly `size` bytes */
async function inflate(bytes, size) {
  if (!bytes) throw new WireError("a blob is missing");
  const out = new Uint8Array(size);
  let at = 0;
  try {
    const { readable, writable } = new DecompressionStream("deflate");
    // Written by hand: a Blob's stream would go through the browser's main process.
    const writer = writable.getWriter();
    for (const done of [writer.write(bytes), writer.close()]) done.catch(() => {}); // the reader says it
    const reader = readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > size) {
        reader.cancel().catch(() => {});
        throw new WireError(`a blob inflates to more than ${size} bytes`);
      }
      out.set(value, at);
      at += value.length;
    }
  } catch (error) {
    throw error instanceof WireError ? error : new WireError(`a blob does not inflate: ${error.message}`);
  }
  if (at !== size) throw new WireError(`a blob inflates to ${at} bytes, not ${size}`);
  return out;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function swapped(bytes) {
  if (littleEndian) return bytes;
  const out = new Uint8Array(bytes.length);
  for (let k = 0; k + 1 < bytes.length; k += 2) [out[k], out[k + 1]] = [bytes[k + 1], bytes[k]];
  return out;
}

const uint16 = (bytes) => new Uint16Array(swapped(bytes).buffer, swapped(bytes).byteOffset, bytes.length >> 1);
const int16 = (bytes) => new Int16Array(swapped(bytes).buffer, swapped(bytes).byteOffset, bytes.length >> 1);

/** Bytes of a base64 text. */
export function fromBase64(text) {
  const binary = atob(text);
  const out = new Uint8Array(binary.length);
  for (let k = 0; k < binary.length; k++) out[k] = binary.charCodeAt(k);
  return out;
}

/**
 * /head.json as arrays.
 *
 * @returns {{rest: Float32Array, triangles: Uint16Array, count: number, arkit: string[]}}
 * @throws {WireError}
 */
export function readTopology(json) {
  const rest = new Float32Array(fromBase64(json.rest).buffer);
  const triangles = new Uint16Array(fromBase64(json.triangles).buffer);
  if (rest.length !== json.vertices * 3 || triangles.length % 3) throw new WireError("head.json is damaged");
  return { rest, triangles, count: json.vertices, arkit: json.arkit ?? [] };
}
