// The whole live head: one mesh of fixed topology, the picture laid on it where it was seen.

import * as THREE from "three";
import { FRAGMENT, SHOWN, solidAndLines } from "./surface_material.js";

// Per vertex, since triangles are some millimetres wide: a pixel has only the picture to look up.
const VERTEX = /* glsl */ `
${SHOWN}
uniform mat4 T_seen;   // T_camera_head of the result: the picture is projected from there
#ifdef PICTURE
in float share;
in vec3 tint;
uniform vec4 K;           // fx, fy, cx, cy
uniform vec3 M[2];        // rows: pixel of the picture to pixel of the crop
uniform float crop_px;
uniform float textured;   // 0: no picture yet
out vec2 uv_crop;
out vec3 base;
out float painted;        // share of the picture
#endif
#ifdef DEPTH
out float z_m;
#endif
#ifdef LIT
out vec3 normal_view;
#endif

void main() {
  vec3 seen = (T_seen * vec4(position, 1.0)).xyz;   // camera frame
#ifdef PICTURE
  vec3 pixel = vec3(K.xy * seen.xy / seen.z + K.zw, 1.0);
  uv_crop = (vec2(dot(M[0], pixel), dot(M[1], pixel)) + 0.5) / crop_px;
  painted = share * textured * float(all(greaterThan(uv_crop, vec2(0.0))) && all(lessThan(uv_crop, vec2(1.0))));
  // What faces away from the camera is a little darker: nothing lit it.
  float facing = clamp(-normalize(mat3(T_seen) * normal).z, -0.7, 0.3);
  base = tint * (1.0 - 0.3 * (0.3 - facing));
#endif
#ifdef DEPTH
  z_m = seen.z;
#endif
#ifdef LIT
  normal_view = normalMatrix * normal;
#endif
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const FRAGMENT_MAIN = /* glsl */ `
precision highp float;
${SHOWN}
${FRAGMENT}
#ifdef PICTURE
uniform sampler2D picture;
in vec2 uv_crop;
in vec3 base;
in float painted;
#endif
#ifdef DEPTH
in float z_m;
#endif
#ifdef LIT
in vec3 normal_view;
#endif
out vec4 color;

