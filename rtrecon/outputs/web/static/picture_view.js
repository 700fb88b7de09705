// The camera's picture with what was found in it. Of this page's own camera the frame is drawn
// that a result belongs to, so that the overlay lies on the face, not behind it.

import { drawOverlay } from "./overlay.js";

const KEPT = 24; // frames
const KEPT_PX = 480;
const KEPT_EACH_MS = 90; // where software draws: to keep a frame costs as much as half a result
const UPLINK_MS = 20; // from the camera to the server's grab, beside the network
const STALE_MS = 1500; // without results the live video is shown
const JUMP_MS = 5000;

export class PictureView {
  mirror = false;
  names = [];
  /** Whether anybody can see it. */
  isVisible = true;
  #canvas;
  #context;
  #video = null;
  #frames = [];
  #next = 0;
  #kept_ms = -Infinity;
  #bitmap = null;
  #result = null;
  #result_ms = -Infinity;
  #offset_ms = NaN;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{frugal?: boolean}} options `frugal`: fewer frames are kept
   */
  constructor(canvas, { frugal = false } = {}) {
    this.frugal = frugal;
    this.#canvas = canvas;
    // Where software draws, the processor does it better without OpenGL between.
    this.#context = canvas.getContext("2d", { alpha: true, willReadFrequently: frugal });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  get hasPicture() {
    return Boolean(this.#bitmap || this.#video);
  }

  /** Whose size is the picture's, for the shape of the pane. */
  get aspect() {
    const source = this.#video ?? this.#bitmap;
    const width = source?.videoWidth ?? source?.width ?? 0;
    const height = source?.videoHeight ?? source?.height ?? 0;
    return width && height ? width / height : 4 / 3;
  }

  /** @param {HTMLVideoElement|null} video of this page's own camera */
  setVideo(video) {
    this.#video = video;
    this.#frames = [];
    this.#next = 0;
    this.#offset_ms = NaN;
    if (video) this.#watch(video);
    this.draw();
  }

  /** Keeps a frame of the own camera. @returns {number} when, performance.now() in ms */
  keep(t_ms = performance.now()) {
    const video = this.#video;
    if (!video?.videoWidth) return t_ms;
    const slot = (this.#frames[this.#next] ??= { canvas: document.createElement("canvas"), t_ms: 0 });
    this.#next = (this.#next + 1) % KEPT;
    const shown_px = Math.max(this.#canvas.width, this.#canvas.height, 64); // no more than is seen
    const scale = Math.min(1, Math.min(KEPT_PX, shown_px) / Math.max(video.videoWidth, video.videoHeight));
    const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    if (slot.canvas.width !== width || slot.canvas.height !== height) Object.assign(slot.canvas, { width, height });
    slot.canvas.getContext("2d", { willReadFrequently: this.frugal }).drawImage(video, 0, 0, width, height);
    slot.t_ms = this.#kept_ms = t_ms;
    return t_ms;
  }

  /** Takes the result's picture. */
  update(result, arrived_ms, rtt_ms) {
    this.#result = result;
    this.#result_ms = arrived_ms;
    if (result.bitmap) {
      this.#bitmap?.close();
      this.#bitmap = result.bitmap;
      result.bitmap = null;
    }
    this.seen_ms = result.sender_t ?? this.#seen(result, arrived_ms - (result.age_ms ?? 0) - rtt_ms / 2) - UPLINK_MS;
    if (this.isVisible) this.draw();
  }

  /** When the server grabbed a picture: the frames' own clock, which does not waver, set by those
   * that came soonest. */
  #seen({ rtp }, grabbed_ms) {
    if (rtp === null || rtp === undefined) return grabbed_ms;
    const offset_ms = grabbed_ms - rtp / 90;
    if (!(Math.abs(offset_ms - this.#offset_ms) < JUMP_MS)) this.#offset_ms = offset_ms;
    else this.#offset_ms = Math.min(offset_ms, this.#offset_ms + 0.05); // clocks drift apart
    return rtp / 90 + this.#offset_ms;
  }

  /** Nothing came for a while. */
  clear() {
    this.#result = null;
    if (this.isVisible) this.draw();
  }

  draw() {
    const { canvas } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    const image = this.#image();
    if (!image) return;
    const [iw, ih] = [image.videoWidth ?? image.width, image.videoHeight ?? image.height];
    const result = this.#result;
    const [pw, ph] = result ? [result.width, result.height] : [iw, ih];
    const scale = Math.min(width / pw, height / ph);
    context.setTransform(this.mirror ? -scale : scale, 0, 0, scale, width / 2, height / 2);
    context.translate(-pw / 2, -ph / 2);
    context.drawImage(image, 0, 0, pw, ph);
    if (result) drawOverlay(context, result, this.names, ratio / scale);
  }

  get canvas() {
    return this.#canvas;
  }

  #image() {
    if (!this.#video) return this.#bitmap;
    const isLive = !this.#result || performance.now() - this.#result_ms > STALE_MS;
    const kept = isLive ? [] : this.#frames.filter(Boolean);
    if (!kept.length) return this.#video.videoWidth ? this.#video : null;
    const off = ({ t_ms }) => Math.abs(t_ms - this.seen_ms);
    return kept.reduce((best, frame) => (off(frame) < off(best) ? frame : best)).canvas;
  }

  #watch(video) {
    const each = () => {
      if (this.#video !== video) return;
      if (this.isVisible) {
        const now_ms = performance.now();
        if (!this.frugal || now_ms - this.#kept_ms > KEPT_EACH_MS) this.keep(now_ms);
        if (!this.#result || performance.now() - this.#result_ms > STALE_MS) this.draw();
      }
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(each);
      else setTimeout(each, 33);
    };
    each();
  }
}
