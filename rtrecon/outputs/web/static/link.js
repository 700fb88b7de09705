// The control channel: one WebSocket that comes back by itself.

export const PROTOCOL = 1;
const WAITS_S = [0.5, 1, 2, 4, 5];
const FINAL = new Map([
  [4001, "The address lacks the token, or it is an old one. Open the address that the terminal shows."],
  [4002, "This page came from another address than the server's. Open the one that the terminal shows."],
  [4004, "The server closed this page: it sent too much. Reload it."],
  [4006, "This page and the server are of different versions. Reload the page."],
]);

/**
 * Events, each a CustomEvent with `detail`: `welcome`, `state`, `camera`, `answer`, `error`,
 * `pong`, `taken` (messages as in docs/web.md); `bytes` (ArrayBuffer); `lost` {code, why, retry_s:
 * seconds, or null for never}; `garbage` {why}.
 */
export class Link extends EventTarget {
  welcome = null;
  sent = 0;
  #socket = null;
  #tries = 0;
  #timer = 0;
  #wanted = null;
  #closed = false;
  #rtt_ms = 0;

  /** @param {string} url of the WebSocket, with the token where there is one */
  constructor(url = addressOfSocket()) {
    super();
    this.url = url;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** ms there and back, smoothed; 0 until it is known. */
  get rtt_ms() {
    return this.#rtt_ms;
  }

  connect() {
    clearTimeout(this.#timer);
    this.#closed = false;
    if (this.#socket) return;
    let socket;
    try {
      socket = new WebSocket(this.url);
    } catch (error) {
      this.#emit("lost", { code: 0, why: error.message, retry_s: null });
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.send({ type: "hello", protocol: PROTOCOL, agent: navigator.userAgent.slice(0, 200) });
      if (this.#wanted) this.send(this.#wanted);
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#read(data) : this.#emit("bytes", data));
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  /** Try now instead of at the end of the wait. */
  retry() {
    if (!this.#socket) this.connect();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  /** @returns {boolean} whether it went out */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    this.sent++;
    return true;
  }

  /** Say what results must hold; kept for the next connection, not sent again if unchanged. */
  want(wanted) {
    const message = { type: "want", ...wanted };
    if (JSON.stringify(message) === JSON.stringify(this.#wanted)) return;
    this.#wanted = message;
    this.send(message);
  }

  shown(seq) {
    this.send({ type: "shown", seq });
  }

  /** @param {"calibrate"|"mirror"|"snapshot"|"record"} what */
  ask(what) {
    return this.send({ type: "ask", what });
  }

  ping() {
    this.send({ type: "ping", t: performance.now() });
  }

  /** A picture from this page's camera: `RTP1`. @param {ArrayBuffer} jpeg */
  sendPicture(seq, t_ms, jpeg) {
    if (!this.isOpen) return false;
    const out = new Uint8Array(16 + jpeg.byteLength);
    const view = new DataView(out.buffer);
    view.setUint32(0, 0x31505452, true); // "RTP1"
    view.setUint32(4, seq, true);
    view.setFloat64(8, t_ms, true);
    out.set(new Uint8Array(jpeg), 16);
    this.#socket.send(out);
    return true;
  }

  get buffered() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #read(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      this.#emit("garbage", { why: `a message that is not JSON: ${error.message}` });
      return;
    }
    if (typeof message?.type !== "string") {
      this.#emit("garbage", { why: "a message without a type" });
      return;
    }
    if (message.type === "welcome") {
      this.welcome = message;
      this.#tries = 0;
      this.ping();
    } else if (message.type === "pong") {
      const rtt_ms = performance.now() - message.t;
      if (rtt_ms >= 0) this.#rtt_ms = this.#rtt_ms ? this.#rtt_ms + 0.3 * (rtt_ms - this.#rtt_ms) : rtt_ms;
    }
    this.#emit(message.type, message);
  }

  #lost(code, reason) {
    this.#socket = null;
    if (this.#closed) return;
    const final = FINAL.get(code);
    const retry_s = final ? null : code === 4003 ? 5 : WAITS_S[Math.min(this.#tries++, WAITS_S.length - 1)];
    if (retry_s !== null) this.#timer = setTimeout(() => this.connect(), retry_s * 1000);
    const ended = code === 4005 ? "The run has ended." : code === 4003 ? "Too many pages are open already." : "";
    this.#emit("lost", { code, why: final || ended || reason || "The server does not answer.", retry_s });
  }
}

/** `/ws` of the page's own server, with the token of the page's address. */
export function addressOfSocket(place = window.location) {
  const url = new URL("/ws", place.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const token = new URLSearchParams(place.search).get("token");
  if (token) url.searchParams.set("token", token);
  return url.href;
}
