import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { decodeResult, readHeader, WireError } from "../../../rtrecon/outputs/web/static/wire.js";

const pad = (bytes, by) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4, by)]);

function message(header, blobs = []) {
  const text = pad(Buffer.from(JSON.stringify(header)), 32);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const all = Buffer.concat([Buffer.from("RTR1"), length, text, ...blobs.map((blob) => pad(blob, 0))]);
  return all.buffer.slice(all.byteOffset, all.byteOffset + all.length);
}

test("depth comes back from differences between rows", async () => {
  const values = Uint16Array.from([0, 5, 65535, 7, 4, 0]); // 3 columns, 2 rows
  const rows = Uint16Array.from([0, 5, 65535, 7, 65535, 1]); // modulo 65536
  const blob = deflateSync(Buffer.from(rows.buffer));
  const face = { id: 1, texture: null, head: null, depth: { blob: [0, blob.length], width: 3, height: 2, step_m: 1e-4, base_m: 0.3, rays: [] } };
  const result = await decodeResult(message({ seq: 7, picture: null, faces: [face] }, [blob]));
  assert.deepEqual(result.faces[0].depth.values, values);
  assert.equal(result.seq, 7);
});

test("a head comes back from differences between vertices", async () => {
  const rest = Float32Array.from([0, 1, 2, 3, 4, 5]);
  const steps = Int16Array.from([1, 1, -2, 0, 32767, 2]); // x: 1, 2; y: -2, -2; z wraps
  const bytes = Buffer.concat([Buffer.from(steps.buffer), Buffer.from([255, 3])]);
  const blob = deflateSync(bytes);
  const tint = deflateSync(Buffer.from([1, 2, 3, 4, 5, 6]));
  const head = { blob: [0, blob.length], count: 2, step_m: 0.5, R: [], t: [], tint: [Math.ceil(blob.length / 4) * 4, tint.length] };
  const buffer = message({ seq: 1, picture: null, faces: [{ head, depth: null, texture: null }] }, [blob, tint]);
  const found = (await decodeResult(buffer, { rest })).faces[0].head;
  const near = [0.5, 0, 2 + 16383.5, 4, 3, 5 - 32767 / 2];
  assert.deepEqual([...found.positions], near.map(Math.fround));
  assert.deepEqual([...found.share], [255, 3]);
  assert.deepEqual([...found.tint], [1, 2, 3, 4, 5, 6]);
  assert.equal((await decodeResult(buffer)).faces[0].head, null, "without the topology");
});

test("pictures are blobs of their own", async () => {
  const picture = Buffer.from("jpeg?");
  const result = await decodeResult(message({ seq: 1, picture: [0, 5], faces: [] }, [picture]));
  assert.equal(await result.picture.text(), "jpeg?");
  assert.equal(result.picture.type, "image/jpeg");
});

const good = { seq: 1, picture: null, faces: [] };
const face = (words) => ({ ...good, faces: [{ texture: null, depth: null, head: null, ...words }] });
const bad = {
  "nothing": new ArrayBuffer(0),
  "text": "RTR1",
  "another magic": Uint8Array.from(new Uint8Array(message(good)), (b, k) => (k === 3 ? 50 : b)).buffer,
  "a header that is longer than the message": Uint8Array.from([82, 84, 82, 49, 255, 255, 0, 0]).buffer,
  "a header that is no JSON": message(good).slice(0, 12),
  "a list": message([]),
  "no seq": message({ faces: [] }),
  "no faces": message({ seq: 1 }),
  "a blob beyond the end": message({ ...good, picture: [4, 10] }),
  "a blob that is no range": message({ ...good, picture: "all" }),
  "a negative blob": message({ ...good, picture: [-4, 4] }),
  "depth that is no zlib": message(face({ depth: { blob: [0, 4], width: 3, height: 2 } }), [Buffer.from("nope")]),
  "depth of another size": message(face({ depth: { blob: [0, 9], width: 3, height: 2 } }), [deflateSync(Buffer.alloc(4))]),
  "depth that is a bomb": message(face({ depth: { blob: [0, 1040], width: 3, height: 2 } }), [deflateSync(Buffer.alloc(1e6))]),
  "depth as wide as the sea": message(face({ depth: { blob: [0, 4], width: 1e9, height: 2 } }), [Buffer.alloc(4)]),
};
for (const [name, buffer] of Object.entries(bad)) {
  test(`refuses ${name}`, async () => {
    await assert.rejects(async () => decodeResult(buffer, { rest: new Float32Array(6) }), WireError);
  });
}

test("the header alone is cheap to have", () => {
  const { header, start } = readHeader(message({ ...good, seq: 12 }));
  assert.equal(header.seq, 12);
  assert.equal(start % 4, 0);
});
