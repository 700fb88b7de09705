"""One seed: one head, pose and camera, drawn once, shaded several times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop, CropSpec, crop_face
from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel
from rtrecon.train.heads import accessories, hair
from rtrecon.train.heads.backdrop import backdrop
from rtrecon.train.heads.brows import Brows, sample_brows
from rtrecon.train.heads.expression import sample_expression
from rtrecon.train.heads.eyes import sample_gaze, turn_eyes
from rtrecon.train.heads.look import Look, sample_look
from rtrecon.train.heads.mesh import Part, join, vertex_normals
from rtrecon.train.heads.pose import (
    HEAD_CAMERA,
    angles,
    place_head,
    rotation,
)
from rtrecon.train.heads.raster import GeometryBuffer, Rasterizer
from rtrecon.train.heads.regions import HeadRegions, Material, face_region, head_regions
from rtrecon.train.heads.sensor import expose
from rtrecon.train.heads.shade import NoiseBank, Shader
from rtrecon.train.heads.strands import calm_strands, without_lashes
from rtrecon.train.heads.variety import ShapeVariety
from rtrecon.types import BgrImage, Face, Float32Array, Float64Array, Intrinsics

__all__ = ["HeadGenerator", "Placement", "Sample"]

Placement = Callable[[Float32Array], tuple[Float64Array, Float64Array, Intrinsics]]
"""From head vertices to head rotation, translation in metres, and camera."""

_NECK = np.array([0.0, -11.0, -2.0])
_MASKED_OFF = (Material.CLOTH, Material.HAND, Material.OBJECT)


@dataclass(slots=True, eq=False)
class Sample:
    """One training picture with what is known of it.

    ``image`` (S, S, 3) uint8 BGR, the crop as the live tracker makes it. ``relief`` (S, S)
    float32, (z_ref - z) / W, NaN off the head. ``mask`` and ``face_mask`` (S, S) uint8 0 or
    255: the head with hair, hat, glasses, face mask and neck; and its bare facial skin.
    ``landmarks68_px`` (68, 2) float32 in the crop. The camera is the crop's: the picture's,
    rolled about the optical axis as the crop is. In it ``landmarks5_camera`` (5, 3) metres,
    ``expression`` (51,) as `ARKIT_NAMES`, ``R_camera_face`` (3, 3) with the identity for a
    frontal face, ``intrinsics`` of the crop, ``z_ref_m`` and the crop's width ``W_m`` there.
    """

    image: BgrImage
    relief: Float32Array
    mask: BgrImage
    face_mask: BgrImage
    landmarks68_px: Float32Array
    landmarks5_camera: Float32Array
    expression: Float32Array
    R_camera_face: Float32Array
    intrinsics: tuple[float, float, float, float]
    z_ref_m: float
    W_m: float

    @property
    def depth_m(self) -> Float32Array:
        """(S, S) float32 camera depth, NaN off the head."""
        return np.asarray(self.z_ref_m - self.relief * self.W_m, dtype=np.float32)

    @property
    def normals_camera(self) -> Float32Array:
        """(S, S, 3) float32 unit normals of the surface, toward the camera; NaN at its border."""
        n = len(self.relief)
        fx, fy, cx, cy = self.intrinsics
        z = self.depth_m.astype(np.float64)
        at = np.arange(n)
        points = np.stack([(at - cx) / fx * z, (at[:, None] - cy) / fy * z, z], axis=-1)
        normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        return np.asarray(normals, dtype=np.float32)


@dataclass(slots=True, eq=False)
class _Scene:
    crop: Crop
    camera: Intrinsics
    R_camera_face: Float64Array
    t_camera: Float64Array
    marks_camera: Float64Array
    five_camera: Float64Array
    expression: Float32Array
    beard_cm: float
    buffer: GeometryBuffer
    lens: GeometryBuffer | None


class HeadGenerator:
    """Draws samples; the same seed gives the same samples on the same renderer.

    Args:
        model: the parametric head.
        size_px: width and height of the samples.
        variants: pictures a head, which differ in skin, colours, light, background and sensor.
    """

    def __init__(self, model: FaceModel, size_px: int = 192, variants: int = 3) -> None:
        self._model = model
        self._size = size_px
        self._variants = variants
        self._regions: HeadRegions = head_regions(model)
        self._scalp = hair.Scalp(model)
        self._variety = ShapeVariety(model)
        self._noise = NoiseBank()
        self._render_px = size_px * 3 // 2
        self._raster = Rasterizer(self._render_px)
        first, end = PARTS["unshaded"]
        unseen = (model.triangles >= first) & (model.triangles < end)
        self._triangles = model.triangles[~unseen.any(axis=1)]

    def close(self) -> None:
        """Free the OpenGL context."""
        self._raster.close()

    def __call__(self, seed: int) -> list[Sample]:
        """All variants of the head of ``seed``."""
        rng = np.random.default_rng([20261123, seed])
        scene = self._scene(rng)
        shoot = self._shooting(scene)
        return [shoot(rng, sample_look(rng, scene.beard_cm)) for _ in range(self._variants)]

    def changed(self, seed: int, changes: Sequence[Callable[[Look], Look]]) -> list[Sample]:
        """The head of ``seed`` once for each of ``changes`` to its look, all else the same.

        Light, background and sensor noise are the same in all of them, and the exposure follows
        the face as a camera's does: a difference in what a model says comes from the change.
        """
        scene = self._scene(np.random.default_rng([20261123, seed]))
        shoot = self._shooting(scene)
        samples = []
        for change in changes:
            rng = np.random.default_rng([20261124, seed])
            samples.append(shoot(rng, change(sample_look(rng, scene.beard_cm))))
        return samples

    def _shooting(self, scene: _Scene) -> Callable[[np.random.Generator, Look], Sample]:
        """A function that takes one picture of ``scene``; what they share is made once."""
        relief, mask, face_mask = self._targets(scene)
        z_ref = float(scene.five_camera[:, 2].mean())
        focal = 0.5 * (scene.camera.fx + scene.camera.fy)
        W_m = scene.crop.side_px * z_ref / focal
        marks_px = scene.crop.to_crop(_project(scene.camera, scene.marks_camera))
        scale = scene.crop.size_px / scene.crop.side_px
        center = scene.crop.to_crop(
            np.array([[scene.camera.cx, scene.camera.cy]], dtype=np.float32)
        )[0]
        # The crop's camera is the picture's, rolled about the optical axis.
        R_crop_camera = np.eye(3)
        R_crop_camera[:2, :2] = scene.crop.M_crop_picture[:, :2] / scale
        shader = Shader(self._noise, scene.buffer, self._render_px / W_m)

        def shoot(rng: np.random.Generator, look: Look) -> Sample:
            return Sample(
                self._picture(rng, scene, shader, look, face_mask),
                relief,
                mask,
                face_mask,
                marks_px,
                (scene.five_camera @ R_crop_camera.T).astype(np.float32),
                scene.expression,
                (R_crop_camera @ scene.R_camera_face).astype(np.float32),
                (focal * scale, focal * scale, float(center[0]), float(center[1])),
                z_ref,
                W_m,
            )

        return shoot

    def _scene(
        self,
        rng: np.random.Generator,
        *,
        weights: Float32Array | None = None,
        place: Placement | None = None,
        crop: Crop | None = None,
    ) -> _Scene:
        model = self._model
        identity = rng.standard_normal(len(model.identity)).astype(np.float32)
        identity *= np.float32(rng.uniform(0.7, 1.25))
        sampled = weights is None
        if weights is None:
            weights = sample_expression(rng, model)
        vertices = model.shape(identity, weights)
        R, t, camera = place_head(rng, vertices) if place is None else place(vertices)
        if sampled:
            sample_gaze(rng, model, weights, vertices, R, t)
            vertices = model.shape(identity, weights)
        vertices = turn_eyes(model, vertices, weights)
        open_mouth = weights[model.expression_names.index("jawOpen")] > 0.3
        # Drawn whether the mouth is open or not, so that the rest of the head does not hang on it.
        tongue, forward_cm, aside_cm = rng.random() < 0.12, rng.uniform(1, 3.2), rng.normal(0, 0.6)
        if open_mouth and tongue:
            vertices = self._variety.put_tongue_forward(vertices, forward_cm, aside_cm)
        normals = vertex_normals(vertices, self._triangles)
        vertices = self._variety(rng, vertices, normals)
        normals = vertex_normals(vertices, self._triangles)
        beard_cm = float(rng.uniform(0.2, 2.5) ** 1.5 * 0.6) if rng.random() < 0.2 else 0.0
        if beard_cm > 0:
            vertices = self._grow_beard(rng, vertices, normals, beard_cm)
            normals = vertex_normals(vertices, self._triangles)
        brows = sample_brows(rng, model)
        parts, lenses = self._dress(rng, vertices, self._skin(rng, vertices, normals, brows))
        marks = vertices[LANDMARKS_68] + brows.shift_cm
        marks_camera = (marks.astype(np.float64) * 0.01) @ (R @ HEAD_CAMERA).T + t
        five = np.stack(
            [
                marks_camera[36:42].mean(axis=0),
                marks_camera[42:48].mean(axis=0),
                marks_camera[30],
                marks_camera[48],
                marks_camera[54],
            ]
        )
        if crop is None:
            crop = self._crop(rng, camera, five)
        torso_R = rotation(*(np.array(angles(R)) * [0.3, 0.25, 0.3]))
        rows, triangles = join(parts)
        is_torso = rows[:, 8] == float(Material.CLOTH)
        _to_camera(rows, ~is_torso, R, t, np.zeros(3))
        _to_camera(rows, is_torso, torso_R, t + R @ HEAD_CAMERA @ (_NECK * 0.01), _NECK)
        H = _crop_homography(crop, camera)
        buffer = self._raster.render(rows, triangles, H, crop.size_px)
        lens = None
        if lenses:
            lens_rows, lens_triangles = join(lenses)
            _to_camera(lens_rows, np.ones(len(lens_rows), bool), R, t, np.zeros(3))
            lens = self._raster.render(lens_rows, lens_triangles, H, crop.size_px)
        return _Scene(
            crop, camera, R, t, marks_camera, five, model.to_arkit(weights), beard_cm, buffer, lens
        )

    def _grow_beard(
        self, rng: np.random.Generator, vertices: Float32Array, normals: Float32Array, length: float
    ) -> Float32Array:
        zone = self._regions.weights[:, 2].copy()
        y = self._model.vertices[:, 1]
        longer = np.clip((-y - 4.0) / 4.0, 0.25, 1.0)  # the chin's beard is longer than the lip's
        rough = 1 + rng.uniform(0.05, 0.3) * rng.standard_normal(len(vertices))
        direction = normals + np.array([0, -0.5, 0], np.float32)
        push = (zone * longer * length * rough)[:, None] * direction
        return np.asarray(vertices + push, dtype=np.float32)

    def _skin(
        self,
        rng: np.random.Generator,
        vertices: Float32Array,
        normals: Float32Array,
        brows: Brows,
    ) -> Part:
        weights = self._regions.weights.copy()
        weights[:, 1] = brows.weight
        uv = self._model.uv.copy()
        is_eye = self._regions.material == float(Material.EYE)
        uv[is_eye] = self._regions.eye_uv[is_eye]
        cover = np.ones(len(vertices), np.float32)
        # Cards of lashes: few single hairs are left of them.
        cover[self._regions.material == float(Material.LASH)] = rng.uniform(0.05, 0.6)
        return Part(vertices, self._triangles, self._regions.material, uv, cover, normals, weights)

    def _dress(
        self, rng: np.random.Generator, vertices: Float32Array, head: Part
    ) -> tuple[list[Part], list[Part]]:
        """The head with what it wears, and the glass before its eyes."""
        parts = [head, accessories.torso_part(rng)]
        lenses: list[Part] = []
        style = hair.sample_style(rng)
        if style is not None:
            parts.append(hair.hair_part(rng, style, self._scalp, vertices))
            if style.kind is hair.Kind.CAP:
                parts.append(hair.brim_part(style, self._scalp, vertices))
        if rng.random() < 0.26:
            frames, lenses = accessories.glasses_parts(rng, vertices)
            parts += frames
        if rng.random() < 0.04:
            parts.append(accessories.face_mask_part(rng, self._model, self._regions, vertices))
        if rng.random() < 0.06:
            parts += accessories.headset_parts(rng, vertices)
        if rng.random() < 0.08:
            parts += accessories.occluder_parts(rng, vertices)
        return parts, lenses

    def _crop(self, rng: np.random.Generator, camera: Intrinsics, five: Float64Array) -> Crop:
        px = _project(camera, five).astype(np.float32)
        unit = float(np.linalg.norm(px[:2].mean(axis=0) - px[3:].mean(axis=0))) + 1.0
        noise = 0.015 if rng.random() < 0.85 else 0.04
        noisy = px + rng.normal(0, noise * unit, px.shape).astype(np.float32)
        face = Face(np.zeros(4, np.float32), noisy.astype(np.float32), 1.0)
        spec = CropSpec("landmarks", 3.8 * float(np.clip(rng.normal(1, 0.03), 0.9, 1.1)))
        return crop_face(face, spec, self._size)

    def _targets(self, scene: _Scene) -> tuple[Float32Array, BgrImage, BgrImage]:
        buffer, n = scene.buffer, self._size
        on = buffer.material > 0
        for material in _MASKED_OFF:
            on &= buffer.material != material
        z_ref = float(scene.five_camera[:, 2].mean())
        focal = 0.5 * (scene.camera.fx + scene.camera.fy)
        W_m = scene.crop.side_px * z_ref / focal
        value = np.where(on, (z_ref - np.where(on, buffer.z_m, 0.0)) / W_m, 0.0).astype(np.float32)
        value = calm_strands(without_lashes(value, buffer), on, buffer)
        weight = cv2.resize(on.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA)
        total = cv2.resize(value, (n, n), interpolation=cv2.INTER_AREA)
        mask = weight > 0.5
        relief = np.where(mask, total / np.maximum(weight, 1e-6), np.nan).astype(np.float32)
        skin = (buffer.material == Material.SKIN) | (buffer.material == Material.EYE)
        skin |= (buffer.material == Material.TEETH) | (buffer.material == Material.LASH)
        skin |= (buffer.material == Material.GUMS) | (buffer.material == Material.MOUTH)
        skin &= (buffer.weights[..., 6] < 0.5) & (scene.buffer.z_m < z_ref + 0.11)
        bare = cv2.resize(skin.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA) > 0.5
        marks_px = scene.crop.to_crop(_project(scene.camera, scene.marks_camera))
        bare &= face_region(marks_px, n) > 0
        inside = _inside_picture(scene.crop, scene.camera)
        mask &= inside
        relief[~inside] = np.nan
        return (
            relief,
            mask.astype(np.uint8) * np.uint8(255),
            (bare & mask).astype(np.uint8) * np.uint8(255),
        )

    def _picture(
        self,
        rng: np.random.Generator,
        scene: _Scene,
        shader: Shader,
        look: Look,
        face_mask: BgrImage,
        sensor_rng: np.random.Generator | None = None,
    ) -> BgrImage:
        n = self._size
        radiance = shader.shade(rng, look)
        lens = scene.lens
        if lens is not None:
            seen = (lens.material > 0) & (lens.z_m < scene.buffer.z_m)
            tint = np.where(seen, 1 - look.lens_tint, 1.0)[..., None]
            glow = np.zeros_like(radiance)
            if look.lens_shine > 0:
                d = rng.normal(0, 0.4, 2)
                facing = np.clip(
                    1
                    - 3 * np.abs(lens.normal[..., 0] - d[0])
                    - 3 * np.abs(lens.normal[..., 1] - d[1]),
                    0,
                    1,
                )
                glow = (facing * seen * look.lens_shine)[..., None] * rng.random(3)
            radiance = (radiance * tint + glow).astype(np.float32)
        cover = cv2.resize(shader.solid.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA)
        image = cv2.resize(radiance, (n, n), interpolation=cv2.INTER_AREA)
        behind = backdrop(rng, self._noise, n)
        image = image + behind * (1 - cover[..., None])
        inside = _inside_picture(scene.crop, scene.camera)
        picture = expose(
            sensor_rng or rng,
            image,
            np.asarray(face_mask / 255, dtype=np.float32),
            scene.crop.side_px,
        )
        picture[~inside] = 0
        return picture


def _to_camera(
    rows: Float32Array,
    which: npt.NDArray[np.bool_],
    R: Float64Array,
    t: Float64Array,
    pivot_cm: Float64Array,
) -> None:
    """Move vertex rows from the head frame (cm) to the camera frame (m), in place."""
    M = R @ HEAD_CAMERA
    rows[which, 0:3] = ((rows[which, 0:3] - pivot_cm) * 0.01) @ M.T + t
    rows[which, 3:6] = rows[which, 3:6] @ M.T


def _project(camera: Intrinsics, points_camera: Float64Array) -> Float32Array:
    xy = points_camera[:, :2] / points_camera[:, 2:]
    return np.stack(
        [camera.fx * xy[:, 0] + camera.cx, camera.fy * xy[:, 1] + camera.cy], -1
    ).astype(np.float32)


def _crop_homography(crop: Crop, camera: Intrinsics) -> Float64Array:
    M = np.vstack([crop.M_crop_picture, [0.0, 0.0, 1.0]])
    return np.asarray(M @ camera.matrix(), dtype=np.float64)


def _inside_picture(crop: Crop, camera: Intrinsics) -> npt.NDArray[np.bool_]:
    n = crop.size_px
    at = np.arange(n, dtype=np.float64)
    M = crop.M_picture_crop
    x = M[0, 0] * at[None, :] + M[0, 1] * at[:, None] + M[0, 2]
    y = M[1, 0] * at[None, :] + M[1, 1] * at[:, None] + M[1, 2]
    inside = (x >= -0.5) & (y >= -0.5) & (x <= camera.width - 0.5) & (y <= camera.height - 0.5)
    return np.asarray(inside, dtype=bool)
