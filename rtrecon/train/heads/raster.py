"""Renders meshes once into a geometry buffer: normals, depth, coordinates, materials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from rtrecon.errors import RtreconError
from rtrecon.train.heads.mesh import Int32Array
from rtrecon.types import Float32Array, Float64Array

__all__ = ["GeometryBuffer", "Rasterizer"]

_VERTEX = """
#version 330
uniform mat4 projection;
in vec3 position; in vec3 normal; in vec2 uv; in float material; in float cover;
in vec4 weights_a; in vec4 weights_b;
out vec3 v_normal; out float v_depth; out vec2 v_uv; out float v_cover;
flat out float v_material; out vec4 v_a; out vec4 v_b;
void main() {
  gl_Position = projection * vec4(position, 1.0);
  v_normal = normal; v_depth = position.z; v_uv = uv; v_cover = cover;
  v_material = material; v_a = weights_a; v_b = weights_b;
}
"""
_FRAGMENT = """
#version 330
uniform sampler2D noise;
in vec3 v_normal; in float v_depth; in vec2 v_uv; in float v_cover;
flat in float v_material; in vec4 v_a; in vec4 v_b;
layout(location=0) out vec4 o_surface;
layout(location=1) out vec4 o_texture;
layout(location=2) out vec4 o_a;
layout(location=3) out vec4 o_b;
void main() {
  if (v_cover < 0.999) {
    float n = 0.6 * texture(noise, v_uv * vec2(7.0, 0.06)).r
            + 0.4 * texture(noise, v_uv * vec2(23.0, 0.12)).r;
    if (v_cover < n) discard;
  }
  o_surface = vec4(normalize(v_normal), v_depth);
  o_texture = vec4(v_uv, v_material, v_cover);
  o_a = v_a; o_b = v_b;
}
"""


@dataclass(frozen=True, slots=True, eq=False)
class GeometryBuffer:
    """What each pixel of a (h, w) view shows; float32.

    ``normal`` (h, w, 3) in the camera frame, unit, toward the camera; ``z_m`` (h, w) camera
    depth, inf where nothing is; ``uv`` (h, w, 2); ``material`` (h, w) uint8;
    ``weights`` (h, w, 8).
    """

    normal: Float32Array
    z_m: Float32Array
    uv: Float32Array
    material: Any
    weights: Float32Array


class Rasterizer:
    """One OpenGL context without a window (EGL): a GPU where there is one, else software.

    Args:
        size_px: width and height of its views.

    Raises:
        RtreconError: no OpenGL 3.3 context can be made.
    """

    def __init__(self, size_px: int) -> None:
        import moderngl

        try:
            settings: dict[str, Any] = {"backend": "egl"}
            self._context = moderngl.create_context(standalone=True, require=330, **settings)
        except Exception as error:  # moderngl raises plain Exception
            raise RtreconError(
                f"no OpenGL context without a window ({error}); on Debian: "
                "apt-get install libegl1 libgl1 libgl1-mesa-dri"
            ) from error
        self.size_px = size_px
        context = self._context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._targets = [
            context.texture((size_px, size_px), 4, dtype=kind) for kind in ("f4", "f4", "f1", "f1")
        ]
        self._frame = context.framebuffer(
            self._targets, context.depth_renderbuffer((size_px, size_px))
        )
        noise = np.random.default_rng(7).random((256, 256)).astype(np.float32)
        blurred = cv2.GaussianBlur(np.pad(noise, 8, mode="wrap"), (0, 0), 0.8)
        noise = np.asarray(blurred, np.float32)[8:-8, 8:-8]
        noise = (noise.argsort(axis=None).argsort().reshape(256, 256) / 65536.0).astype(np.float32)
        self._noise = context.texture((256, 256), 1, noise.tobytes(), dtype="f4")
        self._noise.repeat_x = self._noise.repeat_y = True
        self._noise.use(0)
        context.enable(moderngl.DEPTH_TEST)

    def close(self) -> None:
        """Free the context."""
        self._context.release()

    def render(
        self, rows: Float32Array, triangles: Int32Array, H_crop_camera: Float64Array, crop_px: int
    ) -> GeometryBuffer:
        """Render vertex rows (n, 18: position in the camera frame in metres, normal, uv,
        material, cover, eight weights).

        ``H_crop_camera`` (3, 3) takes camera points to homogeneous crop pixels of a crop
        ``crop_px`` wide; the view covers that crop.
        """
        context = self._context
        near, far = 0.05, 12.0
        P = np.zeros((4, 4))
        h = H_crop_camera
        scale = 2.0 / crop_px
        P[0, :3] = scale * (h[0] + 0.5 * h[2]) - h[2]
        P[1, :3] = scale * (h[1] + 0.5 * h[2]) - h[2]
        P[2, 2] = (far + near) / (far - near)
        P[2, 3] = -2 * far * near / (far - near)
        P[3, :3] = h[2]
        uniform: Any = self._program["projection"]
        uniform.write(P.T.astype(np.float32).tobytes())
        vertices = context.buffer(np.ascontiguousarray(rows).tobytes())
        indices = context.buffer(np.ascontiguousarray(triangles).tobytes())
        array = context.vertex_array(
            self._program,
            [
                (
                    vertices,
                    "3f 3f 2f 1f 1f 4f 4f",
                    "position",
                    "normal",
                    "uv",
                    "material",
                    "cover",
                    "weights_a",
                    "weights_b",
                )
            ],
            indices,
        )
        self._frame.use()
        self._frame.clear()
        array.render()
        shape = (self.size_px, self.size_px, 4)
        surface, texture = (
            np.frombuffer(t.read(), dtype=np.float32).reshape(shape) for t in self._targets[:2]
        )
        a, b = (np.frombuffer(t.read(), dtype=np.uint8).reshape(shape) for t in self._targets[2:])
        weights = np.concatenate([a, b], axis=-1).astype(np.float32) / np.float32(255)
        array.release()
        vertices.release()
        indices.release()
        material = np.rint(texture[..., 2]).astype(np.uint8)
        normal = surface[..., :3].copy()
        away = normal[..., 2] > 0
        normal[away] *= -1
        z_m = np.where(material > 0, surface[..., 3], np.inf).astype(np.float32)
        return GeometryBuffer(normal, z_m, texture[..., :2], material, weights)
