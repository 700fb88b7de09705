// The headset: the head at true size before whoever wears it, in a room of its own or in theirs.

import { Color, Group, GridHelper, Vector3, Quaternion, Euler } from "three";
import { EYES_M } from "./stage.js";
import { FaceBlends } from "./xr_pose.js";
import { Grab } from "./xr_grab.js";
import { Hands } from "./xr_hands.js";
import { Panel } from "./xr_panel.js";

const AHEAD_M = 0.7; // from the viewer to the eyes that are looked at
const EYES = new Vector3(...EYES_M);
const PANEL_M = new Vector3(0, -0.27, 0.12);
const PANEL_TILT_RAD = -0.5;
const ROOM = 0x0e1116;
const FLOOR = [0x2b3440, 0x1c232d];
const KINDS = { vr: "immersive-vr", ar: "immersive-ar" };

/** What a session could not do, in words for the page. */
export class HeadsetError extends Error {}

/**
 * Events: `started`, `ended`; `detail.kind` is "vr" or "ar".
 *
 * @example
 * const headset = new Headset(stage, { view: () => view, show: (what) => {…}, mirror: () => {…} });
 * const { vr, ar } = await headset.offers();
 * button.onclick = () => headset.enter("vr").catch((error) => say(error.message));
 */
export class Headset extends EventTarget {
  /** Frames drawn of the session, and how many a second, smoothed. */
  frames = 0;
  rate_hz = 0;
  #stage;
  #page;
  #session = null;
  #kind = null;
  #parts = null;
  #isEntering = false;

  /**
   * @param {Stage} stage
   * @param {object} page `view()` answers "face" or "avatar", `show(what)` changes it, `mirror()`
   *   mirrors; those that are missing have no button in the room
   */
  constructor(stage, page = {}) {
    super();
    this.#stage = stage;
    this.#page = page;
  }

  get isPresenting() {
    return this.#session !== null;
  }

  /** What this browser offers: `{vr, ar}`, and in `why` words for a page that offers neither. */
  async offers() {
    const { xr } = navigator;
    if (!xr) {
      const why = window.isSecureContext
        ? "This browser knows no headset (it has no WebXR)."
        : "A headset needs an address that begins with https:// or is this very machine.";
      return { vr: false, ar: false, why };
    }
    const [vr, ar] = await Promise.all(
      Object.values(KINDS).map((kind) => xr.isSessionSupported(kind).catch(() => false)));
    return { vr, ar, why: vr || ar ? "" : "No headset is connected." };
  }

