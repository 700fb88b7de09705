// This page's camera on its way to the server: WebRTC, or JPEG over the WebSocket.

import { CameraRate } from "./camera_rate.js";

const WIDTH = 640, HEIGHT = 480, RATE_HZ = 30;
const MOST_BITS = 2_500_000;
const WEBRTC_S = 5;
const GRANT_S = 15;
const GATHER_S = 1.5;
const JPEG_QUALITY = 0.7;
const TAKEN_S = 2;

/** What keeps the camera from working, in words for its owner. */
export class CameraError extends Error {
  name = "CameraError";

  constructor(code, words) {
    super(words);
    this.code = code;
  }
}

/**
 * Events: `change` (on, off, another transport), `bytes` (ArrayBuffer: a result over the data
 * channel), `words` (string: something to say), `lost` (CameraError: it went off by itself).
 */
export class Camera extends EventTarget {
  isOn = false;
  transport = null;
  video = null;
  deviceId = "";
  sent = 0;
  #link;
  #stream = null;
  #pc = null;
  #channel = null;
  #sequence = 0;
  #stopPictures = null;
  #attempt = 0;
  #keep;
  #rate;
  #sender = null;

  /**
   * @param {Link} link
   * @param {{transport?: "ws"|"webrtc"|null, keep?: (t_ms: number) => number}} options `transport`:
   *   that one and no other; `keep`: called for each picture that is sent over the WebSocket;
   *   `rate_hz`: of the camera
   */
  constructor(link, { transport = null, keep = (t_ms) => t_ms, rate_hz = RATE_HZ } = {}) {
    super();
    this.rate_hz = rate_hz;
    this.#rate = new CameraRate(rate_hz);
    this.#link = link;
    this.forced = transport;
    this.#keep = keep;
  }

  get stream() {
    return this.#stream;
  }

