// The faces on the stage: for each a head and a relief, of which what is asked for is shown.

import { Group } from "three";
import { FaceSurface } from "./face_surface.js";
import { HeadSurface } from "./head_surface.js";
import { LOOKS, PictureTexture, Presence, uniforms } from "./surface_material.js";

const CENTER_M = [0, 0.03, 0.05]; // of a head, from the middle of its eyes
const FRONT_M = [0, 0.03, 0.03];
const FORGET_S = 4;

export class FacesView {
  /** Surface: `mesh` false: the whole head; look: `depth`, `light` or neither; lines or not. */
  style = { mesh: false, wire: false, depth: false, light: false };
  /** Topology of heads, from /head.json; null: reliefs alone. */
  topology = null;
  #faces = new Map();
  #stage;

  constructor(stage) {
    this.#stage = stage;
    stage.onFrame((dt_s) => this.#frame(dt_s));
  }

  /** Whether some face is there to be seen. */
  get isShown() {
    return [...this.#faces.values()].some((face) => face.presence.value > 0);
  }

  get wantsHead() {
    return this.topology !== null && !this.style.mesh;
  }

  get wantsTexture() {
    return !this.style.depth && !this.style.light && !this.style.wire;
  }

  setStyle(style) {
    Object.assign(this.style, style);
    for (const face of this.#faces.values()) this.#dress(face);
    this.#stage.invalidate();
  }

  /** Takes the faces' bitmaps. @param {object} result decoded */
  update(result) {
    const present = new Set();
    const middles = [];
    for (const seen of result.faces) {
      if (!seen.T) continue;
      present.add(seen.id);
      if (seen.head || seen.depth) middles.push(at(seen.T, CENTER_M)); // others are not drawn
      const face = this.#faces.get(seen.id) ?? this.#add(seen.id);
      this.#update(face, seen, result);
    }
    for (const [id, face] of this.#faces) if (!present.has(id)) face.presence.goal = 0;
    if (middles.length) {
      const middle = [0, 1, 2].map((axis) => middles.reduce((sum, m) => sum + m[axis], 0) / middles.length);
      this.#stage.follow(...middle);
    }
    this.#stage.invalidate();
  }

  /** Nothing came for a while: what is shown is not true any more. */
  fade() {
    for (const face of this.#faces.values()) face.presence.goal = 0;
  }

  #add(id) {
    const shared = uniforms();
    const picture = new PictureTexture();
    const relief = new FaceSurface(picture, shared, { stride: this.#stage.frugal ? 2 : 1 });
    const face = { id, group: new Group(), shared, picture, relief, head: null, presence: new Presence(), gone_s: 0, has: { head: false, relief: false, picture: false } };
    face.group.add(relief.object3D);
    this.#stage.faces.add(face.group);
    this.#faces.set(id, face);
    return face;
  }

  #update(face, seen, { K }) {
    face.group.userData.T = seen.T; // a headset moves it between results
    if (seen.bitmap) {
      face.picture.set(seen.bitmap);
      seen.bitmap = null;
      face.has.picture = true;
    }
    if (seen.head && K && this.topology) {
      face.head ??= this.#addHead(face);
      face.head.update(seen, K, face.has.picture);
    }
    if (seen.depth) face.relief.update(seen.depth);
    // Of faces beyond the first nothing but the place may come.
    face.has.head = Boolean(seen.head) && face.head !== null;
    face.has.relief = Boolean(seen.depth);
    if (face.has.head || face.has.relief) face.presence.goal = 1;
    face.shared.middle_m.value = at(seen.T, FRONT_M)[2];
    this.#dress(face);
  }

  #addHead(face) {
    const head = new HeadSurface(face.picture, face.shared, this.topology);
    face.group.add(head.object3D);
    return head;
  }

  #dress(face) {
    const { wire, depth, light } = this.style;
    const look = depth ? LOOKS.depth : light || wire ? LOOKS.clay : LOOKS.picture;
    const showsHead = face.has.head && (!this.style.mesh || !face.has.relief);
    for (const [surface, shows] of [[face.head, showsHead], [face.relief, face.has.relief && !showsHead]]) {
      if (!surface) continue;
      surface.object3D.visible = shows && face.presence.value > 0;
      surface.setLook(look);
      surface.wire.visible = wire;
      surface.material.colorWrite = !(wire && !light && !depth);
    }
  }

  #frame(dt_s) {
    for (const [id, face] of this.#faces) {
      const changed = face.presence.update(dt_s);
      if (changed) {
        face.shared.shown.value = face.presence.value;
        this.#dress(face);
        this.#stage.invalidate();
      }
      face.gone_s = face.presence.value > 0 ? 0 : face.gone_s + dt_s;
      if (face.gone_s > FORGET_S) this.#remove(id);
    }
  }

  #remove(id) {
    const face = this.#faces.get(id);
    this.#faces.delete(id);
    for (const surface of [face.head, face.relief]) {
      surface?.dispose();
    }
    face.group.removeFromParent();
    face.picture.dispose();
    if (!this.#faces.size) this.#stage.forget();
  }
}

function at(T, p) {
  return [0, 4, 8].map((row) => T[row] * p[0] + T[row + 1] * p[1] + T[row + 2] * p[2] + T[row + 3]);
}
