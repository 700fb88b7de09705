// The 3D view: renderer, camera, controls, and the one loop that draws.

import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

const FIELD_DEG = 26;
const SPAN_M = 0.34; // what is to be seen in full: a head and some air
/** From the middle of a head, which is at the origin of `root`, to the middle of its eyes. */
export const EYES_M = [0, 0.03, 0.05];
const HIGHEST_M = 0.135; // above the eyes of an avatar that is drawn as large as it is
const SWAY = { angle_rad: 0.42, period_s: 9 };
const FOLLOW_S = 0.35;
const BACKGROUND = 0x0e1116;
const FRUGAL_PX = 160_000;
const REST_MS = 80; // where software draws: a browser that is asked for frames makes them, drawn or not

/**
 * scene
 * └ root     what a headset moves and scales; at the origin on a screen
 *   ├ subject   mirrored by `mirror` (scale.x)
 *   │ └ faces   children are in the CAMERA frame (OpenCV: x right, y down, z forward, metres);
 *   │           the middle of the head comes to lie at the origin of `root`
 *   └ avatar    children are in three's frame, the middle of the eyes at the origin, facing +z;
 *               already mirrored by who moves it
 *
 * Events: `lost` and `restored` (of WebGL), `touched` (the view was turned by hand), `drawn`.
 */
