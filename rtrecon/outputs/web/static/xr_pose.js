// A headset draws more often than faces arrive: between two results a face goes on by its pose.

import { Matrix4, Quaternion, Vector3 } from "three";

const LONGEST_S = 0.1; // of results that come more seldom nothing can be told in between
const JUMP_M = 0.25; // another person, or one that was found again

/**
 * The newest result's surface, moved from where the face was shown to where it is now within the
 * time that results take to come: it turns and moves evenly, whatever their rate.
 */
export class PoseBlend {
  #from = { place: new Vector3(), turn: new Quaternion() };
  #to = { place: new Vector3(), turn: new Quaternion() };
  #shown = { place: new Vector3(), turn: new Quaternion() };
  #inverse = new Matrix4();
  #interval_s = 0;
  #at_s = 0;
  #since_s = Infinity;
  #size = new Vector3();

  /** @param {number[]} T 16 numbers row by row, a rigid motion: the pose of the newest result */
  push(T) {
    const matrix = new Matrix4().set(...T);
    const { place, turn } = this.#to;
    matrix.decompose(place, turn, this.#size);
    this.#inverse.copy(matrix).invert();
    const isNew = this.#since_s === Infinity || this.#shown.place.distanceTo(place) > JUMP_M;
    if (isNew || this.#since_s > LONGEST_S) {
      this.#copy(this.#shown, this.#to);
      this.#interval_s = 0;
    } else {
      const between_s = Math.max(this.#since_s, 1e-3);
      this.#interval_s += (this.#interval_s ? 0.3 : 1) * (between_s - this.#interval_s);
    }
    this.#copy(this.#from, this.#shown);
    this.#at_s = this.#since_s = 0;
  }

  /**
   * @param {number} dt_s since the last call
   * @param {Matrix4} out what moves the newest surface to where it is shown
   */
  step(dt_s, out) {
    this.#at_s += dt_s;
    this.#since_s += dt_s;
    const share = this.#interval_s > 0 ? Math.min(this.#at_s / this.#interval_s, 1) : 1;
    this.#shown.place.lerpVectors(this.#from.place, this.#to.place, share);
    this.#shown.turn.slerpQuaternions(this.#from.turn, this.#to.turn, share);
    if (share === 1) return out.identity();
    return out.compose(this.#shown.place, this.#shown.turn, ONE).multiply(this.#inverse);
  }

  #copy(to, from) {
    to.place.copy(from.place);
    to.turn.copy(from.turn);
  }
}

const ONE = new Vector3(1, 1, 1);

/** Blends of the faces of a stage. Whoever draws a face says its pose with each result, in
 * `userData.T` of its group in `stage.faces` (16 numbers, a new array each time). */
export class FaceBlends {
  #known = new Map(); // group: {blend, T}

  /** @param {Object3D} faces */
  step(faces, dt_s) {
    for (const group of faces.children) {
      const { T } = group.userData;
      if (!Array.isArray(T)) continue;
      const known = this.#known.get(group) ?? { blend: new PoseBlend(), T: null };
      this.#known.set(group, known);
      if (known.T !== T) {
        known.T = T;
        known.blend.push(T);
      }
      known.blend.step(dt_s, group.matrix);
      group.matrixAutoUpdate = false;
      group.matrixWorldNeedsUpdate = true;
    }
  }

  /** All faces where their newest results say. */
  end() {
    for (const group of this.#known.keys()) {
      group.matrix.identity();
      group.matrixWorldNeedsUpdate = true;
    }
    this.#known.clear();
  }
}
