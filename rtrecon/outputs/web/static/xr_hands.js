// Controllers and hands of a headset, and fingers on a phone's glass.

import {
  BufferGeometry, Group, Line, LineBasicMaterial, Mesh, MeshBasicMaterial, Quaternion, Ray,
  SphereGeometry, Vector3,
} from "three";

const HANDS = 2;
const RAY_M = 0.6;
const FINGER_M = 0.7; // how far from the glass a finger holds the head
const DEAD = 0.25; // of a thumbstick
const TURN_RAD_S = 1.6, SCALE_S = 1.2;
const PRIMARY = 4, SECONDARY = 5, STICK = 3; // buttons of an xr-standard gamepad
const _quaternion = new Quaternion();

/**
 * Calls `on.press(ray)`, which answers whether something was there to press, else takes hold of
 * `grab`; `on.point(ray)`, which answers how far away what it hits is, or null; `on.reset()`;
 * `on.toggle()`.
 */
export class Hands {
  #hands = [];
  #ray = new Ray();
  #material = new LineBasicMaterial({ color: 0x7fd4c1, transparent: true, opacity: 0.7 });
  #knob = new MeshBasicMaterial({ color: 0xe8edf2 });

  constructor(xr, scene, grab, on) {
    this.grab = grab;
    this.on = on;
    this.object3D = new Group();
    this.object3D.name = "hands";
    scene.add(this.object3D);
    for (let k = 0; k < HANDS; k += 1) this.#hands.push(this.#make(xr, k));
  }

  #make(xr, id) {
    const space = xr.getController(id), grip = xr.getControllerGrip(id);
    const line = new Line(
      new BufferGeometry().setFromPoints([new Vector3(), new Vector3(0, 0, -1)]), this.#material);
    const knob = new Mesh(new SphereGeometry(0.012, 12, 8), this.#knob);
    const hand = { id, space, grip, line, knob, source: null, buttons: [], holds: new Set() };
    space.add(line);
    grip.add(knob);
    this.object3D.add(space, grip);
    const listeners = {
      connected: ({ data }) => {
        hand.source = data;
        line.visible = knob.visible = data.targetRayMode === "tracked-pointer";
      },
      disconnected: () => {
        hand.source = null;
        hand.holds.clear();
        this.grab.release(id);
      },
      selectstart: () => {
        if (!this.on.press(this.#rayOf(hand))) this.#hold(hand, "select");
        else pulse(hand);
      },
      selectend: () => this.#release(hand, "select"),
      squeezestart: () => this.#hold(hand, "squeeze"),
      squeezeend: () => this.#release(hand, "squeeze"),
    };
    for (const [type, listener] of Object.entries(listeners)) space.addEventListener(type, listener);
    hand.forget = () => {
      for (const [type, listener] of Object.entries(listeners)) space.removeEventListener(type, listener);
      space.remove(line);
      grip.remove(knob);
      line.geometry.dispose();
      knob.geometry.dispose();
    };
    return hand;
  }

  /** Once a frame. */
  update(dt_s) {
    for (const hand of this.#hands) {
      if (!hand.source) continue;
      this.#poll(hand, dt_s);
      if (this.grab.holds(hand.id)) this.grab.move(hand.id, this.#placeOf(hand));
    }
    this.grab.apply();
    let hot = null;
    for (const hand of this.#hands) {
      if (!hand.source || this.grab.holds(hand.id)) continue;
      const far_m = this.on.point(this.#rayOf(hand));
      hand.line.scale.z = far_m ?? RAY_M;
      hot ??= far_m;
    }
    return hot !== null;
  }

  dispose() {
    for (const hand of this.#hands) {
      hand.forget();
      this.grab.release(hand.id);
    }
    this.object3D.removeFromParent();
    this.#material.dispose();
    this.#knob.dispose();
  }

  #hold(hand, by) {
    hand.holds.add(by);
    if (this.grab.holds(hand.id)) return;
    this.grab.hold(hand.id, this.#placeOf(hand));
    pulse(hand);
  }

  #release(hand, by) {
    hand.holds.delete(by);
    if (!hand.holds.size) this.grab.release(hand.id);
  }

  #rayOf({ space }) {
    space.updateWorldMatrix(true, false);
    this.#ray.origin.setFromMatrixPosition(space.matrixWorld);
    this.#ray.direction.set(0, 0, -1).applyQuaternion(space.getWorldQuaternion(_quaternion));
    return this.#ray;
  }

  /** The grip of what is tracked; of a finger, or of eyes, a point on the ray. */
  #placeOf(hand) {
    if (hand.source?.targetRayMode === "tracked-pointer") {
      const space = hand.grip.visible ? hand.grip : hand.space;
      space.updateWorldMatrix(true, false);
      // A hand that pinches turns as it does so, and what it holds is an arm's length away.
      return {
        position: new Vector3().setFromMatrixPosition(space.matrixWorld),
        quaternion: space.getWorldQuaternion(new Quaternion()),
        turns: !hand.source.hand,
      };
    }
    return { position: this.#rayOf(hand).at(FINGER_M, new Vector3()), quaternion: new Quaternion(), turns: false };
  }

  #poll(hand, dt_s) {
    const { gamepad } = hand.source;
    if (!gamepad) return;
    const [x, y] = [sticks(gamepad.axes[2]), sticks(gamepad.axes[3])];
    if (x || y) this.grab.adjust(x * TURN_RAD_S * dt_s, Math.exp(-y * SCALE_S * dt_s));
    const pressed = (index) => {
      const now = Boolean(gamepad.buttons[index]?.pressed), before = hand.buttons[index];
      hand.buttons[index] = now;
      return now && !before;
    };
    if (pressed(PRIMARY)) this.on.toggle();
    const reset = [SECONDARY, STICK].map(pressed); // both: what was pressed is kept
    if (reset.some(Boolean)) this.on.reset();
  }
}

function sticks(value) {
  if (!Number.isFinite(value) || Math.abs(value) < DEAD) return 0;
  return (value - Math.sign(value) * DEAD) / (1 - DEAD);
}

function pulse({ source }) {
  source?.gamepad?.hapticActuators?.[0]?.pulse?.(0.3, 15)?.catch?.(() => {});
}
