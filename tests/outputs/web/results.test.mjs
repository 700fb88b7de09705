import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

const made = [];
globalThis.createImageBitmap = async (blob) => {
  const text = await blob.text();
  if (text === "damaged") throw new Error("cannot be decoded");
  const bitmap = { text, isClosed: false, close: () => (bitmap.isClosed = true) };
  made.push(bitmap);
  return bitmap;
};
const { release, Results } = await import("../../../rtrecon/outputs/web/static/results.js");

const pad = (bytes, by) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4, by)]);

function message(header, blobs = []) {
  const text = pad(Buffer.from(JSON.stringify(header)), 32);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const all = Buffer.concat([Buffer.from("RTR1"), length, text, ...blobs.map((blob) => pad(blob, 0))]);
  return all.buffer.slice(all.byteOffset, all.byteOffset + all.length);
}

const plain = (seq) => message({ seq, picture: null, faces: [] });
const rest = new Float32Array(6);
const shape = deflateSync(Buffer.alloc(14));
const colors = deflateSync(Buffer.from([1, 2, 3, 4, 5, 6]));

function headed(seq, withTint, key = 5) {
  const tint = withTint ? [Math.ceil(shape.length / 4) * 4, colors.length] : null;
  const head = { blob: [0, shape.length], count: 2, step_m: 1, tint, tint_key: key };
  return message({ seq, picture: null, faces: [{ id: 3, texture: null, depth: null, head }] }, [shape, colors]);
}

function listened() {
  const results = new Results();
  const heard = { ready: [], skipped: [], garbage: [] };
  for (const type of Object.keys(heard)) results.addEventListener(type, ({ detail }) => heard[type].push(detail));
  results.rest = rest;
  return { results, heard };
}

/** Until as many were answered for. */
async function settled(heard, count) {
  const answered = () => heard.ready.length + heard.skipped.length + heard.garbage.length;
  while (answered() < count) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 200)); // nothing more
  assert.equal(answered(), count);
}

test("of those that wait the newest is decoded, and each of the others is answered for", async () => {
  const { results, heard } = listened();
  for (let seq = 1; seq <= 5; seq++) results.push(plain(seq));
  await settled(heard, 5);
  const drawn = heard.ready.map(({ result }) => result.seq);
  assert.equal(drawn.at(-1), 5);
  assert.deepEqual([...drawn, ...heard.skipped.map(({ seq }) => seq)].sort(), [1, 2, 3, 4, 5]);
});

test("one that was overtaken is skipped, until the server begins anew", async () => {
  const { results, heard } = listened();
  results.push(plain(9));
  results.push(plain(8));
  results.push(plain(9));
  await settled(heard, 3);
  assert.deepEqual(heard.ready.map(({ result }) => result.seq), [9]);
  assert.equal(heard.skipped.length, 2);
  results.restart();
  results.push(plain(1));
  await settled(heard, 4);
  assert.equal(heard.ready.at(-1).result.seq, 1);
});

test("garbage is skipped and what follows is drawn", async () => {
  const { results, heard } = listened();
  results.push(new ArrayBuffer(3));
  results.push(message({ seq: 2, picture: [0, 7], faces: [] }, [Buffer.from("damaged")]));
  await settled(heard, 2);
  results.push(plain(3));
  await settled(heard, 3);
  assert.deepEqual(heard.garbage.map(({ seq }) => seq), [null, 2]);
  assert.equal(results.garbage, 2);
  assert.equal(heard.ready.length, 1);
});

test("colours of a head stay until others come, even those of a skipped result", async () => {
  const { results, heard } = listened();
  results.push(plain(1)); // is decoded while the next two wait
  results.push(headed(2, true));
  results.push(headed(3, false));
  await settled(heard, 3);
  results.push(headed(4, false));
  results.push(headed(5, false, 6));
  await settled(heard, 5);
  const tints = Object.fromEntries(heard.ready.map(({ result }) => [result.seq, result.faces[0]?.head.tint]));
  assert.deepEqual([...tints[4]], [1, 2, 3, 4, 5, 6]);
  assert.equal(tints[5], null, "of another key");
});

test("bitmaps that nobody took are closed", async () => {
  const { results, heard } = listened();
  const blob = Buffer.from("jpeg");
  results.push(message({ seq: 1, picture: [0, 4], faces: [{ texture: [0, 4] }] }, [blob]));
  await settled(heard, 1);
  release(heard.ready[0].result);
  assert.ok(made.length >= 2 && made.every(({ isClosed }) => isClosed));
});
