// What moves a model that was loaded: its shapes, head and eyes, whatever it calls them.
import { Box3, MathUtils, Quaternion, Vector3 } from "three";
import { ARKIT_NAMES, arkitPlace, placeOf, presetOf, presetsToDrive } from "./avatar_shapes.js";

const NECK_SHARE = 0.4; // of the head's turn; a head that turns on its neck alone looks broken
const ARMS_DOWN_RAD = 1.2; // models come with their arms stretched out
const MOVES_EYE = 0.0005; // of the model's size: what a shape must move at an eyeball to turn it
const _turn = new Quaternion(), _part = new Quaternion(), _eye = new Quaternion();
const IDENTITY = new Quaternion();
const Y = new Vector3(0, 1, 0), X = new Vector3(1, 0, 0);

/** From the server's frame (x right, y down, z into the head) to a model that faces +z, y up; or
 * to one that faces -z, as VRM 0 does. */
export function toModel(target, { x, y, z, w }, facesAway = false) {
  return facesAway ? target.set(-x, -y, z, w) : target.set(x, -y, -z, w);
}

/** Turn of an eye, in our frame: yaw toward the own right, then pitch down. */
function eyeTurn(yaw, pitch) {
  return _eye.setFromAxisAngle(Y, yaw).multiply(_part.setFromAxisAngle(X, pitch));
}

/** Morph targets of all meshes, by what they are of ARKit's or of VRM's presets. */
class Morphs {
  constructor(root, { except = new Set(), presets = true } = {}) {
    this.places = new Set();
    this._direct = []; // [influences, index, place]
    const byPreset = new Map();
    root.traverse((mesh) => {
      for (const [name, index] of Object.entries(mesh.morphTargetDictionary ?? {})) {
        const place = arkitPlace(name), preset = presetOf(name);
        if (place >= 0 && !except.has(place)) {
          this._direct.push([mesh.morphTargetInfluences, index, place]);
          this.places.add(place);
        } else if (place < 0 && preset && presets) {
          byPreset.set(preset, [...(byPreset.get(preset) ?? []), [mesh.morphTargetInfluences, index]]);
        }
      }
    });
    this._presets = presetsToDrive(this.places, byPreset.keys())
      .map(({ preset, value }) => ({ value, targets: byPreset.get(preset) }));
    this.count = this.places.size + this._presets.length;
  }

  set(coefficients) {
    for (const [influences, index, place] of this._direct) influences[index] = coefficients[place];
    for (const { value, targets } of this._presets) {
      const weight = value(coefficients);
      for (const [influences, index] of targets) influences[index] = weight;
    }
  }
}

/** A VRM, 0 or 1, as three-vrm read it. */
export class VrmRig {
  constructor(vrm) {
    this.vrm = vrm;
    this.facesAway = vrm.meta?.metaVersion === "0";
    const bone = (name) => vrm.humanoid?.getNormalizedBoneNode(name) ?? null;
    this.head = bone("head");
    this._neck = bone("neck");
    this._leftEye = bone("leftEye");
    const flip = this.facesAway ? -1 : 1;
    for (const [name, way] of [["leftUpperArm", -1], ["rightUpperArm", 1]]) {
      bone(name)?.rotation.set(0, 0, way * flip * ARMS_DOWN_RAD);
    }
    const manager = vrm.expressionManager;
    this._arkit = [];
    const places = new Set(), presets = new Map();
    for (const expression of manager?.expressions ?? []) {
      const place = arkitPlace(expression.expressionName), preset = presetOf(expression.expressionName);
      if (place >= 0) {
        this._arkit.push([expression, place]);
        places.add(place);
      } else if (preset) {
        presets.set(preset, expression);
      }
    }
    // Not a few models have ARKit's shapes in their mesh, and no expressions of that name.
    this._morphs = new Morphs(vrm.scene, { except: places, presets: false });
    for (const place of this._morphs.places) places.add(place);
    this._presets = presetsToDrive(places, presets.keys())
      .map(({ preset, value }) => ({ expression: presets.get(preset), value }));
    this.shapes = places.size;
    this.moves = this.shapes + this._presets.length;
    /** Nodes of the left and the right eye, or nothing. */
    this.eyes = ["leftEye", "rightEye"].map((name) => vrm.humanoid?.getRawBoneNode(name));
    this._eyesByShape = !vrm.lookAt || eyesMoveByShapes(vrm.scene, this.eyes);
    if (vrm.lookAt) vrm.lookAt.autoUpdate = false;
  }

  /** Where the middle of the eyes is, in the scene. */
  eyesAt(target) {
    return middleOf(this.eyes, target) ?? this.vrm.lookAt?.getLookAtWorldPosition(target) ?? null;
  }

