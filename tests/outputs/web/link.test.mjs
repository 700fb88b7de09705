import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

/** A WebSocket whose other end is the test. */
class Socket {
  static OPEN = 1;
  static all = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = url;
    Socket.all.push(this);
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  send(data) {
    this.sent.push(data);
  }

  say(message) {
    this.onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  end(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  close(code) {
    this.end(code);
  }
}
globalThis.WebSocket = Socket;
Object.defineProperty(globalThis, "navigator", { value: { userAgent: "test" }, configurable: true });

const { addressOfSocket, Link } = await import("../../../rtrecon/outputs/web/static/link.js");

/** Waits that are over when the test says so. */
let waits = [];
globalThis.setTimeout = (act, ms) => waits.push({ act, ms });
globalThis.clearTimeout = (at) => at && delete waits[at - 1];
const passed = () => {
  const due = waits.filter(Boolean);
  waits = [];
  due.forEach(({ act }) => act());
  return due.map(({ ms }) => ms);
};

function heard(link, type) {
  const found = [];
  link.addEventListener(type, ({ detail }) => found.push(detail));
  return found;
}

const texts = (socket) => socket.sent.map((text) => JSON.parse(text));
const newest = () => Socket.all.at(-1);
const welcome = { type: "welcome", protocol: 1 };

beforeEach(() => {
  Socket.all = [];
  waits = [];
});

test("the address has the page's token and its kind of security", () => {
  const of = (href) => addressOfSocket(new URL(href));
  assert.equal(of("http://localhost:8765/?view=face"), "ws://localhost:8765/ws");
  assert.equal(of("https://10.0.0.2:8765/?token=a%2Bb&view=face"), "wss://10.0.0.2:8765/ws?token=a%2Bb");
});

test("hello comes first, then what is wanted, and each want once", () => {
  const link = new Link("ws://x/ws");
  link.connect();
  link.want({ layers: ["head"], max_hz: 60 });
  newest().open();
  link.want({ layers: ["head"], max_hz: 60 });
  link.want({ layers: [], max_hz: 1 });
  assert.deepEqual(texts(newest()).map(({ type, layers }) => [type, layers]), [
    ["hello", undefined],
    ["want", ["head"]],
    ["want", []],
  ]);
  assert.equal(texts(newest())[0].protocol, 1);
});

test("it comes back by itself, after longer and longer waits, and wants the same", () => {
  const link = new Link("ws://x/ws");
  const lost = heard(link, "lost");
  link.want({ layers: ["depth"] });
  link.connect();
  const waited = [];
  for (let k = 0; k < 7; k++) {
    newest().end(1006);
    waited.push(...passed());
  }
  assert.deepEqual(waited, [500, 1000, 2000, 4000, 5000, 5000, 5000]);
  assert.equal(lost[1].retry_s, 1);
  newest().open();
  newest().say(welcome);
  assert.deepEqual(texts(newest()).map(({ type }) => type), ["hello", "want", "ping"]);
  newest().end(1006);
  assert.deepEqual(passed(), [500], "a connection that came up begins anew");
});

test("a run that ended may begin again; a wrong token or version does not mend itself", () => {
  for (const [code, again] of [[4005, true], [4003, true], [4001, false], [4002, false], [4004, false], [4006, false]]) {
    const link = new Link("ws://x/ws");
    const lost = heard(link, "lost");
    link.connect();
    newest().end(code);
    assert.equal(lost[0].retry_s !== null, again, String(code));
    assert.ok(lost[0].why.length > 10);
    assert.equal(passed().length, again ? 1 : 0);
  }
});

test("garbage is said and harms nothing", () => {
  const link = new Link("ws://x/ws");
  const garbage = heard(link, "garbage");
  const states = heard(link, "state");
  link.connect();
  newest().open();
  for (const text of ["{", "null", "[]", "7", '"state"', "{}", '{"type":3}']) newest().say(text);
  newest().say({ type: "state", fps: 3 });
  assert.equal(garbage.length, 7);
  assert.equal(states[0].fps, 3);
});

test("a picture has its number and its time in front", () => {
  const link = new Link("ws://x/ws");
  link.connect();
  assert.equal(link.sendPicture(1, 2.5, new ArrayBuffer(3)), false, "not before it is open");
  newest().open();
  assert.equal(link.sendPicture(7, 2.5, Uint8Array.from([9, 8, 7]).buffer), true);
  const bytes = newest().sent.at(-1);
  const view = new DataView(bytes.buffer);
  assert.equal(String.fromCharCode(...bytes.slice(0, 4)), "RTP1");
  assert.equal(view.getUint32(4, true), 7);
  assert.equal(view.getFloat64(8, true), 2.5);
  assert.deepEqual([...bytes.slice(16)], [9, 8, 7]);
});

test("a closed link stays closed", () => {
  const link = new Link("ws://x/ws");
  const lost = heard(link, "lost");
  link.connect();
  newest().open();
  link.close();
  assert.deepEqual([lost.length, passed().length], [0, 0]);
});
