// Taking hold of the head: one hand moves and turns it, two scale it besides.

import { MathUtils, Quaternion, Vector3 } from "three";

const LEAST_SCALE = 0.2, MOST_SCALE = 8;
const TRUE_SIZE = 0.05; // what is this near to true size is meant to be it
const _way = new Vector3(), _turn = new Quaternion();

/**
 * Moves `target` (whose parent is the world) by the hands that hold it. A hand is
 * `{position, quaternion}` in the world; `turns` is false for what only points, a finger on a glass.
 */
export class Grab {
  #hands = new Map();
  #scale = 1; // without the snap to true size

  constructor(target) {
    this.target = target;
  }

  get isHeld() {
    return this.#hands.size > 0;
  }

  holds(id) {
    return this.#hands.has(id);
  }

  hold(id, hand) {
    this.#hands.set(id, { now: copy(hand) });
    this.#begin();
  }

  release(id) {
    if (this.#hands.delete(id)) this.#begin();
  }

  releaseAll() {
    this.#hands.clear();
  }

  /** Where a hand that holds is now. */
  move(id, { position, quaternion }) {
    const hand = this.#hands.get(id);
    if (!hand) return;
    hand.now.position.copy(position);
    hand.now.quaternion.copy(quaternion);
  }

  /** Once a frame. */
  apply() {
    const [one, two] = this.#hands.values();
    if (two) this.#byTwo(one, two);
    else if (one) this.#byOne(one);
  }

  /** Turn about the vertical through its middle, and scale. */
  adjust(turn_rad, factor) {
    this.target.quaternion.premultiply(_turn.setFromAxisAngle(UP, turn_rad));
    this.#setScale(this.#scale * factor);
    this.#begin();
  }

  /** Whoever put the target elsewhere says so. */
  reset() {
    this.releaseAll();
    this.#scale = this.target.scale.x;
  }

  #begin() {
    for (const hand of this.#hands.values()) hand.start = copy(hand.now);
    const { position, quaternion } = this.target;
    this.start = { position: position.clone(), quaternion: quaternion.clone(), scale: this.#scale };
  }

  #byOne({ now, start }) {
    const { target } = this;
    if (now.turns) {
      _turn.copy(now.quaternion).multiply(start.quaternion.clone().invert());
    } else {
      _turn.identity();
    }
    _way.copy(this.start.position).sub(start.position).applyQuaternion(_turn);
    target.position.copy(now.position).add(_way);
    target.quaternion.copy(_turn).multiply(this.start.quaternion);
  }

  #byTwo(one, two) {
    const before = two.start.position.clone().sub(one.start.position);
    const after = two.now.position.clone().sub(one.now.position);
    const apart_m = Math.max(before.length(), 0.02);
    this.#setScale(this.start.scale * (Math.max(after.length(), 0.02) / apart_m));
    // About its own middle: about that of the hands it would fly off as it grows.
    _turn.setFromUnitVectors(before.normalize(), after.normalize());
    this.target.quaternion.copy(_turn).multiply(this.start.quaternion);
    _way.copy(one.now.position).add(two.now.position).sub(one.start.position).sub(two.start.position);
    this.target.position.copy(this.start.position).addScaledVector(_way, 0.5);
  }

  #setScale(scale) {
    this.#scale = MathUtils.clamp(scale, LEAST_SCALE, MOST_SCALE);
    const isTrue = Math.abs(Math.log(this.#scale)) < TRUE_SIZE;
    this.target.scale.setScalar(isTrue ? 1 : this.#scale);
  }
}

const UP = new Vector3(0, 1, 0);

const copy = ({ position, quaternion, turns = true }) =>
  ({ position: position.clone(), quaternion: quaternion.clone(), turns });
