// The page: what comes from the server goes to the views, what the person does goes to both.

import { Bars } from "./bars.js";
import { Camera } from "./camera.js";
import { CameraCard } from "./camera_card.js";
import { Controls } from "./controls.js";
import { debug, forgetTimes, noteArrived, noteDrawn } from "./debug.js";
import { FacesView } from "./faces_view.js";
import { Link, PROTOCOL } from "./link.js";
import { Notices } from "./notices.js";
import { PictureView } from "./picture_view.js";
import { Results, release } from "./results.js";
import { withToken } from "./saving.js";
import { Stage } from "./stage.js";
import { Status } from "./status.js";
import { readTopology } from "./wire.js";

const VIEWS = ["picture", "face", "avatar"];
const STALE_MS = 2500;
const NOT_DRAWN_MS = 1500;
const HIDDEN_HZ = 1;
const FRUGAL_BARS_MS = 250;
const FRUGAL_CAMERA_HZ = 20;
const PICTURE_PX = { inset: 256, large: 448 }; // so that a result stays below 40 kB
const TEXTURE_PX = { inset: 128, large: 256 };

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(window.location.search);
const isTransparent = query.get("transparent") === "1";
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

class Page {
  view = VIEWS.includes(query.get("view")) ? query.get("view") : "face";
  notices = new Notices($("notices"), $("banner"));
  status = new Status($("state"), $("figures"), $("source"));
  link = new Link();
  results = new Results();
  names = [];
  knowsHead = false; // whether there is one, or not
  newest = null; // header of the newest result
  newest_ms = -Infinity;
  #undrawn = []; // numbers of results that the next drawing shows
  #drawnTimes = [];
  #nudged_ms = 0;
  #bars_ms = 0;
  #version = null;
  #isDead = false;
  #isOld = false;
  asksMirror = false;

  constructor() {
    document.body.classList.toggle("transparent", isTransparent);
    this.stage = new Stage($("stage"), { transparent: isTransparent, still: isTransparent || calm.matches });
    this.faces = new FacesView(this.stage);
    this.picture = new PictureView($("picture"), { frugal: this.stage.frugal });
    this.bars = new Bars($("bars"));
    this.camera = new Camera(this.link, {
      transport: ["ws", "webrtc"].includes(query.get("transport")) ? query.get("transport") : null,
      keep: (t_ms) => this.picture.keep(t_ms),
      rate_hz: this.stage.frugal ? FRUGAL_CAMERA_HZ : undefined,
    });
    this.#listen();
    this.cameraCard = new CameraCard(this);
    this.controls = new Controls(this);
    this.setView(this.view);
    this.setPanel(window.innerWidth > 1180 && !isTransparent);
    this.loadTopology();
    this.link.connect();
    setInterval(() => this.#tick(), 250);
    setInterval(() => this.link.ping(), 5000);
  }

  // What is shown

  setView(view) {
    this.view = debug.view = view;
    document.body.dataset.view = view;
    for (const button of document.querySelectorAll(".views button")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    this.stage.show(view === "avatar" ? "avatar" : "face");
    if (view === "avatar") this.loadAvatar();
    this.#want();
    this.picture.draw();
    this.sayState();
  }

  toggle(name) {
    const style = { [name]: !this.faces.style[name] };
    if (style.depth) style.light = false;
    if (style.light) style.depth = false;
    this.faces.setStyle(style);
    for (const button of document.querySelectorAll("[data-toggle]")) {
      button.setAttribute("aria-pressed", String(this.faces.style[button.dataset.toggle]));
    }
    if (this.view !== "face") this.setView("face");
    this.#want();
  }

  setPanel(on) {
    $("panel").hidden = !on;
    $("toggle-panel").setAttribute("aria-pressed", String(on));
    if (on) this.bars.update(this.newest?.faces[0]?.coefficients);
  }

  say(words, kind) {
    debug.notices.push(words);
    this.notices.say(words, kind);
  }

  /** Layers for what can be seen, and nothing else. */
  #want() {
    if (document.hidden && !this.stage.renderer.xr.isPresenting) {
      this.#ask({ layers: [], max_hz: HIDDEN_HZ });
      return;
    }
    const layers = [];
    const showsPicture = !isTransparent && !this.stage.renderer.xr.isPresenting;
    const isLarge = this.view === "picture";
    this.picture.isVisible = showsPicture;
    if (showsPicture) {
      if (!this.camera.isOn) layers.push("picture");
      layers.push("points");
    }
    if (this.view !== "avatar" && this.knowsHead) {
      layers.push(this.faces.wantsHead ? "head" : "depth");
      if (this.faces.wantsTexture) layers.push("texture");
    }
    const side = (px) => px[isLarge ? "large" : "inset"];
    this.#ask({ layers, picture_px: side(PICTURE_PX), texture_px: isLarge ? TEXTURE_PX.inset : TEXTURE_PX.large, max_hz: 60 });
  }

  #ask(wanted) {
    debug.want = wanted;
    this.link.want(wanted);
  }

