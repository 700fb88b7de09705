"""Whole pictures with exact depth, for evaluation: stills of new heads, and a talking clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.train.face_model import LANDMARKS_68, FaceModel
from rtrecon.train.heads.look import sample_look
from rtrecon.train.heads.pose import rotation
from rtrecon.train.heads.sample import HeadGenerator
from rtrecon.train.heads.shade import Shader
from rtrecon.types import BgrImage, Float32Array, Float64Array, Intrinsics

__all__ = ["EvaluationFrame", "FrameRenderer"]

_STREAM = 977  # keeps these heads apart from those that are trained on


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationFrame:
    """``image`` (S, S, 3) uint8 BGR; ``depth_m`` (S, S) float32, NaN off the head; ``face``
    (S, S) uint8, 255 on bare facial skin; ``intrinsics`` of the picture.
    """

    image: BgrImage
    depth_m: Float32Array
    face: BgrImage
    intrinsics: Intrinsics


class FrameRenderer(HeadGenerator):
    """Draws whole square pictures instead of crops.

    Args:
        model: the parametric head.
        size_px: width and height of the pictures.
    """

    def __init__(self, model: FaceModel, size_px: int = 480) -> None:
        super().__init__(model, size_px, variants=1)
        self._names = {name: k for k, name in enumerate(model.expression_names)}

    def still(self, seed: int, *, most_yaw_deg: float = 45.0) -> EvaluationFrame:
        """One head of its own, in pose, expression, light and camera of its own."""
        rng = np.random.default_rng([_STREAM, seed])
        angles = np.radians(
            [rng.uniform(-most_yaw_deg, most_yaw_deg), rng.normal(0, 9), rng.normal(0, 6)]
        )
        distance_m, fov_deg = rng.uniform(0.4, 0.9), rng.uniform(45, 75)
        shift = rng.normal(0, 0.04, 2)
        return self._draw(rng, rng, None, angles, distance_m, fov_deg, shift)

    def clip(self, seed: int, count: int, rate_hz: float = 30.0) -> list[EvaluationFrame]:
        """``count`` frames of one head that talks and turns."""
        return [self._clip_frame(seed, k, k / rate_hz) for k in range(count)]

    def _clip_frame(self, seed: int, k: int, t_s: float) -> EvaluationFrame:
        def wave(period_s: float, shift: float = 0.0) -> float:
            return float(np.sin(2 * np.pi * (t_s / period_s + shift)))

        w = np.zeros(len(self._names), dtype=np.float32)

        def put(stem: str, value: float) -> None:
            for name in (stem, f"{stem}_L", f"{stem}_R"):
                if name in self._names:
                    w[self._names[name]] = np.clip(value, 0, 1)

        put("jawOpen", 0.16 + 0.16 * wave(0.37) + 0.06 * wave(0.83))
        put("mouthFunnel", 0.22 * max(0.0, wave(0.61, 0.3)))
        put("mouthPucker", 0.3 * max(0.0, wave(0.91, 0.6)))
        put("mouthSmile", 0.35 * max(0.0, wave(2.3, 0.1)))
        put("mouthLowerDown", 0.2 * max(0.0, wave(0.47)))
        put("browInnerUp", 0.4 * max(0.0, wave(1.7)))
        put("eyeBlink", 1.0 if 0.0 < (t_s % 1.9) - 1.1 < 0.13 else 0.06)
        angles = np.radians(
            [24 * wave(4.0), 7 * wave(2.7, 0.2), 5 * wave(3.3, 0.4)], dtype=np.float64
        )
        head = np.random.default_rng([_STREAM, seed])
        sensor = np.random.default_rng([_STREAM, seed, k])
        shift = np.array([0.03 * wave(3.1), 0.015 * wave(2.2)])
        return self._draw(head, sensor, w, angles, 0.55 + 0.04 * wave(3.7), 60.0, shift)

    def _draw(
        self,
        rng: np.random.Generator,
        sensor_rng: np.random.Generator,
        weights: Float32Array | None,
        angles: Float64Array,
        distance_m: float,
        fov_deg: float,
        shift: Float64Array,
    ) -> EvaluationFrame:
        n = self._size
        camera = Intrinsics.from_fov(n, n, fov_deg)
        R = rotation(*(float(a) for a in angles))

        def place(vertices: Float32Array) -> tuple[Float64Array, Float64Array, Intrinsics]:
            nose = vertices[LANDMARKS_68][30].astype(np.float64) * 0.01
            target = np.array([shift[0], shift[1], 1.0]) * distance_m
            return R, target - R @ np.diag([1.0, -1.0, -1.0]) @ nose, camera

        whole = Crop(np.eye(2, 3), n, float(n))
        scene = self._scene(rng, weights=weights, place=place, crop=whole)
        relief, _, face = self._targets(scene)
        z_ref = float(scene.five_camera[:, 2].mean())
        W_m = n * z_ref / camera.fx
        shader = Shader(self._noise, scene.buffer, self._render_px / W_m)
        look = sample_look(rng, scene.beard_cm)
        image = self._picture(rng, scene, shader, look, face, sensor_rng)
        return EvaluationFrame(image, z_ref - relief * np.float32(W_m), face, camera)
