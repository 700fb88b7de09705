// The face as the network sees it: a relief of its depth, with the crop's picture.

import * as THREE from "three";
import { FRAGMENT, SHOWN, solidAndLines } from "./surface_material.js";

const LINE_STRIDE = 4; // pixels between the lines of the wireframe

const VERTEX = /* glsl */ `
precision highp usampler2D;
${SHOWN}
uniform usampler2D depth;
uniform ivec2 size;
uniform int stride;
uniform float step_m;
uniform float base_m;
uniform mat3 rays;
out vec3 point;   // camera frame
#ifdef LIT
out vec3 normal_view;
#endif
#ifdef PICTURE
out vec2 uv_crop;
#endif
out float valid;

float z_of(ivec2 at) {
  uint value = texelFetch(depth, clamp(at, ivec2(0), size - 1), 0).r;
  return value == 0u ? 0.0 : base_m + (float(value) - 1.0) * step_m;
}

vec3 point_of(ivec2 at, float z) { return z * (rays * vec3(at, 1.0)); }

// From one neighbour to the other, or to the middle where one is missing.
vec3 along(ivec2 at, ivec2 d, float z, vec3 p) {
  float a = z_of(at - d), b = z_of(at + d);
  vec3 from = a > 0.0 && abs(a - z) < 0.02 ? point_of(at - d, a) : p;
  vec3 to = b > 0.0 && abs(b - z) < 0.02 ? point_of(at + d, b) : p;
  return from == to ? vec3(d, 0.0) * 1e-3 : to - from;
}

void main() {
  int columns = (size.x + stride - 1) / stride;
  ivec2 at = min(ivec2(gl_VertexID % columns, gl_VertexID / columns) * stride, size - 1);
  float z = z_of(at);
  valid = z > 0.0 ? 1.0 : 0.0;
  point = point_of(at, z);
#ifdef LIT
  vec3 n = cross(along(at, ivec2(0, 2), z, point), along(at, ivec2(2, 0), z, point)); // toward the camera
  normal_view = normalize(normalMatrix * n);
#endif
#ifdef PICTURE
  uv_crop = (vec2(at) + 0.5) / vec2(size);
#endif
  gl_Position = projectionMatrix * modelViewMatrix * vec4(point, 1.0);
}`;

const FRAGMENT_MAIN = /* glsl */ `
precision highp float;
${SHOWN}
${FRAGMENT}
in vec3 point;
#ifdef LIT
in vec3 normal_view;
#endif
#ifdef PICTURE
uniform sampler2D picture;
in vec2 uv_crop;
#endif
in float valid;
out vec4 color;

void main() {
  if (valid < 0.999) discard;
  // What the camera would see edge on spans a jump from one thing to another.
#ifndef LINES
  vec3 plane = cross(dFdx(point), dFdy(point));
  if (abs(dot(normalize(plane), normalize(point))) < 0.1) discard;
#endif
  dissolve();
#ifdef PICTURE
  color = vec4(texture(picture, uv_crop).rgb, 1.0);
#elif defined(DEPTH)
  color = vec4(byDepth(point.z), 1.0);
#else
  color = vec4(lit(normalize(normal_view)), 1.0);
#endif
}`;

export class FaceSurface {
  /** @param {PictureTexture} picture of the crop */
  constructor(picture, shared, { stride = 1 } = {}) {
    this.stride = stride;
    this.size = [0, 0];
    this.uniforms = {
      ...shared,
      depth: { value: null },
      size: { value: [0, 0] },
      stride: { value: stride },
      step_m: { value: 0 },
      base_m: { value: 0 },
      rays: { value: new THREE.Matrix3() },
      picture: { value: picture.texture },
    };
    const parameters = { vertexShader: VERTEX, fragmentShader: FRAGMENT_MAIN, uniforms: this.uniforms, side: THREE.DoubleSide };
    Object.assign(this, solidAndLines(new THREE.BufferGeometry(), parameters));
    // Lines of the grid, farther apart than its pixels and without diagonals.
    this.group.remove(this.wire);
    this.lines.wireframe = false;
    this.lines.uniforms.stride = { value: LINE_STRIDE };
    this.wire = new THREE.LineSegments(new THREE.BufferGeometry(), this.lines);
    this.wire.frustumCulled = this.wire.visible = false;
    this.group.add(this.wire);
    this.object3D = this.group;
    this.object3D.visible = false;
  }

  /** @param {object} depth of a decoded result */
  update(depth) {
    const { width, height } = depth;
    if (width !== this.size[0] || height !== this.size[1]) this.#resize(width, height);
    const texture = this.uniforms.depth.value;
    texture.image.data = depth.values;
    texture.needsUpdate = true;
    this.uniforms.step_m.value = depth.step_m;
    this.uniforms.base_m.value = depth.base_m;
    this.uniforms.rays.value.set(...depth.rays);
  }

  dispose() {
    this.uniforms.depth.value?.dispose();
    this.solid.geometry.dispose();
    this.wire.geometry.dispose();
    this.material.dispose();
    this.lines.dispose();
  }

  #resize(width, height) {
    this.size = [width, height];
    this.uniforms.size.value = [width, height];
    this.uniforms.depth.value?.dispose();
    const texture = new THREE.DataTexture(null, width, height, THREE.RedIntegerFormat, THREE.UnsignedShortType);
    texture.internalFormat = "R16UI";
    texture.minFilter = texture.magFilter = THREE.NearestFilter;
    texture.unpackAlignment = 2;
    this.uniforms.depth.value = texture;
    const geometry = new THREE.BufferGeometry();
    geometry.setIndex(new THREE.BufferAttribute(grid(width, height, this.stride), 1));
    const ofLines = new THREE.BufferGeometry();
    ofLines.setIndex(new THREE.BufferAttribute(gridLines(width, height, LINE_STRIDE), 1));
    this.solid.geometry.dispose();
    this.wire.geometry.dispose();
    this.solid.geometry = geometry;
    this.wire.geometry = ofLines;
  }
}

/** Corners of the triangles of a grid of pixels, the diagonals all one way. */
export function grid(width, height, stride = 1) {
  const columns = Math.ceil(width / stride);
  const rows = Math.ceil(height / stride);
  const out = new Uint32Array((columns - 1) * (rows - 1) * 6);
  let k = 0;
  for (let r = 0; r + 1 < rows; r++) {
    for (let c = 0; c + 1 < columns; c++) {
      const a = r * columns + c;
      out.set([a, a + 1, a + columns, a + 1, a + columns + 1, a + columns], k);
      k += 6;
    }
  }
  return out;
}

/** Ends of the lines along rows and columns. */
export function gridLines(width, height, stride) {
  const columns = Math.ceil(width / stride);
  const rows = Math.ceil(height / stride);
  const out = new Uint32Array(2 * (rows * (columns - 1) + columns * (rows - 1)));
  let k = 0;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const a = r * columns + c;
      if (c + 1 < columns) [out[k++], out[k++]] = [a, a + 1];
      if (r + 1 < rows) [out[k++], out[k++]] = [a, a + columns];
    }
  }
  return out;
}