void main() {
  dissolve();
#ifdef PICTURE
  color = vec4(mix(base, texture(picture, uv_crop).rgb, painted), 1.0);
#elif defined(DEPTH)
  color = vec4(byDepth(z_m), 1.0);
#else
  color = vec4(lit(normalize(normal_view)), 1.0);
#endif
}`;

export class HeadSurface {
  #hasTint = false;
  #tintKey = null;
  #scratch;

  /**
   * @param {PictureTexture} picture of the crop
   * @param {{rest: Float32Array, triangles: Uint16Array, count: number}} topology
   */
  constructor(picture, shared, topology) {
    const { rest, triangles, count } = topology;
    this.geometry = new THREE.BufferGeometry();
    this.#scratch = new Float32Array(count * 3);
    const dynamic = (values, size, normalized = false) =>
      new THREE.BufferAttribute(values, size, normalized).setUsage(THREE.DynamicDrawUsage);
    this.position = dynamic(Float32Array.from(rest), 3);
    this.normal = dynamic(new Float32Array(count * 3), 3);
    this.share = dynamic(new Uint8Array(count), 1, true);
    this.tint = dynamic(new Uint8Array(count * 3).fill(150), 3, true);
    this.geometry.setAttribute("position", this.position);
    this.geometry.setAttribute("normal", this.normal);
    this.geometry.setAttribute("share", this.share);
    this.geometry.setAttribute("tint", this.tint);
    this.geometry.setIndex(new THREE.BufferAttribute(triangles, 1));
    this.triangles = triangles;
    this.uniforms = {
      ...shared,
      T_seen: { value: new THREE.Matrix4() },
      picture: { value: picture.texture },
      K: { value: new THREE.Vector4() },
      M: { value: [new THREE.Vector3(), new THREE.Vector3()] },
      crop_px: { value: 1 },
      textured: { value: 0 },
    };
    const parameters = { vertexShader: VERTEX, fragmentShader: FRAGMENT_MAIN, uniforms: this.uniforms };
    Object.assign(this, solidAndLines(this.geometry, parameters));
    this.object3D = this.group;
    this.object3D.matrixAutoUpdate = false;
    this.object3D.visible = false;
  }

  /** Whether colours came for what the picture does not show. */
  get hasTint() {
    return this.#hasTint;
  }

  /**
   * @param {object} face of a decoded result, with a head
   * @param {number[]} K of the result
   * @param {boolean} textured its picture is in the texture
   */
  update(face, K, textured) {
    const { head } = face;
    this.position.array.set(head.positions);
    this.position.needsUpdate = true;
    normals(head.positions, this.triangles, this.normal.array);
    soften(this.normal.array, this.triangles, this.#scratch);
    this.normal.needsUpdate = true;
    this.share.array.set(head.share);
    this.share.needsUpdate = true;
    if (head.tint && head.tint_key !== this.#tintKey) {
      this.#tintKey = head.tint_key;
      this.tint.array.set(head.tint);
      this.tint.needsUpdate = true;
      this.#hasTint = true;
    }
    const [R, t] = [head.R, head.t];
    this.object3D.matrix.set(R[0], R[1], R[2], t[0], R[3], R[4], R[5], t[1], R[6], R[7], R[8], t[2], 0, 0, 0, 1);
    this.object3D.matrixWorldNeedsUpdate = true;
    this.uniforms.T_seen.value.copy(this.object3D.matrix);
    this.uniforms.K.value.set(...K);
    const M = face.M;
    this.uniforms.M.value[0].set(M[0], M[1], M[2]);
    this.uniforms.M.value[1].set(M[3], M[4], M[5]);
    this.uniforms.crop_px.value = face.crop_px;
    this.uniforms.textured.value = textured ? 1 : 0;
  }

  dispose() {
    this.geometry.dispose();
    this.material.dispose();
    this.lines.dispose();
  }
}

/** Normals of vertices, weighted by the area of their triangles, into `out`. */
export function normals(p, triangles, out) {
  out.fill(0);
  for (let k = 0; k < triangles.length; k += 3) {
    const a = triangles[k] * 3, b = triangles[k + 1] * 3, c = triangles[k + 2] * 3;
    const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
    out[a] += nx; out[a + 1] += ny; out[a + 2] += nz;
    out[b] += nx; out[b + 1] += ny; out[b + 2] += nz;
    out[c] += nx; out[c + 1] += ny; out[c + 2] += nz;
  }
  for (let k = 0; k < out.length; k += 3) {
    const shorter = 1 / (Math.sqrt(out[k] * out[k] + out[k + 1] * out[k + 1] + out[k + 2] * out[k + 2]) || 1);
    out[k] *= shorter; out[k + 1] *= shorter; out[k + 2] *= shorter;
  }
}

/** Normals `n` averaged with those of their neighbours: positions come in steps of a fraction of a
 * millimetre, which a lamp from the side would show. */
export function soften(n, triangles, sums) {
  sums.set(n);
  for (let k = 0; k < triangles.length; k += 3) {
    const a = triangles[k] * 3, b = triangles[k + 1] * 3, c = triangles[k + 2] * 3;
    for (let axis = 0; axis < 3; axis++) {
      const sum = (n[a + axis] + n[b + axis] + n[c + axis]) / 6;
      sums[a + axis] += sum;
      sums[b + axis] += sum;
      sums[c + axis] += sum;
    }
  }
  for (let k = 0; k < n.length; k += 3) {
    const [x, y, z] = [sums[k], sums[k + 1], sums[k + 2]];
    const shorter = 1 / (Math.sqrt(x * x + y * y + z * z) || 1);
    n[k] = x * shorter; n[k + 1] = y * shorter; n[k + 2] = z * shorter;
  }
}
