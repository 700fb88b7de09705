// The page: what comes from the server goes to the views, what the person does goes to both.

import { Bars } from "./bars.js";
import { Camera, CameraError } from "./camera.js";
import { FacesView } from "./faces_view.js";
import { bindKeys } from "./keys.js";
import { Link, PROTOCOL } from "./link.js";
import { Notices } from "./notices.js";
import { PictureView } from "./picture_view.js";
import { Results, release } from "./results.js";
import { download, downloadFrom, named, Recording, withToken } from "./saving.js";
import { Stage } from "./stage.js";
import { Status } from "./status.js";
import { readTopology } from "./wire.js";

const VIEWS = ["picture", "face", "avatar"];
const STALE_MS = 2500;
const HIDDEN_HZ = 1;
const PICTURE_PX = { inset: 256, large: 448 }; // so that a result stays below 40 kB
const TEXTURE_PX = { inset: 128, large: 256 };

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(window.location.search);
const isTransparent = query.get("transparent") === "1";
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Counters and the newest result, for tests and for curious people. */
const debug = (window.rtreconDebug = {
  protocol: PROTOCOL, connected: false, connections: 0, welcome: null, state: null, view: null,
  received: 0, decoded: 0, drawn: 0, skipped: 0, garbage: 0, bytes: 0, errors: [], notices: [],
  lastSeq: -1, lastDrawnSeq: -1, lastHeader: null, last: null, drawnAt: {}, arrivedAt: {},
  camera: { on: false, transport: null, error: null }, want: null, lost: null, contextLost: 0,
});
const TIMES_KEPT = 600;

class Page {
  view = VIEWS.includes(query.get("view")) ? query.get("view") : "face";
  notices = new Notices($("notices"), $("banner"));
  status = new Status($("state"), $("figures"), $("source"));
  link = new Link();
  results = new Results();
  recording = new Recording();
  names = [];
  knowsHead = false; // whether there is one, or not
  newest = null; // header of the newest result
  newest_ms = -Infinity;
  #undrawn = []; // numbers of results that the next drawing shows
  #drawnTimes = [];
  #kept = []; // numbers whose times are kept for tests
  #version = null;
  #isDead = false;
  #isOld = false;
  #asksMirror = false;