  // What comes from the server

  async loadTopology() {
    for (let wait_s = 0.5; ; wait_s = Math.min(2 * wait_s, 8)) {
      try {
        const answer = await fetch(withToken("/head.json"));
        if (!answer.ok) throw new Error(`${answer.status} ${(await answer.text()).slice(0, 200)}`);
        const topology = readTopology(await answer.json());
        this.results.rest = topology.rest;
        this.faces.topology = topology;
        this.knowsHead = true;
        this.#setNames(topology.arkit);
        this.#want();
        return;
      } catch (error) {
        this.knowsHead = true;
        this.#want();
        this.notices.once("head", `The whole head is not there, so the face is shown as the camera sees it: ${error.message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, wait_s * 1000));
    }
  }

  #setNames(names) {
    this.names = this.picture.names = names;
    this.bars.setNames(names);
  }

  #listen() {
    const { link, results, camera } = this;
    const on = (target, type, act) => target.addEventListener(type, ({ detail }) => act(detail));
    on(link, "welcome", (words) => this.#welcome(words));
    on(link, "state", (words) => this.#state(words));
    on(link, "lost", (words) => this.#lost(words));
    on(link, "error", (words) => this.#error(words));
    on(link, "garbage", ({ why }) => this.#garbage(why));
    on(link, "bytes", (bytes) => this.#bytes(bytes));
    on(camera, "bytes", (bytes) => this.#bytes(bytes));
    on(results, "ready", (found) => this.#ready(found));
    on(results, "garbage", ({ why, seq }) => {
      this.#garbage(why);
      if (seq !== null) link.shown(seq);
    });
    // Not said as shown: what is drawn after it says so for all before it, and until then the
    // server sends no more than a slow page can take.
    on(results, "skipped", () => debug.skipped++);
    on(camera, "change", () => this.cameraChanged());
    on(camera, "words", (words) => this.say(words));
    on(camera, "lost", (error) => this.cameraCard.failed(error));
    on(this.stage, "drawn", ({ now_ms }) => this.#drawn(now_ms));
    this.stage.addEventListener("touched", () => ($("hint").style.opacity = 0));
    this.stage.addEventListener("lost", () => {
      debug.contextLost++;
      $("stage").style.visibility = "hidden"; // browsers draw a torn page there
      this.say("The graphics card was lost; it comes back by itself, as a rule.", "bad");
    });
    this.stage.addEventListener("restored", () => {
      $("stage").style.visibility = "";
      this.say("The graphics card is back.");
    });
    document.addEventListener("visibilitychange", () => this.#woke());
    window.addEventListener("error", ({ message, error }) => this.#failed(error ?? message));
    window.addEventListener("unhandledrejection", ({ reason }) => this.#failed(reason));
  }

  #welcome(words) {
    if (words.protocol !== PROTOCOL || (this.#version && words.version !== this.#version)) {
      this.#old();
      return;
    }
    this.#version = words.version;
    debug.welcome = words;
    debug.connected = true;
    debug.connections++;
    debug.lost = null;
    this.#isDead = false;
    this.results.restart();
    this.#undrawn = [];
    forgetTimes();
    this.notices.release();
    if (debug.connections > 1) this.say("Connected again.");
    this.status.setRun(words);
    const own = words.camera === "browser";
    $("camera").hidden = !own;
    $("about").textContent = `rtrecon ${words.version}; ${words.model} on ${words.provider}. Head model: ICT FaceKit (MIT). three.js and three-vrm (MIT).`;
    if (own && this.camera.stream) this.camera.resume().catch((error) => this.cameraCard.failed(error));
    else if (own && query.get("camera") === "1") this.cameraCard.start();
    this.sayState();
  }

  #state(words) {
    debug.state = words;
    this.status.setState(words);
    this.camera.follow(words.fps);
    const mirrored = Boolean(words.mirrored);
    if (this.asksMirror) {
      this.asksMirror = false;
      if (!mirrored) this.link.ask("mirror");
    }
    if (mirrored !== this.stage.mirror || mirrored !== this.picture.mirror) {
      this.stage.mirror = this.picture.mirror = mirrored;
      this.picture.draw();
    }
    $("mirror").setAttribute("aria-pressed", String(mirrored));
    this.sayState();
  }

  #lost({ code, why, retry_s }) {
    debug.connected = false;
    debug.lost = { code, why, retry_s };
    this.#isDead = retry_s === null;
    this.retryAt_ms = retry_s === null ? null : performance.now() + retry_s * 1000;
    this.#lostWords = why;
    this.#countDown();
    this.sayState();
  }

  #lostWords = "";

  #countDown() {
    if (debug.connected || !debug.lost || this.#isOld) return;
    if (this.#isDead) {
      this.notices.hold(this.#lostWords, { label: "Reload", act: () => window.location.reload() });
      return;
    }
    const left_s = Math.max(0, Math.ceil((this.retryAt_ms - performance.now()) / 1000));
    const when = left_s > 0 ? `Next try in ${left_s} s.` : "Trying …";
    this.notices.hold(`${this.#lostWords} ${when}`, { label: "Try now", act: () => this.link.retry() });
  }

  #old() {
    this.#isOld = true;
    debug.connected = false;
    this.link.close();
    debug.errors.push("protocol");
    this.notices.hold("The server was changed, and this page is older than it.", { label: "Reload", act: () => window.location.reload() });
  }

  #error({ code, message, remedy }) {
    debug.errors.push(code);
    if (code === "protocol") this.#old();
    else this.say([message, remedy].filter(Boolean).join(" "), "bad");
  }

  #garbage(why) {
    debug.garbage++;
    console.warn("rtrecon: skipped what is no result:", why);
    this.notices.once("garbage", "Something came that is no result; it is skipped. Should that go on, reload the page.");
  }

  #failed(reason) {
    const words = String(reason?.message ?? reason);
    if (/ResizeObserver loop/.test(words)) return;
    debug.errors.push(words);
    this.notices.once(words, `Something in this page failed: ${words}`);
  }

