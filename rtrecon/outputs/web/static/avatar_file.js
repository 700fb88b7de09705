// From a .vrm or .glb to a model that moves. A person's own file is read here and goes nowhere.
import { Box3, Group, LoadingManager, MeshLambertMaterial, Vector3 } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { MeshoptDecoder } from "three/addons/libs/meshopt_decoder.module.js";
import { VRMLoaderPlugin, VRMUtils } from "@pixiv/three-vrm";
import { MorphRig, VrmRig, wordsOf } from "./avatar_rig.js";

const LARGEST_BYTES = 256 << 20;
const GLTF = 0x46546c67, JSON_CHUNK = 0x4e4f534a;
const EYES_APART_M = 0.063;
const EYES_BACK_M = 0.012; // the middle of an eyeball from its pupil
const UNKNOWN_HEAD_M = 0.25, UNKNOWN_BODY_M = 1.7; // where a model says nothing of its unit
const EXTENSIONS_NOT_READ = {
  KHR_draco_mesh_compression: "its mesh is compressed with Draco",
  KHR_texture_basisu: "its textures are in KTX2",
};

/** What is wrong with a file, in words for its owner. */
export class AvatarError extends Error {}

/** Bytes of what a person chose, or of an address of the server's.
 * @param source File, Blob, or string */
export async function readAvatar(source, signal) {
  if (typeof source === "string") {
    const response = await fetch(source, { signal }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new AvatarError("The avatar could not be fetched: the server does not answer.");
    });
    if (!response.ok) {
      const words = (await response.text()).trim().slice(0, 300);
      throw new AvatarError(`The server has no avatar: ${words || response.status}`);
    }
    return response.arrayBuffer();
  }
  const name = nameOf(source);
  if (source.size > LARGEST_BYTES) {
    throw new AvatarError(`${name} has ${Math.round(source.size / 1e6)} MB; 256 MB are the most.`);
  }
  return source.arrayBuffer().catch(() => {
    throw new AvatarError(`${name} cannot be read: was it moved or deleted?`);
  });
}

/** What a file is called, in words. */
export function nameOf(source) {
  return typeof source === "string" ? "The avatar" : source.name || "The file";
}

/** A model and what moves it: `{root, rig, words, above_m}`. `root` is a Group whose origin is the
 * middle of the eyes at rest, which look along +z, in metres; its top is `above_m` over that.
 * @param plain materials of the plainest kind, where the processor makes all pixels
 * @throws {AvatarError} */
export async function parseAvatar(bytes, name, { plain: isPlain = false } = {}) {
  check(bytes, name);
  const gltf = await loader().parseAsync(bytes, "").catch((error) => {
    throw new AvatarError(`${name} is damaged: ${plain(error)}`);
  });
  try {
    const model = place(gltf, name);
    if (isPlain) paintPlainly(model.root);
    return model;
  } catch (error) {
    VRMUtils.deepDispose(gltf.scene);
    throw error instanceof AvatarError ? error : new AvatarError(`${name} is damaged: ${plain(error)}`);
  }
}

export function disposeAvatar({ root }) {
  root.removeFromParent();
  VRMUtils.deepDispose(root);
}

function loader() {
  const manager = new LoadingManager();
  // Nothing of a model is fetched, from wherever it says: all is in its own bytes.
  manager.setURLModifier((url) => (/^(blob|data):/.test(url) ? url : "data:,"));
  const made = new GLTFLoader(manager).setMeshoptDecoder(MeshoptDecoder);
  return made.register((parser) => new VRMLoaderPlugin(parser));
}