  constructor() {
    document.body.classList.toggle("transparent", isTransparent);
    this.stage = new Stage($("stage"), { transparent: isTransparent, still: isTransparent || calm.matches });
    this.faces = new FacesView(this.stage);
    this.picture = new PictureView($("picture"));
    this.bars = new Bars($("bars"));
    this.camera = new Camera(this.link, {
      transport: ["ws", "webrtc"].includes(query.get("transport")) ? query.get("transport") : null,
      keep: (t_ms) => this.picture.keep(t_ms),
    });
    this.#listen();
    this.#bind();
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
    $("picture-pane").querySelector(".swap").dataset.to = "picture";
    this.#want();
    this.picture.draw();
    this.#say();
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
    const showsPicture = !isTransparent;
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
    on(camera, "change", () => this.#cameraChanged());
    on(camera, "words", (words) => this.say(words));
    on(camera, "lost", (error) => this.#cameraFailed(error));
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
    this.#kept = [];
    debug.arrivedAt = {};
    debug.drawnAt = {};
    this.notices.release();
    if (debug.connections > 1) this.say("Connected again.");
    this.status.setRun(words);
    const own = words.camera === "browser";
    $("camera").hidden = !own;
    $("about").textContent = `rtrecon ${words.version}; ${words.model} on ${words.provider}. Head model: ICT FaceKit (MIT). three.js and three-vrm (MIT).`;
    if (own && this.camera.stream) this.camera.resume().catch((error) => this.#cameraFailed(error));
    else if (own && query.get("camera") === "1") this.startCamera();
    this.#say();
  }

  #state(words) {
    debug.state = words;
    this.status.setState(words);
    const mirrored = Boolean(words.mirrored);
    if (this.#asksMirror) {
      this.#asksMirror = false;
      if (!mirrored) this.link.ask("mirror");
    }
    if (mirrored !== this.stage.mirror || mirrored !== this.picture.mirror) {
      this.stage.mirror = this.picture.mirror = mirrored;
      this.picture.draw();
    }
    $("mirror").setAttribute("aria-pressed", String(mirrored));
    this.#say();
  }

  #lost({ code, why, retry_s }) {
    debug.connected = false;
    debug.lost = { code, why, retry_s };
    this.#isDead = retry_s === null;
    this.retryAt_ms = retry_s === null ? null : performance.now() + retry_s * 1000;
    this.#lostWords = why;
    this.#countDown();
    this.#say();
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
    debug.decoded++;
    debug.lastSeq = result.seq;
    debug.last = result;
    this.newest = result;
    debug.lastHeader = light(result);
    this.newest_ms = performance.now();
    debug.arrivedAt[result.seq] = arrived_ms;
    this.#kept.push(result.seq);
    if (this.#kept.length > TIMES_KEPT) {
      const old = this.#kept.shift();
      delete debug.arrivedAt[old];
      delete debug.drawnAt[old];
    }
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
    if (!$("panel").hidden) this.bars.update(result.faces[0]?.coefficients);
    this.#undrawn.push(result.seq);
    this.stage.invalidate();
    this.#say();
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
    const t_ms = performance.now();
    for (const seq of this.#undrawn) debug.drawnAt[seq] = t_ms;
    debug.lastDrawnSeq = this.#undrawn.at(-1);
    debug.drawn += this.#undrawn.length;
    this.link.shown(debug.lastDrawnSeq);
    this.#undrawn = [];
    this.#drawnTimes.push(now_ms);
    while (now_ms - this.#drawnTimes[0] > 2000) this.#drawnTimes.shift();
    this.status.drawn_hz = this.#drawnTimes.length > 1 ? ((this.#drawnTimes.length - 1) * 1000) / (now_ms - this.#drawnTimes[0]) : 0;
  }

  #woke() {
    this.#want();
    if (!document.hidden) {
      this.link.retry();
      this.stage.invalidate();
    }
  }

  #tick() {
    this.#countDown();
    if (performance.now() - this.newest_ms > STALE_MS && this.faces.isShown && !document.hidden) {
      this.faces.fade();
      this.picture.clear();
    }
    // A stage that cannot draw must not keep results from coming.
    if (this.#undrawn.length && (this.stage.isLost || performance.now() - this.newest_ms > 300)) {
      this.link.shown(this.#undrawn.at(-1));
      this.#undrawn = [];
    }
    this.#say();
  }

  /** The state in a word or two, and what to do about it on the empty stage. */
  #say() {
    const isStale = performance.now() - this.newest_ms > STALE_MS;
    const { welcome } = debug;
    let [kind, words, hint] = ["live", "live", ""];
    const state = debug.state?.state;
    if (!debug.connected) [kind, words] = [this.#isDead ? "bad" : "wait", welcome ? "not connected" : "connecting"];
    else if (state === "failed") [kind, words] = ["bad", "failed"];
    else if (state === "ended") [kind, words] = ["wait", "ended"];
    else if (state === "reconnecting") [kind, words, hint] = ["wait", "reconnecting", "the camera is gone; it is tried again"];
    else if (welcome?.camera === "browser" && !this.camera.isOn && (debug.state?.sender ?? null) === null) [kind, words] = ["wait", "waiting for a camera"];
    else if (isStale) [kind, words, hint] = ["wait", "no pictures", this.newest ? "no pictures come" : ""];
    else if (this.newest && !this.newest.faces.length) [kind, words, hint] = ["wait", "no face", "no face"];
    else if (state === "recording") [kind, words] = ["recording", "recording"];
    this.status.say(kind, words);
    const needsCard = debug.connected && welcome?.camera === "browser" && !this.camera.isOn && (debug.state?.sender ?? null) === null;
    $("start").hidden = !needsCard || isTransparent;
    $("empty").hidden = !hint || needsCard || this.view === "avatar";
    if (hint && $("empty").textContent !== hint) $("empty").textContent = hint;
  }

  // The browser's camera

  async startCamera(deviceId) {
    $("camera-words").textContent = "";
    $("use-camera").disabled = true;
    try {
      await this.camera.start(deviceId ?? $("device").value);
      this.#asksMirror = true;
    } catch (error) {
      this.#cameraFailed(error);
    } finally {
      $("use-camera").disabled = false;
      this.#listDevices();
    }
  }

  #cameraFailed(error) {
    debug.camera.error = error instanceof CameraError ? error.code : String(error?.message ?? error);
    const words = error?.message ?? String(error);
    if ($("start").hidden) this.say(words, "bad");
    $("camera-words").textContent = words;
    this.#say();
  }

  #cameraChanged() {
    const { camera } = this;
    Object.assign(debug.camera, { on: camera.isOn, transport: camera.transport });
    if (camera.isOn) debug.camera.error = null;
    this.picture.setVideo(camera.isOn ? camera.video : null);
    $("no-picture").hidden = this.picture.hasPicture;
    $("camera").setAttribute("aria-pressed", String(camera.isOn));
    this.status.transport = camera.transport;
    this.#shape();
    this.#want();
    this.#say();
  }

