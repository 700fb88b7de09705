// The avatar: the built-in head, or a person's own model, moved by the newest result.
import { Group } from "three";
import { AvatarError, disposeAvatar, nameOf, parseAvatar, readAvatar } from "./avatar_file.js";
import { AvatarMotion } from "./avatar_motion.js";

const LONGEST_STEP_S = 0.1; // a page that slept: springs would fly off
const FARTHEST_M = 0.12; // a head that moves more than that would leave the picture

export { AvatarError };

/** `object3D` has its origin between the eyes and looks along +z, in metres. */
export class AvatarView {
  /** @param {Stage | null} stage what it is drawn on; without one, `object3D` is put somewhere */
  constructor(stage = null) {
    this.object3D = new Group();
    this.object3D.name = "avatar";
    /** What its owner should know of the model that is shown: texts. */
    this.words = [];
    /** From the eyes to the top of the model, metres: `{above_m}`. */
    this.framing = { above_m: 0.12 };
    this.motion = new AvatarMotion();
    this._model = null;
    this._loading = null;
    this._stage = stage;
    stage?.avatar.add(this.object3D);
  }

  get isLoaded() {
    return this._model !== null;
  }

  get isLoading() {
    return this._loading !== null;
  }

  /** Show another model; until it is there, and where it cannot be, the one before stays.
   * A file that a person chose is read in the browser and goes nowhere else.
   * @param source File or Blob, or an address as a string
   * @returns {Promise<boolean>} false where another load began meanwhile
   * @throws {AvatarError} whose message is for the page */
  async load(source) {
    this._loading?.abort();
    const loading = new AbortController();
    this._loading = loading;
    let model;
    try {
      const bytes = await readAvatar(source, loading.signal);
      if (loading.signal.aborted) return false;
      model = await parseAvatar(bytes, nameOf(source), { plain: this._stage?.frugal });
    } catch (error) {
      if (loading.signal.aborted) return false;
      throw error;
    } finally {
      if (this._loading === loading) this._loading = null;
    }
    if (loading.signal.aborted) {
      disposeAvatar(model);
      return false;
    }
    if (this._model) disposeAvatar(this._model);
    this._model = model;
    this.words = model.words;
    this.framing = { above_m: model.above_m };
    this.object3D.add(model.root);
    this._show(0);
    return true;
  }

  /** Once a frame of the display.
   * @param avatar `avatar` of the newest result's header; null where there is none
   * @param dt seconds since the last call */
  update(avatar, dt) {
    const step = Math.min(Math.max(dt, 0), LONGEST_STEP_S);
    // A stage that draws with each result alone would show the beginning of each way.
    this.motion.jumps = Boolean(this._stage?.frugal && !this._stage.renderer.xr.isPresenting);
    this.motion.update(avatar, step);
    if (!this._model) return;
    this._show(step);
  }

  _show(step) {
    const { root, rig } = this._model, { x, y, z } = this.motion.position;
    root.position.set(near(x), near(-y), near(-z));
    rig.apply(this.motion, step);
  }

  dispose() {
    this._loading?.abort();
    if (this._model) disposeAvatar(this._model);
    this._model = null;
    this.object3D.removeFromParent();
  }
}

/** Evenly toward a bound: a head goes on moving when its person leans far. */
const near = (value) => FARTHEST_M * Math.tanh(value / FARTHEST_M);
