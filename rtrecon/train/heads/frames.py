"""Whole pictures with exact depth, for evaluation: stills of new heads, and a talking clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel
from rtrecon.train.heads.look import sample_look
from rtrecon.train.heads.pose import rotation
from rtrecon.train.heads.sample import HeadGenerator
from rtrecon.train.heads.shade import Shader
from rtrecon.types import BgrImage, Float32Array, Float64Array, Intrinsics

__all__ = ["KINDS", "Act", "EvaluationFrame", "FrameRenderer"]

_STREAM = 977  # keeps these heads apart from those that are trained on

KINDS: Mapping[str, tuple[str, ...]] = {
    "rest": (),
    "jaw": ("jawOpen",),
    "smile": ("mouthSmile_L", "mouthSmile_R"),
    "frown": ("mouthFrown_L", "mouthFrown_R"),
    "pucker": ("mouthPucker",),
    "funnel": ("mouthFunnel",),
    "mouth left": ("mouthLeft",),
    "brows up": ("browInnerUp_L", "browInnerUp_R"),
    "brows down": ("browDown_L", "browDown_R"),
    "blink": ("eyeBlink_L", "eyeBlink_R"),
    "wink": ("eyeBlink_L",),
    "look left": ("eyeLookOut_L", "eyeLookIn_R"),
    "look up": ("eyeLookUp_L", "eyeLookUp_R"),
    "cheeks": ("cheekPuff_L", "cheekPuff_R"),
}
"""What `FrameRenderer.expressions` shows, and the head model's shapes that make it."""