  async #listDevices() {
    const devices = (await this.camera.devices().catch(() => [])).filter(({ deviceId }) => deviceId);
    $("devices").hidden = devices.length < 2;
    const chosen = $("device").value;
    $("device").replaceChildren(...devices.map(({ deviceId, label }, k) => new Option(label || `camera ${k + 1}`, deviceId, false, deviceId === chosen)));
  }

  // The avatar

  async loadAvatar(source = null) {
    try {
      if (!this.avatar) {
        const { AvatarView } = await import("./avatar.js");
        if (!this.avatar) {
          this.avatar = new AvatarView(this.stage);
          this.stage.avatar.add(this.avatar.object3D);
          this.stage.onFrame((dt_s) => this.#moveAvatar(dt_s));
        }
      }
      if (!source && this.avatar.isLoaded) return;
      if (!(await this.avatar.load(source ?? withToken("/avatar.vrm")))) return;
      $("own-avatar").hidden = !source;
      for (const words of this.avatar.words ?? []) this.say(words);
      this.stage.frameAvatar(this.avatar.framing);
    } catch (error) {
      this.say(error.message, "bad");
    }
    this.stage.invalidate();
  }

  #moveAvatar(dt_s) {
    if (this.view !== "avatar") return;
    this.avatar.update(this.newest?.avatar ?? null, dt_s);
    if (!this.stage.frugal || this.#undrawn.length) this.stage.invalidate();
  }

  // Buttons, keys, files

  mirror() {
    this.link.ask("mirror");
  }

  calibrate() {
    if (this.link.ask("calibrate")) this.say("Calibrating: look straight ahead with a calm face for a moment.");
  }

  async snapshot() {
    const source = this.view === "picture" ? this.picture.canvas : null;
    try {
      const blob = source ? await new Promise((resolve) => source.toBlob(resolve, "image/png")) : await this.stage.snapshot();
      const name = named("png");
      download(blob, name);
      this.say(`Saved ${name}`);
    } catch (error) {
      this.say(`No snapshot: ${error.message}`, "bad");
    }
  }

  record() {
    const { recording, stage } = this;
    if (recording.isOn) {
      recording.stop();
      return;
    }
    try {
      stage.withBackground(true);
      recording.start(this.view === "picture" ? this.picture.canvas : stage.canvas, (blob, name) => {
        stage.withBackground(false);
        $("record").setAttribute("aria-pressed", "false");
        download(blob, name);
        this.say(`Saved ${name}`);
      });
      $("record").setAttribute("aria-pressed", "true");
    } catch (error) {
      stage.withBackground(false);
      this.say(error.message, "bad");
    }
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch((error) => this.say(`No full screen: ${error.message}`, "bad"));
  }

  help() {
    const dialog = $("help-dialog");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  #menu(open) {
    const [menu, button] = [$("save-menu"), $("save")];
    menu.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const box = button.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(box.left, window.innerWidth - menu.offsetWidth - 8))}px`;
    menu.querySelector("button").focus();
  }

  #bind() {
    const click = (id, act) => $(id).addEventListener("click", act);
    for (const button of document.querySelectorAll(".views button")) button.addEventListener("click", () => this.setView(button.dataset.view));
    for (const button of document.querySelectorAll("[data-toggle]")) button.addEventListener("click", () => this.toggle(button.dataset.toggle));
    for (const button of document.querySelectorAll(".swap")) button.addEventListener("click", () => this.setView(button.dataset.to));
    click("calibrate", () => this.calibrate());
    click("mirror", () => this.mirror());
    click("snapshot", () => this.snapshot());
    click("record", () => this.record());
    click("full", () => this.fullscreen());
    click("help", () => this.help());
    click("toggle-panel", () => this.setPanel($("panel").hidden));
    click("all-bars", () => {
      this.bars.showsAll = !this.bars.showsAll;
      $("all-bars").setAttribute("aria-pressed", String(this.bars.showsAll));
      this.bars.update(this.newest?.faces[0]?.coefficients ?? this.names.map(() => 0));
    });
    click("save", (event) => {
      event.stopPropagation();
      this.#menu($("save-menu").hidden);
    });
    document.addEventListener("click", () => this.#menu(false));
    $("save-menu").addEventListener("keydown", ({ key }) => {
      const items = [...document.querySelectorAll("#save-menu button")];
      const at = items.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[key];
      if (to !== undefined) items.at(to % items.length).focus();
      if (key === "Escape") {
        this.#menu(false);
        $("save").focus();
      }
    });
    for (const item of document.querySelectorAll("#save-menu button")) {
      item.addEventListener("click", async () => {
        this.say("Making the file …");
        await downloadFrom(item.dataset.file).then((name) => this.say(`Saved ${name}`), (error) => this.say(error.message, "bad"));
      });
    }
    document.addEventListener("fullscreenchange", () => $("full").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
    $("start").addEventListener("submit", (event) => {
      event.preventDefault();
      this.startCamera();
    });
    click("camera", () => (this.camera.isOn ? this.camera.stop() : this.startCamera()));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#listDevices());
    click("open-avatar", () => $("avatar-file").click());
    $("avatar-file").addEventListener("change", ({ target }) => {
      if (target.files[0]) this.#openAvatar(target.files[0]);
      target.value = "";
    });
    click("own-avatar", () => {
      this.avatar?.load(withToken("/avatar.vrm")).then(() => ($("own-avatar").hidden = true), (error) => this.say(error.message, "bad"));
    });
    $("stage").addEventListener("dblclick", () => this.stage.resetView());
    this.#bindDrop();
    bindKeys(this);
  }

  #openAvatar(file) {
    this.setView("avatar");
    this.loadAvatar(file);
  }

  #bindDrop() {
    const over = (on) => document.body.classList.toggle("dropping", on);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    document.addEventListener("dragleave", ({ relatedTarget }) => !relatedTarget && over(false));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.#openAvatar(file);
    });
  }
}

/** A result without its arrays. */
function light(result) {
  const bare = (layer) => layer && Object.fromEntries(Object.entries(layer).filter(([, value]) => !ArrayBuffer.isView(value)));
  const faces = result.faces.map(({ bitmap, texture, depth, head, ...words }) => ({
    ...words, texture: texture?.size ?? null, depth: bare(depth), head: bare(head), bitmap: undefined,
  }));
  return { ...result, picture: result.picture?.size ?? null, bitmap: undefined, faces };
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