  /** @returns {Promise<MediaDeviceInfo[]>} cameras; without names until one was allowed */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return all.filter((device) => device.kind === "videoinput");
  }

  /**
   * Ask for the camera, then for leave to send, then send.
   *
   * @throws {CameraError}
   */
  async start(deviceId = this.deviceId) {
    const attempt = ++this.#attempt;
    await this.#close(false);
    const stream = await open(deviceId, this.rate_hz);
    if (attempt !== this.#attempt) return stop(stream);
    this.deviceId = deviceId;
    this.#stream = stream;
    const [track] = stream.getVideoTracks();
    track.contentHint = "motion";
    track.addEventListener("ended", () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.#emit("lost", new CameraError("unplugged", "The camera is gone: it was unplugged, or its permission was withdrawn."));
    });
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true, srcObject: stream });
    await this.video.play().catch(() => {});
    if (attempt !== this.#attempt) return;
    try {
      await this.#connect(attempt);
    } catch (error) {
      if (attempt === this.#attempt) await this.stop();
      throw error;
    }
  }

  /** After the control channel came back. */
  async resume() {
    if (!this.#stream) return;
    const attempt = ++this.#attempt;
    this.#hangUp();
    await this.#connect(attempt);
  }

  /** The server makes so many results a second; pictures over the WebSocket wait for it anyway. */
  follow(fps) {
    if (!this.isOn || this.transport !== "webrtc") return;
    const hz = this.#rate.next(fps, performance.now());
    if (hz !== null) this.#setRate(hz);
  }

  /** Give all pictures again, as when a page that was not looked at is. */
  async hasten() {
    this.#rate.reset();
    if (this.#stream) await this.#setRate(this.#rate.hz);
  }

  async stop() {
    this.#attempt++;
    await this.#close(true);
  }

  async #connect(attempt) {
    if (this.#rate.hz !== this.rate_hz) await this.hasten(); // of the connection before this one
    else this.#rate.reset();
    if (attempt !== this.#attempt) return;
    const wanted = this.forced ?? ("RTCPeerConnection" in window ? "webrtc" : "ws");
    await this.#ask(wanted);
    if (attempt !== this.#attempt) return;
    let transport = wanted;
    if (wanted === "webrtc") {
      try {
        await this.#call(attempt);
      } catch (error) {
        if (attempt !== this.#attempt) return;
        this.#hangUp();
        if (this.forced) throw new CameraError("webrtc", `WebRTC does not come up: ${error.message}`);
        transport = "ws";
        this.#emit("words", "WebRTC does not come up here: pictures go over the WebSocket, a little slower.");
        await this.#ask("ws");
      }
    }
    if (attempt !== this.#attempt) return;
    this.transport = transport;
    this.isOn = true;
    if (transport === "ws") this.#sendPictures();
    this.#emit("change");
  }

  async #ask(transport) {
    const { width, height } = this.#stream.getVideoTracks()[0].getSettings();
    const answer = once(this.#link, "camera", GRANT_S);
    const message = { type: "camera", on: true, transport, width: width ?? WIDTH, height: height ?? HEIGHT, mirror: true };
    if (!this.#link.send(message)) throw new CameraError("link", "The server does not answer: the camera goes on when it is back.");
    const words = await answer.catch(() => null);
    if (!words) throw new CameraError("link", "The server does not answer to the camera's request.");
    if (!words.granted) throw new CameraError("refused", [words.why, words.remedy].filter(Boolean).join(" ") || "The server does not take this camera.");
  }

  /** WebRTC: one track there, results back over a channel that may lose some. */
  async #call(attempt) {
    const pc = new RTCPeerConnection({ iceServers: this.#link.welcome?.ice_servers ?? [] });
    this.#pc = pc;
    const channel = pc.createDataChannel("results", { ordered: false, maxRetransmits: 0 });
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => data instanceof ArrayBuffer && this.#emit("bytes", data);
    this.#channel = channel;
    const [track] = this.#stream.getVideoTracks();
    const { sender } = pc.addTransceiver(track, {
      direction: "sendonly",
      streams: [this.#stream],
      sendEncodings: [{ maxBitrate: MOST_BITS, maxFramerate: this.rate_hz }],
    });
    await pc.setLocalDescription(await pc.createOffer());
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await sender.setParameters(parameters).catch(() => {}); // Firefox and Safari know it not
    this.#sender = sender;
    await gathered(pc);
    if (attempt !== this.#attempt) return;
    const answer = once(this.#link, "answer", WEBRTC_S);
    this.#link.send({ type: "offer", sdp: pc.localDescription.sdp });
    await pc.setRemoteDescription({ type: "answer", sdp: (await answer).sdp });
    await isUp(pc, channel, WEBRTC_S);
    pc.onconnectionstatechange = () => {
      if (this.#pc !== pc || pc.connectionState !== "failed" || attempt !== this.#attempt) return;
      this.#emit("words", "The camera's connection broke: it is made anew.");
      this.resume().catch((error) => this.#emit("lost", error));
    };
  }

  /** Fewer pictures, from the camera on where it can, else from the coder on. */
  async #setRate(hz) {
    const [track] = this.#stream?.getVideoTracks() ?? [];
    const parameters = this.#sender?.getParameters();
    const limits = { maxFramerate: hz, maxBitrate: Math.round((MOST_BITS * hz) / this.rate_hz) };
    for (const encoding of parameters?.encodings ?? []) Object.assign(encoding, limits);
    await Promise.allSettled([
      track?.applyConstraints({ ...track.getConstraints(), frameRate: { ideal: hz, max: hz } }),
      parameters && this.#sender.setParameters(parameters),
    ]);
  }

  /** JPEG pictures, the newest, one under way. */
  #sendPictures() {
    const { video } = this;
    const canvas = document.createElement("canvas");
    let isUnderWay = false, timer = 0, isStopped = false;
    const free = () => {
      isUnderWay = false;
      clearTimeout(timer);
    };
    const blobOf = () => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    const send = async () => {
      if (isUnderWay || !this.#link.isOpen || !video.videoWidth || this.#link.buffered > 0) return;
      isUnderWay = true;
      timer = setTimeout(free, TAKEN_S * 1000);
      const scale = Math.min(1, WIDTH / Math.max(video.videoWidth, video.videoHeight));
      const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      canvas.getContext("2d", { alpha: false }).drawImage(video, 0, 0, width, height);
      const t_ms = this.#keep(performance.now());
      const blob = await blobOf();
      if (isStopped || !blob || !this.#link.sendPicture(++this.#sequence, t_ms, await blob.arrayBuffer())) free();
      else this.sent++;
    };
    this.#link.addEventListener("taken", free);
    const each = () => {
      if (isStopped) return;
      send();
      // A hidden page gets no frames to draw, but timers, once a second.
      if (video.requestVideoFrameCallback && !document.hidden) {
        const fallback = setTimeout(each, 1000);
        video.requestVideoFrameCallback(() => {
          clearTimeout(fallback);
          each();
        });
      } else setTimeout(each, 1000 / this.rate_hz);
    };
    each();
    this.#stopPictures = () => {
      isStopped = true;
      free();
      this.#link.removeEventListener("taken", free);
    };
  }

  #hangUp() {
    this.#stopPictures?.();
    this.#stopPictures = null;
    this.#channel?.close();
    this.#pc?.close();
    this.#channel = this.#pc = this.#sender = null;
  }

  async #close(says) {
    const wasOn = this.isOn || this.#stream;
    this.#hangUp();
    stop(this.#stream);
    this.#stream = null;
    if (this.video) this.video.srcObject = null;
    this.video = null;
    this.isOn = false;
    this.transport = null;
    if (says && wasOn) {
      this.#link.send({ type: "camera", on: false });
      this.#emit("change");
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

async function open(deviceId, rate_hz) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new CameraError(
      "insecure",
      window.isSecureContext
        ? "This browser gives pages no camera."
        : "Browsers give the camera to secure pages alone. Open this one as http://localhost on the computer that runs rtrecon, or over https: with --host, rtrecon shows such an address.",
    );
  }
  const video = { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: rate_hz } };
  if (deviceId) video.deviceId = { exact: deviceId };
  else video.facingMode = "user";
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw inWords(error);
  }
}

export function inWords(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new CameraError("denied", "The camera was not allowed. Allow it in the browser's address bar, beside the address, and try again.");
    case "NotFoundError":
    case "DevicesNotFoundError":
      return new CameraError("none", "There is no camera. Plug one in and try again.");
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return new CameraError("busy", "The camera does not start: another program has it, perhaps. Close that one and try again.");
    case "OverconstrainedError":
      return new CameraError("none", "That camera is not there any more. Choose another one.");
    default:
      return new CameraError("failed", `The camera does not start: ${error.message || error.name}.`);
  }
}

function stop(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

/** The next message of a type. @returns {Promise<object>} */
function once(link, type, limit_s) {
  return new Promise((resolve, reject) => {
    const over = (settle, value) => {
      clearTimeout(timer);
      link.removeEventListener(type, take);
      link.removeEventListener("lost", gone);
      settle(value);
    };
    const take = ({ detail }) => over(resolve, detail);
    const gone = () => over(reject, new Error("the server is gone"));
    const timer = setTimeout(() => over(reject, new Error(`no ${type} within ${limit_s} s`)), limit_s * 1000);
    link.addEventListener(type, take);
    link.addEventListener("lost", gone);
  });
}

/** An offer goes out whole, with its candidates. */
function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_S * 1000);
    pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && resolve());
  });
}

function isUp(pc, channel, limit_s) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no connection within ${limit_s} s`)), limit_s * 1000);
    const look = () => {
      if (pc.connectionState === "failed" || pc.connectionState === "closed") {
        clearTimeout(timer);
        reject(new Error("the connection failed"));
      } else if (pc.connectionState === "connected" && channel.readyState === "open") {
        clearTimeout(timer);
        resolve();
      }
    };
    pc.addEventListener("connectionstatechange", look);
    channel.addEventListener("open", look);
    look();
  });
}