Act = tuple[tuple[float, float, float], Mapping[str, float]]
"""Pitch, yaw and roll in degrees, and the head model's shapes."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationFrame:
    """``image`` (S, S, 3) uint8 BGR; ``depth_m`` (S, S) float32, NaN off the head; ``face``
    (S, S) uint8, 255 on bare facial skin; ``intrinsics`` of the picture; ``expression`` (51,)
    float32 as `ARKIT_NAMES`; ``R_camera_face`` (3, 3) float64, the identity for a frontal face;
    ``landmarks68_px`` (68, 2) float32 in the picture; ``ipd_m`` between the eyeballs' centres.
    """

    image: BgrImage
    depth_m: Float32Array
    face: BgrImage
    intrinsics: Intrinsics
    expression: Float32Array
    R_camera_face: Float64Array
    landmarks68_px: Float32Array
    ipd_m: float


class _OneCamera(np.random.Generator):
    """Draws the same camera in each frame of a clip, and noise of each frame's own."""

    def __init__(self, camera: Sequence[int], frame: int) -> None:
        super().__init__(np.random.PCG64(np.random.SeedSequence(list(camera))))
        self._noise = np.random.default_rng([*camera, frame])

    def standard_normal(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Of a size: noise. It takes nothing from the stream that the camera is drawn from."""
        return self._noise.standard_normal(size, *args, **kwargs)


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

    def expressions(self, seed: int) -> list[EvaluationFrame]:
        """One head in each of `KINDS`, strong, by one camera, still within some degrees."""
        pose = np.random.default_rng([_STREAM, seed, 2])
        yaw_deg, distance_m = pose.uniform(-25, 25), pose.uniform(0.45, 0.7)
        frames = []
        for k, shapes in enumerate(KINDS.values()):
            w = np.zeros(len(self._names), dtype=np.float32)
            for shape in shapes:
                w[self._names[shape]] = 1.0 if "Blink" in shape else pose.uniform(0.6, 1.0)
            angles = np.radians([yaw_deg + pose.normal(0, 3), pose.normal(0, 4), pose.normal(0, 3)])
            frames.append(
                self._draw(
                    np.random.default_rng([_STREAM, seed]),
                    _OneCamera([_STREAM, seed, 1], k),
                    w,
                    angles,
                    distance_m,
                    60.0,
                    pose.normal(0, 0.01, 2),
                )
            )
        return frames

    def acting(self, seed: int, acts: Sequence[Act]) -> list[EvaluationFrame]:
        """One head by one camera in each of ``acts``, and in nothing else."""
        pose = np.random.default_rng([_STREAM, seed, 4])
        fov_deg, distance_m = float(pose.uniform(50, 65)), float(pose.uniform(0.5, 0.65))
        frames = []
        for k, ((pitch_deg, yaw_deg, roll_deg), shapes) in enumerate(acts):
            w = np.zeros(len(self._names), dtype=np.float32)
            for shape, value in shapes.items():
                w[self._names[shape]] = value
            head, sensor = np.random.default_rng([_STREAM, seed]), _OneCamera([_STREAM, seed, 1], k)
            turn = np.radians([yaw_deg, pitch_deg, roll_deg])
            frames.append(self._draw(head, sensor, w, turn, distance_m, fov_deg, np.zeros(2)))
        return frames

    def turning(
        self,
        seed: int,
        yaws_deg: Sequence[float],
        distance_m: Sequence[float] | None = None,
    ) -> list[EvaluationFrame]:
        """One head with one expression by one camera, turned by each of ``yaws_deg``.

        ``distance_m``: of the nose in each; None: one of the head's own.
        """
        pose = np.random.default_rng([_STREAM, seed, 3])
        pitch_deg, roll_deg = pose.normal(0, 6), pose.normal(0, 5)
        fov_deg, shift = pose.uniform(50, 70), pose.normal(0, 0.03, 2)
        own_m = float(pose.uniform(0.45, 0.8))
        away_m = [own_m] * len(yaws_deg) if distance_m is None else distance_m
        return [
            self._draw(
                np.random.default_rng([_STREAM, seed]),
                _OneCamera([_STREAM, seed, 1], k),
                None,
                np.radians([yaw_deg, pitch_deg, roll_deg]),
                float(away_m[k]),
                fov_deg,
                shift,
            )
            for k, yaw_deg in enumerate(yaws_deg)
        ]

    def _clip_frame(self, seed: int, k: int, t_s: float) -> EvaluationFrame:
        def wave(period_s: float, shift: float = 0.0) -> float:
            return float(np.sin(2 * np.pi * (t_s / period_s + shift)))

        w = np.zeros(len(self._names), dtype=np.float32)

        def put(stem: str, value: float) -> None:
            for name in (stem, f"{stem}_L", f"{stem}_R"):
                if name in self._names:
                    w[self._names[name]] = np.clip(value, 0, 1)

        # Nearly all of it strong at times and gone at others: what is never both cannot be scored.
        put("jawOpen", 0.25 + 0.2 * wave(0.37) + 0.2 * wave(1.43))
        put("mouthFunnel", 0.6 * max(0.0, wave(1.61, 0.3)))
        put("mouthPucker", 0.7 * max(0.0, wave(1.91, 0.6)))
        put("mouthSmile", 0.7 * max(0.0, wave(2.3, 0.1)))
        put("mouthLowerDown", 0.5 * max(0.0, wave(0.97)))
        put("mouthLeft", 0.6 * max(0.0, wave(3.9, 0.3)))
        put("browInnerUp", 0.8 * max(0.0, wave(1.7)))
        put("browDown", 0.7 * max(0.0, wave(1.7, 0.5)))
        across, up = 0.8 * wave(1.3), 0.7 * wave(1.9, 0.2)  # to the own left, and up
        for side, outward in (("L", across), ("R", -across)):
            put(f"eyeLookOut_{side}", outward)
            put(f"eyeLookIn_{side}", -outward)
            put(f"eyeLookUp_{side}", up)
            put(f"eyeLookDown_{side}", -up)
        into_s = (t_s % 1.9) - 1.1  # a slow blink: a tenth of a second down, and up again
        put("eyeBlink", max(0.03, min(into_s, 0.35 - into_s) * 10.0))
        if 0.0 < t_s - 3.3 < 0.45:
            put("eyeBlink_L", 1.0)  # a wink
        angles = np.radians(
            [24 * wave(4.0), 7 * wave(2.7, 0.2), 5 * wave(3.3, 0.4)], dtype=np.float64
        )
        head = np.random.default_rng([_STREAM, seed])
        sensor = _OneCamera([_STREAM, seed, 1], k)
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

        eyes: list[Float64Array] = []

        def place(vertices: Float32Array) -> tuple[Float64Array, Float64Array, Intrinsics]:
            for eye in ("eye_left", "eye_right"):
                eyes.append(vertices[slice(*PARTS[eye])].mean(axis=0, dtype=np.float64))
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
        marks = scene.marks_camera
        marks_px = marks[:, :2] / marks[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        return EvaluationFrame(
            image,
            z_ref - relief * np.float32(W_m),
            face,
            camera,
            scene.expression,
            R,
            marks_px.astype(np.float32),
            float(np.linalg.norm(eyes[1] - eyes[0])) * 0.01,
        )
