"""Analytic shapes seen by a known camera: exact depth for every pixel of a crop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from rtrecon.depth.model import DepthPrediction
from rtrecon.faces.align import Crop, CropSpec, crop_face
from rtrecon.geometry.mean_face import mean_face
from rtrecon.geometry.mean_head import LANDMARK_COUNT, mean_head
from rtrecon.geometry.rays import ray_slope
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.geometry.stage import GeometryStage
from rtrecon.types import Face, Intrinsics, TrackedFace

SIZE = 192
CAMERA = Intrinsics(620.0, 620.0, 319.5, 239.5, 640, 480)
OFF_CENTRE = Intrinsics(600.0, 604.0, 250.0, 300.0, 640, 480)
DISTORTED = Intrinsics(620.0, 620.0, 310.0, 250.0, 640, 480, (-0.28, 0.09, 1e-3, -5e-4, -0.01))

# Depth along rays (n, 2): NaN where the shape is missed.
Shape = Callable[[np.ndarray], np.ndarray]


@dataclass
class Scene:
    """A shape, where its landmarks are in the camera frame (5, 3), and the camera."""

    shape: Shape
    landmarks: np.ndarray
    camera: Intrinsics
    landmarks68: np.ndarray | None = None
    _depths: dict[bytes, np.ndarray] = field(default_factory=dict)

    @property
    def ipd_m(self) -> float:
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))

    @property
    def z_ref_m(self) -> float:
        return float(self.landmarks[:, 2].mean())

    def face(self) -> Face:
        pixels = project(self.landmarks, self.camera).astype(np.float32)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        margin = 0.6 * (high - low)
        return Face(np.concatenate([low - margin, high + margin]), pixels, 0.99)

    def tracked(self, face_id: int = 0, age_frames: int = 0) -> TrackedFace:
        return TrackedFace(face_id, self.face(), age_frames)

    def crop(self, kind: str = "landmarks", side: float = 3.8) -> Crop:
        return crop_face(self.face(), CropSpec(kind, side), SIZE)  # type: ignore[arg-type]

    def depth(self, crop: Crop) -> np.ndarray:
        """(h, w) float64 true depth of the crop's pixels, NaN off the shape."""
        M = crop.M_picture_crop
        key = M.tobytes()
        if key not in self._depths:
            grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).reshape(-1, 2)
            z = self.shape(rays_of(grid @ M[:, :2].T + M[:, 2], self.camera))
            self._depths[key] = z.reshape(SIZE, SIZE)
        return self._depths[key].copy()

    def picture_depth(self) -> np.ndarray:
        """(H, W) float64 true depth of the picture's pixels, NaN off the shape."""
        width, height = self.camera.width, self.camera.height
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        return self.shape(rays_of(grid.reshape(-1, 2), self.camera)).reshape(height, width)

    def relief(self, crop: Crop) -> DepthPrediction:
        """What a perfect network of kind `relief` says."""
        z = self.depth(crop)
        width_m = crop_span(crop, self.camera) * self.z_ref_m
        value = np.nan_to_num((self.z_ref_m - z) / width_m, nan=-3.0).astype(np.float32)
        return DepthPrediction(value, mask_of(z), "relief", None, gray(SIZE, SIZE))

    def relief_along_ray(self, crop: Crop) -> DepthPrediction:
        """The same of a network whose relief is along the ray through the crop's middle."""
        M, n = crop.M_picture_crop, SIZE
        grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2)
        middle = rays_of(np.full((1, 2), (n - 1) / 2) @ M[:, :2].T + M[:, 2], self.camera)[0, :2]
        rays = rays_of(grid @ M[:, :2].T + M[:, 2], self.camera)[:, :2]
        plane = (rays - middle) @ ray_slope(middle) / crop_span(crop, self.camera)
        prediction = self.relief(crop)
        prediction.value -= plane.reshape(n, n).astype(np.float32)
        return dataclasses.replace(prediction, along_ray=True)

    def inverse(self, crop: Crop, scale: float, shift: float) -> DepthPrediction:
        z = self.depth(crop)
        value = np.nan_to_num(scale / z + shift, nan=shift).astype(np.float32)
        return DepthPrediction(value, mask_of(z), "inverse", None, gray(SIZE, SIZE))

    def metric(self, crop: Crop) -> DepthPrediction:
        z = self.depth(crop)
        value = np.nan_to_num(z, nan=20.0).astype(np.float32)
        return DepthPrediction(value, mask_of(z), "metric", None, gray(SIZE, SIZE))

    def reconstruct(
        self,
        prediction: DepthPrediction | None = None,
        crop: Crop | None = None,
        stage: GeometryStage | None = None,
        t_ns: int = 0,
        face_id: int = 0,
    ) -> FaceReconstruction:
        crop = crop or self.crop()
        stage = stage or GeometryStage(ipd_mm=self.ipd_m * 1e3, temporal=False)
        return stage.reconstruct(
            gray(self.camera.height, self.camera.width),
            self.camera,
            self.tracked(face_id),
            crop,
            prediction or self.relief(crop),
            t_ns,
        )