  /** Show a pose of `AvatarMotion`, `dt` seconds later. */
  apply(pose, dt) {
    toModel(_turn, pose.rotation, this.facesAway);
    const neck = this._neck && this.head ? NECK_SHARE : 0;
    if (this._neck) this._neck.quaternion.slerpQuaternions(IDENTITY, _turn, neck);
    this.head?.quaternion.slerpQuaternions(IDENTITY, _turn, 1 - neck);
    for (const [expression, place] of this._arkit) expression.weight = pose.coefficients[place];
    for (const { expression, value } of this._presets) expression.weight = value(pose.coefficients);
    if (!this._eyesByShape) this._look(pose.eyes);
    this.vrm.update(dt);
    this._morphs.set(pose.coefficients); // after it, which sets what expressions are bound to
  }

  _look([leftYaw, leftPitch, rightYaw, rightPitch]) {
    const { applier } = this.vrm.lookAt, deg = MathUtils.RAD2DEG;
    if (!this._leftEye || !("humanoid" in applier)) { // by expressions: both as one
      applier.applyYawPitch(-0.5 * deg * (leftYaw + rightYaw), 0.5 * deg * (leftPitch + rightPitch));
      return;
    }
    // It turns both eyes alike: take of each call the eye that it was for.
    applier.applyYawPitch(-deg * leftYaw, deg * leftPitch);
    _eye.copy(this._leftEye.quaternion);
    applier.applyYawPitch(-deg * rightYaw, deg * rightPitch);
    this._leftEye.quaternion.copy(_eye);
  }
}

/** Any other model with shapes or bones that have names. It faces +z, as glTF says. */
export class MorphRig {
  constructor(scene) {
    this.scene = scene;
    this._morphs = new Morphs(scene);
    this.shapes = this._morphs.places.size;
    this.moves = this._morphs.count;
    const bones = named(scene);
    const eyes = [bones.leftEye, bones.rightEye];
    this.head = bones.head ?? around(scene, eyes.filter(Boolean));
    this.eyes = eyes;
    const neck = bones.neck && this.head && isWithin(this.head, bones.neck) ? bones.neck : null;
    scene.updateMatrixWorld(true);
    this._joints = [[neck, neck ? NECK_SHARE : 0], [this.head, neck ? 1 - NECK_SHARE : 1]]
      .filter(([node]) => node).map(([node, share]) => ({ ...atRest(node, scene), share }));
    this._turnedEyes = eyesMoveByShapes(scene, eyes) ? []
      : eyes.map((node, k) => (node ? { ...atRest(node, scene), at: 2 * k } : null)).filter(Boolean);
    if (!this.head) this._pivot = pivotOf(scene);
    for (const [node, way] of [[bones.leftArm, -1], [bones.rightArm, 1]]) {
      if (node) lowerArm(node, scene, way);
    }
  }

  eyesAt(target) {
    return middleOf(this.eyes, target);
  }

  apply(pose) {
    toModel(_turn, pose.rotation);
    for (const { node, above, rest, share } of this._joints) {
      turnNode(node, above, rest, _part.slerpQuaternions(IDENTITY, _turn, share));
    }
    if (this._pivot) turnAbout(this.scene, this._pivot, _turn);
    for (const { node, above, rest, at } of this._turnedEyes) {
      const turned = eyeTurn(pose.eyes[at], pose.eyes[at + 1]);
      turnNode(node, above, rest, toModel(_part, turned));
    }
    this._morphs.set(pose.coefficients);
  }
}

const BONES = {
  head: ["head"], neck: ["neck"],
  leftEye: ["lefteye", "eyeleft", "eyel", "leye"],
  rightEye: ["righteye", "eyeright", "eyer", "reye"],
  leftArm: ["leftarm", "leftupperarm", "upperarml", "larm", "arml"],
  rightArm: ["rightarm", "rightupperarm", "upperarmr", "rarm", "armr"],
};

/** Nodes by name: `Head`, `mixamorigHead`, `CC_Base_Head`, `J_Bip_C_Head`, `Eye.L`. Bones before
 * others, and a head only where it carries the eyes, if there are any. */
function named(scene) {
  const found = {};
  const nodes = [];
  scene.traverse((node) => { if (!node.isMesh) nodes.push(node); });
  nodes.sort((a, b) => Number(Boolean(b.isBone)) - Number(Boolean(a.isBone)));
  for (const [bone, all] of Object.entries(BONES)) {
    found[bone] = nodes.find((node) => all.some((name) => tailOf(node.name, name)));
  }
  const eyes = [found.leftEye, found.rightEye].filter(Boolean);
  if (found.head && !found.head.isBone && !eyes.every((eye) => isWithin(eye, found.head))) {
    delete found.head;
  }
  return found;
}

function tailOf(name, wanted) {
  const parts = name.replace(/^mixamorig\d*:?/i, "").split(/[\s._:|/\\-]+/).filter(Boolean);
  return parts.some((_, k) => parts.slice(k).join("").toLowerCase() === wanted);
}

