// Between two results: the display draws more often than faces arrive.
import { Quaternion, Vector3 } from "three";
import { ARKIT_NAMES, placeOf } from "./avatar_shapes.js";

// An avatar goes from where it is shown to the newest result within the time that results take to
// come, so that it moves evenly and is on the way at once; never longer, which would be a lag.
const LONGEST_S = 0.05;
const BLINK_SHARE = 0.5; // a lid is shut for two or three results: it may not be late
const LIDS = ["eyeBlinkLeft", "eyeBlinkRight"].map(placeOf);

/** The pose that is shown. Frame of the server: x right, y down, z into the head, metres. */
export class AvatarMotion {
  constructor() {
    this.rotation = new Quaternion();
    this.position = new Vector3();
    this.coefficients = new Float32Array(ARKIT_NAMES.length);
    this.eyes = new Float32Array(4); // yaw and pitch of the left, then of the right, radians
    /** Show the newest result at once. */
    this.jumps = false;
    this._goal = null;
    this._header = null;
    this._since_s = 0;
    this._interval_s = 1 / 30;
    this._left_s = 0;
    this._lids_left_s = 0;
    this._to = {
      rotation: new Quaternion(), position: new Vector3(),
      coefficients: new Float32Array(ARKIT_NAMES.length), eyes: new Float32Array(4),
    };
  }

  /** Go on by `dt` seconds; `header` is the newest result's, null or the one before where there
   * is no newer one. What is damaged in it is left as it was. */
  update(header, dt) {
    this._since_s += dt;
    if (header && header !== this._header) this._aim(header);
    if (!this._goal) return;
    const share = this._left_s > dt ? dt / this._left_s : 1;
    const lids = this._lids_left_s > dt ? dt / this._lids_left_s : 1;
    const { rotation, position, coefficients, eyes } = this._to;
    this.rotation.slerp(rotation, share);
    this.position.lerp(position, share);
    for (let k = 0; k < coefficients.length; k += 1) {
      const part = LIDS.includes(k) ? lids : share;
      this.coefficients[k] += part * (coefficients[k] - this.coefficients[k]);
    }
    for (let k = 0; k < 4; k += 1) this.eyes[k] += share * (eyes[k] - this.eyes[k]);
    this._left_s = Math.max(this._left_s - dt, 0);
    this._lids_left_s = Math.max(this._lids_left_s - dt, 0);
  }

  _aim(header) {
    const first = !this._goal;
    this._header = header;
    // How often results come, evened out; a pause is not a rate.
    const interval = Math.min(this._since_s, LONGEST_S);
    this._interval_s += 0.2 * (interval - this._interval_s);
    this._since_s = 0;
    const to = this._to;
    const { rotation, position_m: position, coefficients, eyes } = header;
    if (finite(rotation, 4)) {
      const length = Math.hypot(...rotation);
      if (length > 0.5) to.rotation.set(...rotation.map((value) => value / length));
    }
    if (finite(position, 3)) to.position.set(...position);
    if (finite(coefficients, ARKIT_NAMES.length)) {
      coefficients.forEach((value, k) => { to.coefficients[k] = Math.min(Math.max(value, 0), 1); });
    }
    if (finite(eyes, 4)) to.eyes.set(eyes);
    this._goal = to;
    this._left_s = first || this.jumps ? 0 : this._interval_s;
    this._lids_left_s = this._left_s * BLINK_SHARE;
  }
}

const finite = (row, count) =>
  Array.isArray(row) && row.length === count && row.every(Number.isFinite);