export class Stage extends EventTarget {
  scene = new THREE.Scene();
  root = new THREE.Group();
  subject = new THREE.Group();
  faces = new THREE.Group();
  avatar = new THREE.Group();
  /** Seconds between frames are given to each: (dt_s, now_ms, xrFrame). */
  #callbacks = new Set();
  #dirty = true;
  #last_ms = 0;
  #started_ms = 0;
  #center = null;
  #goal = new THREE.Vector3();
  #turned = false;
  #isLost = false;
  #rest = 0; // a timer's, while no frames are asked for

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{transparent?: boolean, still?: boolean}} options `still`: no turning by itself
   * @throws {Error} there is no WebGL 2
   */
  constructor(canvas, { transparent = false, still = false } = {}) {
    super();
    this.canvas = canvas;
    this.transparent = transparent;
    /** Software draws: fewer pixels, and only when there is something new. */
    this.frugal = isSoftware();
    this.sways = !still;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: !this.frugal, alpha: true });
    this.renderer.setClearColor(BACKGROUND, 0);
    this.renderer.xr.enabled = true;
    this.camera = new THREE.PerspectiveCamera(FIELD_DEG, 1, 0.05, 20);
    this.controls = new OrbitControls(this.camera, canvas);
    Object.assign(this.controls, { enableDamping: true, dampingFactor: 0.12, rotateSpeed: 0.8, zoomSpeed: 0.8 });
    Object.assign(this.controls, { minDistance: 0.15, maxDistance: 4 });
    this.controls.addEventListener("start", () => this.#touched());
    this.controls.addEventListener("change", () => this.invalidate());
    this.scene.add(this.root);
    this.root.add(this.subject, this.avatar);
    this.subject.add(this.faces);
    this.faces.rotation.x = Math.PI;
    this.avatar.visible = false;
    this.avatar.position.fromArray(EYES_M);
    this.#light();
    this.resetView();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement ?? canvas);
    this.resize();
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.#isLost = true;
      this.dispatchEvent(new Event("lost"));
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.#isLost = false;
      this.invalidate();
      this.dispatchEvent(new Event("restored"));
    });
    this.renderer.xr.addEventListener("sessionstart", () => this.#wake());
    this.#wake();
  }

  get isLost() {
    return this.#isLost;
  }

  /** Call before each drawn frame. @returns {() => void} to stop it */
  onFrame(callback) {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Draw at the next chance. */
  invalidate() {
    this.#dirty = true;
    if (this.#rest) this.#wake();
  }

  #wake() {
    clearTimeout(this.#rest);
    this.#rest = 0;
    this.renderer.setAnimationLoop((now_ms, xrFrame) => this.#frame(now_ms, xrFrame));
  }

  /** Ask for no frames until there is something to draw, or to look whether there is. */
  #sleep() {
    if (this.#rest || this.#dirty || this.renderer.xr.isPresenting) return;
    this.renderer.setAnimationLoop(null);
    this.#rest = setTimeout(() => this.#wake(), REST_MS);
  }

  get mirror() {
    return this.subject.scale.x < 0;
  }

  set mirror(on) {
    this.subject.scale.x = on ? -1 : 1;
    this.invalidate();
  }

  /** @param {"face"|"avatar"} what */
  show(what) {
    this.subject.visible = what !== "avatar";
    this.avatar.visible = what === "avatar";
    this.invalidate();
  }

  /** An avatar's origin is between its eyes: the middle of its head comes to the origin, and what
   * is as high as a hat or an anime's hair is drawn smaller. */
  frameAvatar({ above_m = 0.12 } = {}) {
    this.avatar.position.fromArray(EYES_M);
    this.avatar.scale.setScalar(Math.min(1, HIGHEST_M / Math.max(above_m, 0.01)));
    this.invalidate();
  }

  /** Keep this point (camera frame, metres) in the middle; the first time at once. */
  follow(x, y, z) {
    this.#goal.set(x, y, z);
    if (!this.#center) this.#center = this.#goal.clone();
  }

  /** Look for a new middle at once, as for a new person. */
  forget() {
    this.#center = null;
  }

  /** From the front, turning gently until touched. */
  resetView() {
    this.#turned = false;
    this.#started_ms = 0;
    this.controls.target.set(0, 0, 0);
    this.camera.position.set(0, 0.02, 1);
    this.#fit();
    this.controls.update();
    this.invalidate();
  }

  /** Turn by an angle, as the arrow keys do. */
  turn(right_rad, up_rad) {
    this.#touched();
    const from = new THREE.Spherical().setFromVector3(this.camera.position.clone().sub(this.controls.target));
    from.theta += right_rad;
    from.phi = Math.min(Math.max(from.phi - up_rad, 0.2), Math.PI - 0.2);
    this.camera.position.setFromSpherical(from).add(this.controls.target);
    this.invalidate();
  }

  /** @param {number} factor below 1: nearer */
  zoom(factor) {
    this.#touched();
    const offset = this.camera.position.clone().sub(this.controls.target);
    offset.setLength(Math.min(Math.max(offset.length() * factor, 0.15), 4));
    this.camera.position.copy(this.controls.target).add(offset);
    this.invalidate();
  }

  resize() {
    if (this.renderer.xr.isPresenting) return;
    const box = this.canvas.parentElement ?? this.canvas;
    const width = Math.max(box.clientWidth, 2);
    const height = Math.max(box.clientHeight, 2);
    const most = this.frugal ? Math.min(1, Math.sqrt(FRUGAL_PX / (width * height))) : 2;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, most));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (!this.#turned) this.#fit();
    this.invalidate();
  }

  /** @returns {Promise<Blob>} PNG of the view as it is now */
  snapshot() {
    this.withBackground(true);
    this.renderer.render(this.scene, this.camera);
    const blob = new Promise((resolve, reject) => {
      this.canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no picture came"))), "image/png");
    });
    this.withBackground(false);
    this.invalidate();
    return blob;
  }

  /** Draw the background too, for pictures and recordings; never in the transparent mode. */
  withBackground(on) {
    this.scene.background = on && !this.transparent ? new THREE.Color(BACKGROUND) : null;
    this.invalidate();
  }

  #touched() {
    if (this.#turned) return;
    this.#turned = true;
    this.dispatchEvent(new Event("touched"));
  }

  #fit() {
    const half = Math.tan(THREE.MathUtils.degToRad(FIELD_DEG / 2));
    const distance_m = SPAN_M / 2 / half / Math.min(1, this.camera.aspect);
    this.camera.position.sub(this.controls.target).setLength(distance_m).add(this.controls.target);
  }

  /** For avatars; faces bring their own. */
  #light() {
    const sun = new THREE.DirectionalLight(0xffffff, 1.9);
    sun.position.set(0.5, 0.8, 1.4);
    const rim = new THREE.DirectionalLight(0x9db8ff, 0.8);
    rim.position.set(-0.8, 0.5, -1);
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x8a7f78, 1.4), sun, rim);
  }

  #frame(now_ms, xrFrame) {
    const dt_s = Math.min((now_ms - this.#last_ms) / 1000, 0.1);
    this.#last_ms = now_ms;
    const presenting = this.renderer.xr.isPresenting;
    for (const callback of this.#callbacks) callback(dt_s, now_ms, xrFrame);
    this.#move(dt_s);
    if (!presenting) {
      const wasDirty = this.#dirty;
      const swayed = this.#sway(now_ms);
      this.controls.update(); // says that the camera moved
      if (swayed && this.frugal) this.#dirty = wasDirty;
    }
    if ((!this.#dirty && !presenting) || this.#isLost) {
      // Not within a frame: the next one is asked for behind it.
      if (this.frugal && !presenting) setTimeout(() => this.#sleep());
      return;
    }
    this.#dirty = false;
    this.renderer.render(this.scene, this.camera);
    this.dispatchEvent(new CustomEvent("drawn", { detail: { now_ms } }));
  }

  /** The middle of the head comes to the origin, softly. */
  #move(dt_s) {
    if (!this.#center) return;
    const far = this.#center.distanceTo(this.#goal);
    if (far > 1e-5) {
      this.#center.lerp(this.#goal, far > 0.3 ? 1 : 1 - Math.exp(-dt_s / FOLLOW_S));
      if (!this.frugal) this.invalidate();
    }
    this.faces.position.set(-this.#center.x, this.#center.y, this.#center.z);
  }

  /** @returns {boolean} whether the camera was moved; software draws that with the next result */
  #sway(now_ms) {
    if (this.#turned || !this.sways) return false;
    if (!this.#started_ms) this.#started_ms = now_ms;
    const angle = SWAY.angle_rad * Math.sin((2 * Math.PI * (now_ms - this.#started_ms)) / 1000 / SWAY.period_s);
    const radius = this.camera.position.distanceTo(this.controls.target);
    const up = 0.06 * radius;
    const flat = Math.sqrt(radius * radius - up * up);
    this.camera.position.set(flat * Math.sin(angle), up, flat * Math.cos(angle));
    if (!this.frugal) this.invalidate();
    return true;
  }
}

/** Whether pixels are made by the processor. */
export function isSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false;
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}
