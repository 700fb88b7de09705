// What both surfaces of a face share: looks, light, the way they come and go.

import * as THREE from "three";

export const LOOKS = { picture: 0, depth: 1, clay: 2 };
const COME_S = 0.25;
const GO_S = 0.7;

/** GLSL of both shaders: what is drawn is known when they are compiled, so that they hand on and
 * compute nothing that is not seen. LOOK and LINES (of a wireframe) say which one of these it is. */
export const SHOWN = /* glsl */ `
#if !defined(LINES) && LOOK == ${LOOKS.picture}
  #define PICTURE
#elif LOOK == ${LOOKS.depth}
  #define DEPTH
#else
  #define LIT
#endif
`;

/** GLSL: `byDepth()` or `lit()`, and `dissolve()`; expects the uniforms of `uniforms()`. */
export const FRAGMENT = /* glsl */ `
uniform float shown;        // 1: there; 0: gone

#ifdef DEPTH
uniform float middle_m;     // depth of the middle of the face's front

vec3 inferno(float t) {
  return vec3(0.0002, 0.0017, -0.0195) + t * (vec3(0.1065, 0.5640, 3.9327)
    + t * (vec3(11.6025, -3.9729, -15.9424) + t * (vec3(-41.7040, 17.4364, 44.3541)
    + t * (vec3(77.1629, -33.4024, -81.8073) + t * (vec3(-71.3194, 32.6261, 73.2095)
    + t * vec3(25.1311, -12.2427, -23.0703))))));
}

vec3 byDepth(float z_m) {
  vec3 color = inferno(clamp(1.0 - (z_m - (middle_m - 0.09)) / 0.16, 0.0, 1.0));
#ifdef LINES
  color = color * 1.1 + 0.05;
#endif
  return color;
}
#endif

#ifdef LIT
uniform vec3 lineColor;

vec3 lit(vec3 n) {
#ifdef LINES
  return lineColor * (0.45 + 0.55 * clamp(n.z, 0.0, 1.0));
#else
  float key = max((dot(n, normalize(vec3(-0.45, 0.55, 0.7))) + 0.2) / 1.2, 0.0);
  float edge = pow(1.0 - abs(n.z), 2.5) * smoothstep(0.0, 0.25, n.z); // not in creases, which face away
  float rim = edge * max(dot(n, normalize(vec3(0.85, 0.3, 0.1))), 0.0);
  vec3 sky = mix(vec3(0.17, 0.15, 0.15), vec3(0.27, 0.29, 0.33), 0.5 + 0.5 * n.y);
  return vec3(0.80, 0.745, 0.70) * (sky + vec3(0.92, 0.87, 0.80) * key) + vec3(0.28, 0.42, 0.7) * rim;
#endif
}
#endif

void dissolve() {
  if (shown >= 1.0) return;
  vec2 at = floor(gl_FragCoord.xy);
  float noise = fract(52.9829189 * fract(0.06711056 * at.x + 0.00583715 * at.y));
  if (noise >= shown) discard;
}
`;

export function uniforms() {
  return {
    shown: { value: 0 },
    middle_m: { value: 0.5 },
    lineColor: { value: new THREE.Color(0x7fd4c1) },
  };
}

/**
 * The solid mesh and, over it, its lines: two meshes of one geometry.
 *
 * @param {THREE.BufferGeometry} geometry
 * @param {object} parameters of a ShaderMaterial
 * @returns what it is made of, and `setLook(one of LOOKS)`
 */
export function solidAndLines(geometry, parameters) {
  const material = new THREE.ShaderMaterial({
    glslVersion: THREE.GLSL3,
    ...parameters,
    defines: { LOOK: LOOKS.picture },
    polygonOffset: true,
    polygonOffsetFactor: 1,
    polygonOffsetUnits: 1,
  });
  const lines = new THREE.ShaderMaterial({
    glslVersion: THREE.GLSL3,
    ...parameters,
    uniforms: { ...parameters.uniforms },
    defines: { LOOK: LOOKS.picture, LINES: 1 },
    wireframe: true,
  });
  const group = new THREE.Group();
  const solid = new THREE.Mesh(geometry, material);
  const wire = new THREE.Mesh(geometry, lines);
  for (const mesh of [solid, wire]) mesh.frustumCulled = false;
  wire.visible = false;
  group.add(solid, wire);
  const setLook = (look) => {
    for (const one of [material, lines]) {
      if (one.defines.LOOK === look) continue;
      one.defines.LOOK = look;
      one.needsUpdate = true;
    }
  };
  return { group, solid, wire, material, lines, setLook };
}

/** A JPEG as a texture whose row 0 is the picture's top; the one before it goes on until then. */
export class PictureTexture {
  texture = new THREE.Texture();

  constructor() {
    this.texture.minFilter = this.texture.magFilter = THREE.LinearFilter;
    this.texture.generateMipmaps = false;
    this.texture.flipY = false;
  }

  /** @param {ImageBitmap} bitmap who calls this gives it away */
  set(bitmap) {
    const before = this.texture.image;
    if (before && (before.width !== bitmap.width || before.height !== bitmap.height)) this.texture.dispose();
    this.texture.image = bitmap;
    this.texture.needsUpdate = true;
    before?.close?.();
  }

  dispose() {
    this.texture.image?.close?.();
    this.texture.dispose();
  }
}

/** From 0 to 1 and back, in the time it takes. */
export class Presence {
  value = 0;
  goal = 0;

  /** @returns {boolean} whether it changed */
  update(dt_s) {
    if (this.value === this.goal) return false;
    const step = dt_s / (this.goal > this.value ? COME_S : GO_S);
    this.value = this.goal > this.value ? Math.min(this.goal, this.value + step) : Math.max(this.goal, this.value - step);
    return true;
  }
}