def gray(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def mask_of(z: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(z), 8.0, -8.0).astype(np.float32)


def project(points: np.ndarray, camera: Intrinsics) -> np.ndarray:
    dist = np.array(camera.dist) if camera.dist else np.zeros(5)
    pixels, _ = cv2.projectPoints(
        points.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), camera.matrix(), dist
    )
    return pixels.reshape(-1, 2)


def rays_of(pixels: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """(n, 2) rays of picture pixels by fixed-point iteration of the distortion model."""
    K = camera.matrix()
    aim = (pixels - K[:2, 2]) / (K[0, 0], K[1, 1])
    rays = aim.copy()
    for _ in range(25 if camera.dist else 0):
        distorted = project(np.column_stack([rays, np.ones(len(rays))]), camera)
        rays -= (distorted - K[:2, 2]) / (K[0, 0], K[1, 1]) - aim
    return rays


def crop_span(crop: Crop, camera: Intrinsics) -> float:
    """Width of the crop in metres at a depth of one."""
    if not camera.dist:
        return crop.side_px / (0.5 * (camera.fx + camera.fy))
    middle, last = (SIZE - 1) / 2.0, SIZE - 1.0
    ends = np.array([[0, middle], [last, middle], [middle, 0], [middle, last]])
    M = crop.M_picture_crop
    rays = rays_of(ends @ M[:, :2].T + M[:, 2], camera)
    lengths = [np.linalg.norm(rays[1] - rays[0]), np.linalg.norm(rays[3] - rays[2])]
    return float(np.mean(lengths) * SIZE / last)


def rotation(yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    turns = np.radians([[pitch_deg, 0, 0], [0, yaw_deg, 0], [0, 0, roll_deg]])
    Rx, Ry, Rz = (cv2.Rodrigues(turn)[0] for turn in turns)
    return np.asarray(Ry @ Rx @ Rz)


def turned(vector: np.ndarray) -> np.ndarray:
    """The rotation about ``vector`` by its length in radians."""
    return np.asarray(cv2.Rodrigues(np.asarray(vector, dtype=np.float64))[0])


def plane(distance_m: float, R: np.ndarray, camera: Intrinsics = CAMERA) -> Scene:
    """A flat face of 24 x 30 cm."""
    center = np.array([0.02, -0.03, distance_m])
    landmarks = mean_face().landmarks * (1.0, 1.0, 0.0)
    normal = R[:, 2]

    def shape(rays: np.ndarray) -> np.ndarray:
        rays3 = np.column_stack([rays, np.ones(len(rays))])
        z = (normal @ center) / (rays3 @ normal)
        local = (rays3 * z[:, None] - center) @ R
        return np.where((abs(local[:, 0]) < 0.12) & (abs(local[:, 1] - 0.03) < 0.15), z, np.nan)

    return Scene(shape, landmarks @ R.T + center, camera)


def ellipsoid(
    distance_m: float,
    R: np.ndarray,
    camera: Intrinsics = CAMERA,
    semi_axes_m: tuple[float, float, float] = (0.095, 0.12, 0.085),
    at: tuple[float, float] = (0.02, -0.03),
) -> Scene:
    """A smooth head; ``R`` turns it, landmarks lie on its front."""
    axes = np.array(semi_axes_m)
    center = np.array([*at, distance_m])
    xy = np.array([[-0.0315, -0.03], [0.0315, -0.03], [0.0, 0.005], [-0.024, 0.04], [0.024, 0.04]])
    front = -axes[2] * np.sqrt(1.0 - ((xy / axes[:2]) ** 2).sum(axis=1))
    landmarks = np.column_stack([xy, front])

    def shape(rays: np.ndarray) -> np.ndarray:
        direction = np.column_stack([rays, np.ones(len(rays))]) @ R / axes
        origin = -(R.T @ center) / axes
        a = (direction**2).sum(axis=1)
        b = direction @ origin
        inside = b**2 - a * (origin @ origin - 1.0)
        with np.errstate(invalid="ignore"):
            return np.where(inside > 0.0, (-b - np.sqrt(inside)) / a, np.nan)

    return Scene(shape, landmarks @ R.T + center, camera)


@lru_cache(maxsize=64)
def average_head(
    turn_deg: tuple[float, float, float],
    scale: float = 1.0,
    camera: Intrinsics = CAMERA,
    distance_m: float = 0.6,
) -> Scene:
    """A height field through the mean face's points."""
    R, face = rotation(*turn_deg), mean_face()
    points, marks = face.points * scale, face.landmarks * scale
    columns = np.arange(-0.096, 0.097, 0.012) * scale
    rows = np.arange(-0.072, 0.157, 0.012) * scale
    sigma = 0.015 * scale

    def bumps(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.exp(-0.5 * ((x[:, None] - columns) / sigma) ** 2),
            np.exp(-0.5 * ((y[:, None] - rows) / sigma) ** 2),
        )

    on = points[(face.normals[:, 2] < -0.2)]
    on = np.concatenate([on, on * (-1, 1, 1), *[marks] * 20])  # through the landmarks
    gx, gy = bumps(on[:, 0], on[:, 1])
    A = (gx[:, :, None] * gy[:, None, :]).reshape(len(on), -1)
    base = 0.08 * scale
    solved = np.linalg.solve(A.T @ A + 1e-2 * np.eye(A.shape[1]), A.T @ (on[:, 2] - base))
    weights = solved.reshape(len(columns), len(rows))

    def height_at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        gx, gy = bumps(x, y)
        return ((gx @ weights) * gy).sum(axis=1) + base

    marks = marks.copy()
    marks[:, 2] = height_at(marks[:, 0], marks[:, 1])
    center = np.array([0.01, -0.02, distance_m])
    head = mean_head()
    shrink = scale * face.ipd_m / head.ipd_m
    marks68 = head.points[:LANDMARK_COUNT] * shrink
    marks68 += face.landmarks[2] * scale - marks68[30]  # one nose tip, two origins

    def shape(rays: np.ndarray) -> np.ndarray:
        rays3 = np.column_stack([rays, np.ones(len(rays))])
        z = np.full(len(rays), distance_m)
        local = (rays3 * z[:, None] - center) @ R
        low, high = (-0.085 * scale, -0.06 * scale), (0.085 * scale, 0.14 * scale)
        near = ((local[:, :2] > low) & (local[:, :2] < high)).all(axis=1)
        error = np.full(len(rays), np.inf)
        active = np.flatnonzero(near)
        for _ in range(40):
            at = local[active]
            error[active] = height_at(at[:, 0], at[:, 1]) - at[:, 2]
            z[active] += 0.6 * error[active].clip(-0.02, 0.02)
            local[active] = (rays3[active] * z[active, None] - center) @ R
            active = active[np.abs(error[active]) > 1e-7]
        inside = (local[:, 0] / (0.062 * scale)) ** 2 + ((local[:, 1] / scale - 0.04) / 0.08) ** 2
        return np.where(near & (inside < 1.0) & (abs(error) < 1e-6), z, np.nan)

    return Scene(shape, marks @ R.T + center, camera, marks68 @ R.T + center)
