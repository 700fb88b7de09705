// node --test tests/outputs/web/camera_rate.test.mjs

import assert from "node:assert/strict";
import test from "node:test";
import { CameraRate } from "../../../rtrecon/outputs/web/static/camera_rate.js";

/** Rates over `seconds` before a server that makes `capacity(hz, s)` results a second. */
function over(rate, seconds, capacity, from_s = 0) {
  const seen = [];
  for (let s = from_s; s < from_s + seconds; s += 0.5) {
    rate.next(capacity(rate.hz, s), s * 1000);
    seen.push(rate.hz);
  }
  return seen;
}

// What is too much costs: it makes fewer results than it could.
const server = (most) => (hz) => (hz <= most ? hz : Math.max(1, most - 0.3 * (hz - most)));

test("a server that follows is given all there is", () => {
  const rate = new CameraRate(30);
  assert.deepEqual(new Set(over(rate, 60, server(60))), new Set([30]));
});

test("one that does not is given what it follows, soon and without swinging", () => {
  const rate = new CameraRate(20);
  const seen = over(rate, 300, server(15));
  assert.ok(seen.slice(20).every((hz) => hz >= 12 && hz <= 20));
  const settled = seen.slice(40);
  const followed = settled.filter((hz) => hz <= 15 && hz >= 13).length / settled.length;
  assert.ok(followed > 0.85, `${followed}`);
});

test("when it has more time it is given more", () => {
  const rate = new CameraRate(30);
  assert.equal(over(rate, 30, server(4)).at(-1), 8); // never less
  assert.equal(over(rate, 120, server(60), 30).at(-1), 30);
});

test("a pause now and then is no reason, and a long one costs little each time", () => {
  const rate = new CameraRate(20);
  const pausing = (hz, s) => (s % 20 < 1.5 ? 0.9 * hz : hz); // some 3 of 31 are missing for a while
  assert.deepEqual(new Set(over(rate, 300, pausing)), new Set([20]));
  const stalled = (hz, s) => (s % 300 < 6 ? 0.5 * hz : hz);
  const seen = over(rate, 3000, stalled, 300);
  const last = seen.slice(-600); // of the last five minutes
  assert.ok(last.filter((hz) => hz === 20).length > 0.85 * last.length);
});

test("a server that says nothing changes nothing, and a new start forgets", () => {
  const rate = new CameraRate(20);
  assert.deepEqual(new Set(over(rate, 60, () => 0)), new Set([20]));
  over(rate, 60, server(5), 60);
  assert.equal(rate.hz, 8);
  rate.reset();
  assert.equal(rate.hz, 20);
});