  /**
   * Begin; only from a click or touch.
   *
   * @param {"vr"|"ar"} kind
   * @throws {HeadsetError}
   */
  async enter(kind) {
    if (this.#session || this.#isEntering) return;
    this.#isEntering = true;
    let session = null;
    try {
      session = await navigator.xr.requestSession(KINDS[kind], {
        optionalFeatures: ["local-floor", "hand-tracking"],
      });
      // The floor where the headset knows it; else the viewer's first place is the origin.
      const floor = await session.requestReferenceSpace("local-floor").catch(() => null);
      const { xr } = this.#stage.renderer;
      xr.setReferenceSpaceType(floor ? "local-floor" : "local");
      this.#begin(session, kind, Boolean(floor));
      await xr.setSession(session);
      xr.getReferenceSpace().addEventListener?.("reset", () => this.#parts && (this.#parts.isPlaced = false));
      this.dispatchEvent(new CustomEvent("started", { detail: { kind } }));
    } catch (error) {
      this.#end();
      session?.end().catch(() => {});
      throw new HeadsetError(wordsOf(error));
    } finally {
      this.#isEntering = false;
    }
  }

  async leave() {
    await this.#session?.end().catch(() => {}); // it may have ended by itself
  }

  /** The head before the viewer again, at true size. */
  reset() {
    if (this.#parts) this.#parts.isPlaced = false;
  }

  #begin(session, kind, hasFloor) {
    const stage = this.#stage, { root, scene, camera } = stage;
    this.#session = session;
    this.#kind = kind;
    this.frames = this.rate_hz = 0;
    session.addEventListener("end", () => this.#end(), { once: true });
    const before = {
      background: scene.background,
      root: placeOf(root), avatar: placeOf(stage.avatar), camera: placeOf(camera),
      view: this.#page.view?.(),
    };
    scene.background = kind === "vr" ? new Color(ROOM) : null;
    stage.avatar.position.copy(EYES);
    stage.avatar.scale.setScalar(1);
    // Lights turn with what they light, wherever in the room the viewer looks.
    const room = new Group();
    room.name = "room";
    const lights = scene.children.filter((child) => child.isLight);
    room.add(...lights);
    if (kind === "vr" && hasFloor) room.add(new GridHelper(8, 16, ...FLOOR));
    scene.add(room);
    const panel = new Panel(this.#buttons());
    panel.object3D.visible = false; // until the viewer's place is known
    root.visible = false;
    scene.add(panel.object3D);
    const grab = new Grab(root);
    const hands = new Hands(stage.renderer.xr, scene, grab, {
      press: (ray) => {
        const hit = panel.object3D.visible ? panel.at(ray) : null;
        if (hit) panel.press(hit.index);
        return Boolean(hit);
      },
      point: (ray) => {
        const hit = panel.at(ray);
        if (hit) panel.heat(hit.index);
        return hit?.distance_m ?? null;
      },
      reset: () => this.reset(),
      toggle: () => {
        this.#toggle();
        panel.draw();
      },
    });
    const stop = stage.onFrame((dt_s, _, frame) => this.#frame(dt_s, frame));
    this.#parts = { before, room, lights, panel, grab, hands, stop, blends: new FaceBlends(), isPlaced: false };
  }

  #end() {
    const parts = this.#parts, stage = this.#stage, { scene, root, camera } = stage;
    if (!parts) return;
    const kind = this.#kind;
    this.#parts = this.#session = this.#kind = null;
    parts.stop();
    parts.blends.end();
    parts.hands.dispose();
    parts.panel.dispose();
    scene.add(...parts.lights);
    scene.remove(parts.room);
    parts.room.children.forEach((child) => child.dispose?.());
    scene.background = parts.before.background;
    putBack(root, parts.before.root);
    putBack(stage.avatar, parts.before.avatar);
    putBack(camera, parts.before.camera);
    camera.updateProjectionMatrix();
    root.visible = true;
    const { view } = parts.before;
    if (view !== undefined && view !== this.#page.view?.()) this.#page.show?.(view);
    // three.js puts its own state back in the same event, after this.
    setTimeout(() => {
      stage.resize();
      stage.invalidate();
      this.dispatchEvent(new CustomEvent("ended", { detail: { kind } }));
    });
  }

  #frame(dt_s, frame) {
    const parts = this.#parts;
    if (!parts || !frame) return; // the page's own frames, before and after
    this.frames += 1;
    if (dt_s > 0) this.rate_hz += (this.rate_hz ? 0.05 : 1) * (1 / dt_s - this.rate_hz);
    if (!parts.isPlaced) this.#place(frame);
    parts.blends.step(this.#stage.faces, dt_s);
    if (!parts.hands.update(dt_s)) parts.panel.heat(-1);
  }

  /** Before the viewer at eye height, upright, looking back. */
  #place(frame) {
    const { root, renderer } = this.#stage, parts = this.#parts;
    const pose = frame.getViewerPose(renderer.xr.getReferenceSpace());
    if (!pose) return;
    const { position, orientation } = pose.transform;
    const turn = new Quaternion(orientation.x, orientation.y, orientation.z, orientation.w);
    const yaw = new Euler().setFromQuaternion(turn, "YXZ").y;
    const level = new Quaternion().setFromAxisAngle(new Vector3(0, 1, 0), yaw);
    const ahead = (offset) => offset.applyQuaternion(level).add(position);
    root.position.copy(ahead(new Vector3(0, 0, -AHEAD_M).sub(EYES)));
    root.quaternion.copy(level);
    root.scale.setScalar(1);
    root.visible = true;
    parts.grab.reset();
    parts.room.quaternion.copy(level);
    const { object3D } = parts.panel;
    object3D.position.copy(ahead(new Vector3(0, 0, -AHEAD_M).add(PANEL_M)));
    object3D.quaternion.copy(level).multiply(new Quaternion().setFromAxisAngle(new Vector3(1, 0, 0), PANEL_TILT_RAD));
    object3D.visible = true;
    parts.isPlaced = true;
  }

  #toggle() {
    const { view, show } = this.#page;
    if (view && show) show(view() === "avatar" ? "face" : "avatar");
  }

  #buttons() {
    const { view, show, mirror } = this.#page;
    const buttons = [];
    if (view && show) {
      buttons.push({ label: () => (view() === "avatar" ? "Face" : "Avatar"), press: () => this.#toggle() });
    }
    if (mirror) buttons.push({ label: () => "Mirror", press: () => mirror() });
    buttons.push({ label: () => "True size", press: () => this.reset() });
    buttons.push({ label: () => "Leave", press: () => this.leave() });
    return buttons;
  }
}

/**
 * Buttons for what this browser offers, in the page's `#xr`; made anew when a headset is plugged.
 *
 * @param {Stage} stage
 * @param {object} page `view`, `setView(view)`, `mirror()`, `say(words, kind)`
 */
export async function setUpXr(stage, page) {
  const place = document.getElementById("xr");
  const headset = new Headset(stage, {
    view: () => (page.view === "avatar" ? "avatar" : "face"),
    show: (view) => page.setView(view),
    mirror: () => page.mirror(),
  });
  const button = (kind, words, title) => {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", id: `enter-${kind}`, title });
    made.innerHTML = ICON;
    made.append(Object.assign(document.createElement("span"), { textContent: words }));
    made.setAttribute("aria-pressed", "false");
    made.onclick = () => (headset.isPresenting
      ? headset.leave() : headset.enter(kind).catch((error) => page.say(error.message, "bad")));
    return made;
  };
  const offer = async () => {
    const { vr, ar } = await headset.offers();
    place.replaceChildren(
      ...(vr ? [button("vr", "VR", "Enter VR: the head at true size before you")] : []),
      ...(ar ? [button("ar", "AR", "Enter AR: the head in your own room")] : []),
    );
  };
  const pressed = (on) => ({ detail }) =>
    document.getElementById(`enter-${detail.kind}`)?.setAttribute("aria-pressed", String(on));
  let picture = false; // a page that shows the picture shows the face in a headset
  headset.addEventListener("started", pressed(true));
  headset.addEventListener("started", () => {
    picture = page.view === "picture";
    page.setView(picture ? "face" : page.view); // asks for what a headset needs, hidden page or not
  });
  headset.addEventListener("ended", pressed(false));
  headset.addEventListener("ended", () => page.setView(picture ? "picture" : page.view));
  navigator.xr?.addEventListener?.("devicechange", offer);
  await offer();
  return (page.headset = headset);
}

const ICON = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 8h16a1.5 1.5 0 0 1 1.5 1.5v6A1.5 1.5 0 0 1 20 17h-4.6l-1.6-2.4a2.2 2.2 0 0 0-3.6 0L8.6 17H4a1.5 1.5 0 0 1-1.5-1.5v-6A1.5 1.5 0 0 1 4 8z"/></svg>`;

function placeOf(object) {
  const { position, quaternion, scale } = object;
  return { position: position.clone(), quaternion: quaternion.clone(), scale: scale.clone() };
}

function putBack(object, { position, quaternion, scale }) {
  object.position.copy(position);
  object.quaternion.copy(quaternion);
  object.scale.copy(scale);
}

function wordsOf(error) {
  if (error.name === "NotSupportedError") return "This headset does not offer that kind of view.";
  if (error.name === "SecurityError") return "The browser let this page not use the headset: press the button on the page itself.";
  if (error.name === "InvalidStateError") return "The headset shows another page's view: end that first.";
  return `The headset did not begin: ${error.message || error.name}`;
}