/** The joint above both eyes that only they and the face hang from: their common bone parent. */
function around(scene, eyes) {
  const parent = eyes.length === 2 && eyes[0].parent === eyes[1].parent ? eyes[0].parent : null;
  return parent?.isBone ? parent : undefined;
}

function isWithin(node, ancestor) {
  for (let at = node; at; at = at.parent) if (at === ancestor) return true;
  return false;
}

/** Turn of what is above it and its own, at rest, in the model. */
function atRest(node, scene) {
  const inverse = scene.getWorldQuaternion(new Quaternion()).invert();
  const above = node.parent.getWorldQuaternion(new Quaternion()).premultiply(inverse);
  return { node, above, rest: node.quaternion.clone() };
}

function turnNode(node, above, rest, turn) {
  node.quaternion.copy(above).invert().multiply(turn).multiply(above).multiply(rest);
}

function lowerArm(node, scene, way) {
  const { above, rest } = atRest(node, scene);
  const child = node.children.find((other) => other.isBone);
  if (!child) return;
  const from = node.getWorldPosition(new Vector3());
  const along = child.getWorldPosition(new Vector3()).sub(from).normalize();
  if (Math.abs(along.y) > 0.5) return; // it hangs already
  turnNode(node, above, rest, new Quaternion().setFromAxisAngle(new Vector3(0, 0, 1), way * ARMS_DOWN_RAD));
}

/** Where a head without a bone turns: low in its box, as a neck would have it. */
function pivotOf(scene) {
  const box = new Box3().setFromObject(scene, true);
  const size = box.getSize(new Vector3());
  const at = box.getCenter(new Vector3()).setY(box.min.y + 0.2 * size.y);
  return { at: scene.worldToLocal(at), place: scene.position.clone(), rest: scene.quaternion.clone() };
}

function turnAbout(scene, { at, place, rest }, turn) {
  scene.quaternion.copy(turn).multiply(rest);
  const scaled = at.clone().multiply(scene.scale);
  scene.position.copy(place).add(scaled.clone().applyQuaternion(rest))
    .sub(scaled.applyQuaternion(scene.quaternion));
}

function middleOf(nodes, target) {
  const there = nodes.filter(Boolean);
  if (!there.length) return null;
  target.set(0, 0, 0);
  const place = new Vector3();
  for (const node of there) target.add(node.getWorldPosition(place));
  return target.divideScalar(there.length);
}

/** Whether the model's shapes for the gaze move the eyeballs themselves: then their joints are
 * left alone, or they would turn twice. */
function eyesMoveByShapes(scene, eyes) {
  const looks = new Set(ARKIT_NAMES.flatMap((name, k) => (name.startsWith("eyeLook") ? [k] : [])));
  if (!eyes.some(Boolean)) return true;
  const size = new Box3().setFromObject(scene).getSize(new Vector3()).length() || 1;
  let most = 0;
  scene.traverse((mesh) => {
    const morph = mesh.geometry?.morphAttributes?.position;
    if (!morph) return;
    const indices = Object.entries(mesh.morphTargetDictionary ?? {})
      .filter(([name]) => looks.has(arkitPlace(name))).map(([, index]) => index);
    if (!indices.length) return;
    const onEye = verticesOn(mesh, eyes);
    for (const index of indices) {
      for (const vertex of onEye) {
        most = Math.max(most, Math.hypot(
          morph[index].getX(vertex), morph[index].getY(vertex), morph[index].getZ(vertex)));
      }
    }
  });
  return most > MOVES_EYE * size;
}

/** Some of the vertices of a mesh that hang on the joints of the eyes. */
function verticesOn(mesh, eyes) {
  const { skinIndex, skinWeight, position } = mesh.geometry.attributes;
  if (!mesh.isSkinnedMesh) {
    const hangs = eyes.some((eye) => eye && isWithin(mesh, eye));
    return hangs ? range(position.count, 7) : [];
  }
  const joints = new Set(eyes.map((eye) => mesh.skeleton.bones.indexOf(eye)).filter((k) => k >= 0));
  return range(position.count, 3).filter((vertex) => {
    for (let k = 0; k < 4; k += 1) {
      const joint = skinIndex.getComponent(vertex, k);
      if (joints.has(joint) && skinWeight.getComponent(vertex, k) > 0.5) return true;
    }
    return false;
  });
}

const range = (count, step) => Array.from({ length: Math.ceil(count / step) }, (_, k) => k * step);

/** Whether it can be moved at all, and what cannot, in words for its owner. */
export function wordsOf(rig) {
  if (rig.shapes > 40) return [];
  if (rig.shapes === 0 && rig.moves === 0) return ["It has no face shapes: only its head moves."];
  const blinks = rig.shapes === 0 ? "the few presets that it has" : `${rig.shapes} of ARKit's 52 shapes`;
  return [`It has not all face shapes: it moves by ${blinks}.`];
}

export const JAW = placeOf("jawOpen");