/** Say early, and better than a parser does, why a file is none that can be shown. */
function check(bytes, name) {
  const view = new DataView(bytes);
  if (bytes.byteLength < 20 || view.getUint32(0, true) !== GLTF) {
    const start = new TextDecoder().decode(new Uint8Array(bytes, 0, Math.min(64, bytes.byteLength)));
    if (/^\s*\{/.test(start)) {
      throw new AvatarError(`${name} is a .gltf, which has its parts in other files: export it as .glb.`);
    }
    throw new AvatarError(`${name} is no .vrm or .glb.`);
  }
  if (view.getUint32(4, true) !== 2) {
    throw new AvatarError(`${name} is glTF ${view.getUint32(4, true)}: export it as glTF 2.0.`);
  }
  if (view.getUint32(8, true) > bytes.byteLength) {
    const missing = view.getUint32(8, true) - bytes.byteLength;
    throw new AvatarError(`${name} is not whole: ${missing} bytes are missing. Fetch or export it again.`);
  }
  const size = view.getUint32(12, true);
  let json;
  try {
    if (view.getUint32(16, true) !== JSON_CHUNK || 20 + size > bytes.byteLength) throw new Error();
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes, 20, size)));
  } catch {
    throw new AvatarError(`${name} is damaged: what describes it cannot be read.`);
  }
  for (const extension of json.extensionsRequired ?? []) {
    if (EXTENSIONS_NOT_READ[extension]) {
      throw new AvatarError(`${name}: ${EXTENSIONS_NOT_READ[extension]}. Export it without.`);
    }
  }
  const outside = [...(json.images ?? []), ...(json.buffers ?? [])]
    .find((part) => typeof part?.uri === "string" && !part.uri.startsWith("data:"));
  if (outside) {
    throw new AvatarError(`${name} has parts in other files (${outside.uri.slice(0, 60)}): export it as one .glb.`);
  }
}

function place(gltf, name) {
  const { vrm } = gltf.userData;
  if (vrm) VRMUtils.rotateVRM0(vrm);
  const model = vrm ? vrm.scene : gltf.scene;
  let meshes = 0;
  model.traverse((node) => {
    if (!node.isMesh) return;
    meshes += 1;
    node.frustumCulled = false; // boxes do not know of shapes and bones
  });
  if (!meshes) throw new AvatarError(`${name} has nothing to draw.`);
  // Boxes at rest, before anything is posed.
  model.updateMatrixWorld(true);
  const box = new Box3().setFromObject(model, true);
  if (box.isEmpty() || ![...box.min, ...box.max].every(Number.isFinite)) {
    throw new AvatarError(`${name} is damaged: its places are no numbers.`);
  }
  const rig = vrm ? new VrmRig(vrm) : new MorphRig(model);
  if (!rig.moves && !rig.head) {
    throw new AvatarError(`${name} has neither face shapes nor a head that could be moved.`);
  }
  const root = new Group();
  const scaled = new Group().add(model);
  root.add(scaled);
  const above_m = settle(scaled, rig, box);
  vrm?.springBoneManager?.reset();
  return { root, rig, words: wordsOf(rig), above_m };
}

/** Scale to metres and put the middle of the eyes at the origin. */
function settle(scaled, rig, box) {
  const size = box.getSize(new Vector3());
  const eyes = rig.eyesAt(new Vector3());
  const isHead = size.y < 3 * size.x;
  let scale = 1;
  if (size.y > 4 || size.y < 0.12) {
    const apart = eyesApart(rig.eyes);
    scale = apart > 0 ? EYES_APART_M / apart : (isHead ? UNKNOWN_HEAD_M : UNKNOWN_BODY_M) / size.y;
  }
  if (!eyes) { // a bust or a head alone: eyes a little over the middle, at the front
    const head = isHead ? size.y : size.y * 0.13;
    const high = isHead ? 0.55 * head : 0.5 * head;
    scaled.position.set((box.min.x + box.max.x) / -2, -(box.max.y - (head - high)), -(box.max.z - 0.1 * size.z));
  } else {
    scaled.position.copy(eyes).negate();
    scaled.position.z -= EYES_BACK_M / scale;
  }
  scaled.position.multiplyScalar(scale);
  scaled.scale.setScalar(scale);
  return box.max.y * scale + scaled.position.y;
}

function eyesApart([left, right]) {
  if (!left || !right) return 0;
  return left.getWorldPosition(new Vector3()).distanceTo(right.getWorldPosition(new Vector3()));
}

/** A quarter of the time of a material of physics, with software GL. */
function paintPlainly(root) {
  root.traverse((mesh) => {
    if (!mesh.isMesh) return;
    const all = [mesh.material].flat().map((material) => {
      const { map, color, transparent, alphaTest, side, opacity, vertexColors, visible, depthWrite } = material;
      const made = new MeshLambertMaterial({ map, transparent, alphaTest, side, opacity, vertexColors, visible, depthWrite });
      if (color) made.color.copy(color);
      if (material.isOutline) made.visible = false; // of MToon: a hull that its shader swells
      material.dispose();
      return made;
    });
    mesh.material = Array.isArray(mesh.material) ? all : all[0];
  });
}

function plain(error) {
  const words = String(error?.message ?? error).replace(/^THREE\.\w+: /, "").trim();
  return words.slice(0, 200) || "it cannot be read";
}