  #bytes(bytes) {
    debug.received++;
    debug.bytes = bytes.byteLength;
    this.results.push(bytes);
  }

  // Results

  #ready({ result, arrived_ms }) {
    const { picture } = this;
    noteArrived(result, arrived_ms);
    this.newest = result;
    this.newest_ms = performance.now();
    if (document.hidden && !this.stage.renderer.xr.isPresenting) {
      release(result);
      this.link.shown(result.seq);
      return;
    }
    this.faces.update(result);
    picture.update(result, arrived_ms, this.link.rtt_ms);
    release(result);
    $("no-picture").hidden = picture.hasPicture;
    this.#shape();
    if (!$("panel").hidden && !this.#sparesBars()) this.bars.update(result.faces[0]?.coefficients);
    this.#undrawn.push(result.seq);
    this.stage.invalidate();
    this.sayState();
  }

  /** The pane of the small picture has the picture's shape. */
  #shape() {
    const ratio = this.picture.aspect.toFixed(3);
    if (this.ratio === ratio) return;
    this.ratio = ratio;
    document.body.style.setProperty("--picture", ratio);
  }

  #drawn(now_ms) {
    if (!this.#undrawn.length) return;
    noteDrawn(this.#undrawn);
    this.link.shown(debug.lastDrawnSeq);
    this.#undrawn = [];
    this.#drawnTimes.push(now_ms);
    while (now_ms - this.#drawnTimes[0] > 2000) this.#drawnTimes.shift();
    this.status.drawn_hz = this.#drawnTimes.length > 1 ? ((this.#drawnTimes.length - 1) * 1000) / (now_ms - this.#drawnTimes[0]) : 0;
  }

  #woke() {
    this.#want();
    if (!document.hidden) {
      this.camera.hasten();
      this.link.retry();
      this.stage.invalidate();
    }
  }

  #tick() {
    this.#countDown();
    if (performance.now() - this.newest_ms > STALE_MS && this.faces.isShown && !document.hidden && !this.stage.renderer.xr.isPresenting) {
      this.faces.fade();
      this.picture.clear();
    }
    // A stage that cannot draw must not keep results from coming.
    if (this.#undrawn.length && (this.stage.isLost || performance.now() - this.newest_ms > NOT_DRAWN_MS)) {
      this.link.shown(this.#undrawn.at(-1));
      this.#undrawn = [];
    }
    // Nor must a word that was lost on the way.
    const now_ms = performance.now();
    if (this.results.newest >= 0 && now_ms - this.newest_ms > STALE_MS && now_ms - this.#nudged_ms > STALE_MS) {
      this.#nudged_ms = now_ms;
      this.link.shown(this.results.newest);
    }
    this.sayState();
  }

  /** The state in a word or two, and what to do about it on the empty stage. */
  sayState() {
    const isStale = performance.now() - this.newest_ms > STALE_MS;
    const { welcome } = debug;
    let [kind, words, hint] = ["live", "live", ""];
    const state = debug.state?.state;
    if (!debug.connected) [kind, words] = [this.#isDead ? "bad" : "wait", welcome ? "not connected" : "connecting"];
    else if (state === "failed") [kind, words] = ["bad", "failed"];
    else if (state === "ended") [kind, words] = ["wait", "ended"];
    else if (state === "reconnecting") [kind, words, hint] = ["wait", "reconnecting", "the camera is gone; it is tried again"];
    else if (welcome?.camera === "browser" && !this.camera.isOn && (debug.state?.sender ?? null) === null) [kind, words] = ["wait", "no camera yet"];
    else if (isStale) [kind, words, hint] = ["wait", "no pictures", this.newest ? "no pictures come" : ""];
    else if (this.newest && !this.newest.faces.length) [kind, words, hint] = ["wait", "no face", "no face"];
    else if (state === "recording") [kind, words] = ["recording", "recording"];
    this.status.say(kind, words);
    const needsCard = debug.connected && welcome?.camera === "browser" && !this.camera.isOn && (debug.state?.sender ?? null) === null;
    $("start").hidden = !needsCard || isTransparent;
    $("empty").hidden = !hint || needsCard || this.view === "avatar";
    if (hint && $("empty").textContent !== hint) $("empty").textContent = hint;
  }

  cameraChanged() {
    const { camera } = this;
    Object.assign(debug.camera, { on: camera.isOn, transport: camera.transport });
    if (camera.isOn) debug.camera.error = null;
    this.picture.setVideo(camera.isOn ? camera.video : null);
    $("no-picture").hidden = this.picture.hasPicture;
    $("camera").setAttribute("aria-pressed", String(camera.isOn));
    this.status.transport = camera.transport;
    this.#shape();
    this.#want();
    this.sayState();
  }

  /** Where software draws, numbers that change cost as much as a face: a few times a second. */
  #sparesBars() {
    const now_ms = performance.now();
    if (this.stage.frugal && now_ms - this.#bars_ms < FRUGAL_BARS_MS) return true;
    this.#bars_ms = now_ms;
    return false;
  }

  // The avatar

  async loadAvatar(source = null) {
    const late = setTimeout(() => this.say("The avatar is on its way …"), 1500);
    try {
      if (!this.avatar) {
        const { AvatarView } = await import("./avatar.js");
        if (!this.avatar) {
          this.avatar = new AvatarView(this.stage);
          this.stage.avatar.add(this.avatar.object3D);
          this.stage.onFrame((dt_s) => this.#moveAvatar(dt_s));
        }
      }
      if (!source && (this.avatar.isLoaded || this.avatar.isLoading)) return;
      if (!(await this.avatar.load(source ?? withToken("/avatar.vrm")))) return;
      $("own-avatar").hidden = !source;
      for (const words of this.avatar.words ?? []) this.say(words);
      this.stage.frameAvatar(this.avatar.framing);
    } catch (error) {
      this.say(error.message, "bad");
    } finally {
      clearTimeout(late);
    }
    this.stage.invalidate();
  }

  #moveAvatar(dt_s) {
    if (this.view !== "avatar") return;
    this.avatar.update(this.newest?.avatar ?? null, dt_s);
    if (!this.stage.frugal || this.#undrawn.length) this.stage.invalidate();
  }

  openAvatar(file) {
    this.setView("avatar");
    this.loadAvatar(file);
  }

  mirror() {
    this.link.ask("mirror");
  }

  calibrate() {
    if (this.link.ask("calibrate")) this.say("Calibrating: look straight ahead with a calm face for a moment.");
  }
}

let page = null;
try {
  page = window.rtreconPage = new Page();
} catch (error) {
  debug.errors.push(error.message);
  $("fatal").textContent = /webgl|context/i.test(error.message)
    ? "This browser has no WebGL 2, or it is switched off. Switch on hardware acceleration in its settings, or use another browser."
    : `The page does not start: ${error.message}`;
  $("fatal").hidden = false;
  throw error;
}
// The headset, where there is one; the page is whole without it.
import("./xr.js").then(({ setUpXr }) => setUpXr(page.stage, page), (error) => console.info("rtrecon: no headset support:", error.message));
