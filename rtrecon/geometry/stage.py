"""From a network's answer about a crop to a face in metres."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from rtrecon.buffers import BufferPool
from rtrecon.depth.model import DepthPrediction
from rtrecon.errors import DataError
from rtrecon.faces.align import Crop
from rtrecon.faces.filters import OneEuroFilter
from rtrecon.faces.track import place_of
from rtrecon.geometry.head_fit import Surface
from rtrecon.geometry.landmarks import Landmarks
from rtrecon.geometry.landmarks68 import landmarks_filter, landmarks_in_picture
from rtrecon.geometry.mask import clean_mask, ellipse_mask, mask_outside_picture
from rtrecon.geometry.mesh import UInt8Array
from rtrecon.geometry.placement import HeadPlacer, PlacementMemory
from rtrecon.geometry.rays import CropRays, crop_rays, ray_slope, undistort
from rtrecon.geometry.reconstruction import (
    BoolArray,
    FaceGrid,
    FaceReconstruction,
    Texture,
    crop_bounds,
)
from rtrecon.geometry.relief import ReliefMemory, ReliefReader
from rtrecon.geometry.surface import MAX_SLOPE, SurfaceScratch, surface_normals
from rtrecon.geometry.temporal import CropFilter
from rtrecon.types import BgrImage, Float32Array, Intrinsics, TrackedFace

__all__ = ["GeometryStage"]

logger = logging.getLogger(__name__)

_HEAD_DEPTH_M = 0.15  # without a mask: how far from the reference a head's surface may be
_MIN_RATIO, _MAX_RATIO = 0.3, 3.0  # of any depth to the reference depth: beyond is no head
_LANDMARK_RELIEF = 0.5  # landmarks further than half the crop's width from the reference are not
# What no network says of a picture: relief in widths of the crop, other values, logits of the mask.
_MOST_RELIEF, _MOST_VALUE = 100.0, 1e6
_VIDEO_TEXTURE_PX, _STILL_TEXTURE_PX = 512, 1024


@dataclass(slots=True, eq=False)
class _FaceMemory:
    """What is remembered of one face between frames."""

    filter: CropFilter
    t_ns: int
    relief: ReliefMemory = field(default_factory=ReliefMemory)
    placement: PlacementMemory = field(default_factory=PlacementMemory)
    landmarks68: OneEuroFilter = field(default_factory=landmarks_filter)


class _Scratch:
    """Work arrays for one crop size."""

    def __init__(self, size: int, ipd_m: float) -> None:
        self.x, self.y, self.z, self.tilt = (
            np.empty((size, size), dtype=np.float32) for _ in range(4)
        )
        self.fill = np.empty((size + 2, size + 2), dtype=np.uint8)
        self.surface = SurfaceScratch.create(size)
        self.reader = ReliefReader(size, ipd_m)


class GeometryStage:
    """Turns predictions into metres, with a memory for each face. For one thread.

    Args:
        ipd_mm: the person's interpupillary distance; sets the scale unless the model is metric.
        temporal: filter over time; off for unrelated pictures.
        texture_px: largest side of a mesh's texture, which has the picture's own resolution up to
            it; None: 512 in video, 1024 in pictures.

    Attributes:
        depths_dropped: predictions whose depth or mask was not finite, so far. In their place a
            face keeps the shape that it had for up to half a second, and then what was finite.
        landmarks_dropped: sets of 68 landmarks that were not finite, so far.
        faces_without_depth: faces of which not one pixel is known, so far.
    """

    def __init__(
        self, ipd_mm: float = 63.0, temporal: bool = True, texture_px: int | None = None
    ) -> None:
        if not 20.0 <= ipd_mm <= 120.0:
            raise DataError(f"ipd_mm must be 20 to 120 millimetres, not {ipd_mm:g}")
        self._ipd_m = ipd_mm * 1e-3
        self._temporal = temporal
        self._texture_px = texture_px or (_VIDEO_TEXTURE_PX if temporal else _STILL_TEXTURE_PX)
        self._faces: dict[int, _FaceMemory] = {}
        self._scratch: dict[int, _Scratch] = {}
        self._pool = BufferPool()
        self._placer = HeadPlacer(self._ipd_m)
        self.depths_dropped = 0
        self.landmarks_dropped = 0
        self.faces_without_depth = 0

    @property
    def rotations_dropped(self) -> int:
        """Rotations that were none and landmarks far off their crop, so far."""
        return self._placer.rotations_dropped

    def forget(self, keep: Iterable[int]) -> None:
        """Drop what is remembered of all faces but those whose ids are in ``keep``."""
        kept = set(keep)
        for face_id in [face_id for face_id in self._faces if face_id not in kept]:
            del self._faces[face_id]

    def reconstruct(
        self,
        image_bgr: BgrImage,
        intrinsics: Intrinsics,
        tracked: TrackedFace,
        crop: Crop,
        prediction: DepthPrediction,
        t_ns: int,
    ) -> FaceReconstruction:
        """Reconstruct one face.

        Args:
            image_bgr: (H, W, 3) uint8, the frame.
            intrinsics: of the frame.
            tracked: the face.
            crop: where the prediction was made.
            prediction: of the depth model.
            t_ns: time of the frame; must not fall for one face.

        Raises:
            DataError: prediction and crop, or picture and intrinsics, differ in size.
        """
        size, (height, width) = crop.size_px, image_bgr.shape[:2]
        if prediction.value.shape != (size, size):
            raise DataError(f"a prediction of {prediction.value.shape} is not of a {size} px crop")
        if (intrinsics.width, intrinsics.height) != (width, height):
            raise DataError(
                f"the intrinsics are for {intrinsics.width}x{intrinsics.height}, the picture is "
                f"{width}x{height}: scale them with Intrinsics.scaled"
            )
        scratch = self._scratch.get(size)
        if scratch is None:
            scratch = self._scratch[size] = _Scratch(size, self._ipd_m)
        memory, dt_s = self._remember(tracked.id, size, t_ns)
        rays = crop_rays(crop, intrinsics, scratch.x, scratch.y)
        marks = Landmarks.of(tracked.face.landmarks_px, crop, intrinsics)
        sound = _is_sound(prediction)
        held = None
        if not sound:
            self._count_unsound()
            held = None if memory is None else memory.filter.held(prediction.mask_logit, crop, t_ns)
        if memory is not None and held is not None:
            (relief, logit), known_z_ref_m = held, memory.relief.z_ref_m
        else:
            trusted = memory if sound else None
            relief, known_z_ref_m = scratch.reader.read(
                prediction,
                crop,
                intrinsics,
                rays,
                marks,
                None if trusted is None else trusted.relief,
                dt_s,
            )
            logit = prediction.mask_logit
            if trusted is not None:
                relief, logit = trusted.filter.update(relief, logit, crop, t_ns)
        # Depth over the reference depth: everything else is proportional to it.
        ratio = scratch.z
        np.multiply(relief, np.float32(-rays.span), out=ratio)
        np.add(ratio, np.float32(1.0), out=ratio)
        if prediction.along_ray:
            # After the filter: along its own ray a face stays as it is when it crosses the picture.
            _to_optical_axis(ratio, rays, crop, intrinsics, scratch.tilt)
        valid = self._pool.take((size, size), np.bool_)
        _mask(ratio, logit, marks, valid)
        if not sound and held is None:
            _mask_unsound(prediction, valid)
        mask_outside_picture(valid, crop, width, height)
        placed = None if memory is None else memory.placement
        guess = np.ones(5) if placed is None else placed.ratio
        marks.look_in(ratio, valid, _LANDMARK_RELIEF * rays.span, guess)
        z_eyes_m = known_z_ref_m
        if logit is None:
            if z_eyes_m is None:
                z_eyes_m = self._placer.by_eyes(marks, placed, dt_s)
            near = np.float32(_HEAD_DEPTH_M / z_eyes_m)
            np.logical_and(valid, np.abs(ratio - np.float32(1.0)) < near, out=valid)
        clean_mask(valid, marks.crop_px, scratch.fill)
        if not valid.any():
            self._count_empty()
        normals: Float32Array = self._pool.take((size, size, 3), np.float32)
        max_step = MAX_SLOPE * rays.spacing
        surface_normals(ratio, valid, rays, max_step, normals, scratch.surface)
        surface = Surface(ratio, valid, normals, crop, intrinsics)
        metric = known_z_ref_m is not None
        place = self._placer.place(prediction, surface, marks, z_eyes_m, metric, placed, dt_s)
        z_ref_m = place.z_ref_m
        np.multiply(ratio, np.float32(z_ref_m), out=ratio)
        return FaceReconstruction(
            id=tracked.id,
            box_px=tracked.face.box_px,
            landmarks_px=tracked.face.landmarks_px,
            score=tracked.face.score,
            intrinsics=intrinsics,
            crop=crop,
            z_ref_m=z_ref_m,
            grid=FaceGrid(
                self._points(ratio, rays),
                self._colors(prediction, crop, image_bgr),
                normals,
                valid,
                max_step * z_ref_m,
            ),
            T_camera_face=place.T_camera_face,
            texture=self._texture(image_bgr, crop),
            landmarks68_px=self._landmarks68(prediction, crop, tracked, memory, dt_s),
        )

    def _remember(self, face_id: int, size: int, t_ns: int) -> tuple[_FaceMemory | None, float]:
        """Memory of a face and the seconds since it was last seen; None without a memory."""
        if not self._temporal:
            return None, 0.0
        memory = self._faces.get(face_id)
        if memory is None:
            memory = self._faces[face_id] = _FaceMemory(CropFilter(size), t_ns)
        dt_s = max(0.0, (t_ns - memory.t_ns) * 1e-9)
        memory.t_ns = t_ns
        return memory, dt_s

    def _count_unsound(self) -> None:
        if self.depths_dropped == 0:
            logger.warning(
                "the depth model gave depth or a mask that is not finite: dropped, and counted"
            )
        self.depths_dropped += 1

    def _count_empty(self) -> None:
        if self.faces_without_depth == 0:
            logger.warning("a face has no depth: the model takes none of its crop for a head")
        self.faces_without_depth += 1

    def _points(self, z: Float32Array, rays: CropRays) -> Float32Array:
        """(h, w, 3) metres; the rays' arrays are used up."""
        points: Float32Array = self._pool.take((*z.shape, 3), np.float32)
        np.multiply(rays.x, z, out=rays.x)
        np.multiply(rays.y, z, out=rays.y)
        cv2.merge([rays.x, rays.y, z], points)
        return points

    def _colors(self, prediction: DepthPrediction, crop: Crop, image_bgr: BgrImage) -> UInt8Array:
        colors: UInt8Array = self._pool.take((crop.size_px, crop.size_px, 3), np.uint8)
        picture = prediction.crop_bgr if prediction.crop_bgr is not None else crop.warp(image_bgr)
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=colors)
        return colors

    def _landmarks68(
        self,
        prediction: DepthPrediction,
        crop: Crop,
        tracked: TrackedFace,
        memory: _FaceMemory | None,
        dt_s: float,
    ) -> Float32Array | None:
        if prediction.landmarks68 is None:
            return None
        if not (np.abs(prediction.landmarks68) < _MOST_VALUE).all():
            if np.isfinite(prediction.landmarks68).all():
                return None  # so far off that the placement has said and counted it
            if self.landmarks_dropped == 0:
                logger.warning("the model gave landmarks that are not finite: dropped, and counted")
            self.landmarks_dropped += 1
            return None
        points_px = landmarks_in_picture(prediction.landmarks68, crop)
        if memory is not None:
            length_px = place_of(tracked.face, 0).length_px
            points_px = memory.landmarks68(points_px, length_px, dt_s)
        return points_px.astype(np.float32)

    def _texture(self, image_bgr: BgrImage, crop: Crop) -> Texture:
        """The crop's part of the picture, copied: the frame's memory is soon used again."""
        height, width = image_bgr.shape[:2]
        x0, y0, x1, y1 = crop_bounds(crop, width, height)
        if x0 >= x1 or y0 >= y1:  # wholly beside the picture
            x0, y0, x1, y1 = 0, 0, 1, 1
        part = image_bgr[y0:y1, x0:x1]
        M = crop.M_picture_crop.copy()
        M[:, 2] -= (x0, y0)
        shrink = max(part.shape[:2]) / self._texture_px
        if shrink <= 1.0:
            copy: BgrImage = self._pool.take(part.shape, np.uint8)
            np.copyto(copy, part)
            return Texture(copy, M)
        columns, rows = (max(1, round(n / shrink)) for n in (x1 - x0, y1 - y0))
        # Averaging is right, but each frame of a video pays for it by the size of the face.
        how = cv2.INTER_LINEAR if self._temporal else cv2.INTER_AREA
        small = self._pool.take((rows, columns, 3), np.uint8)
        cv2.resize(part, (columns, rows), dst=small, interpolation=how)
        scale = np.array([[columns / (x1 - x0)], [rows / (y1 - y0)]])
        M *= scale
        M[:, 2:] += 0.5 * scale - 0.5
        return Texture(small, M)


def _to_optical_axis(
    ratio: Float32Array, rays: CropRays, crop: Crop, intrinsics: Intrinsics, work: Float32Array
) -> None:
    """Turn ``ratio``, depth over the reference depth, from the crop's middle ray to the axis."""
    middle = np.full((1, 2), (crop.size_px - 1) / 2.0)
    M = crop.M_picture_crop
    ray = undistort(middle @ M[:, :2].T + M[:, 2], intrinsics)[0]
    slope = ray_slope(ray)
    cv2.addWeighted(rays.x, -slope[0], rays.y, -slope[1], float(slope @ ray), dst=work)
    np.add(ratio, work, out=ratio)


def _is_sound(prediction: DepthPrediction) -> bool:
    """Whether depth and mask are finite, and not of a size that no network gives."""
    most = _MOST_RELIEF if prediction.kind == "relief" else _MOST_VALUE
    # Both ends are NaN where anything is, and a comparison with NaN is false.
    return _within(prediction.value, most) and (
        prediction.mask_logit is None or _within(prediction.mask_logit, _MOST_VALUE)
    )


def _within(values: Float32Array, most: float) -> bool:
    return bool(-most < float(values.min()) and float(values.max()) < most)


def _mask_unsound(prediction: DepthPrediction, out: BoolArray) -> None:
    """Clear pixels of ``out`` whose depth or mask is not sound."""
    most = _MOST_RELIEF if prediction.kind == "relief" else _MOST_VALUE
    np.logical_and(out, np.abs(prediction.value) < most, out=out)
    if prediction.mask_logit is not None:
        np.logical_and(out, np.abs(prediction.mask_logit) < _MOST_VALUE, out=out)


def _mask(
    ratio: Float32Array,
    logit: Float32Array | None,
    marks: Landmarks,
    out: BoolArray,
) -> None:
    """Head or not, by the network if it says so, else within an ellipse about the landmarks;
    depths that no head has are cleared and clipped."""
    if logit is not None:
        np.greater(logit, 0.0, out=out)
    else:
        ellipse_mask(marks.crop_px, len(ratio), out.view(np.uint8))
    if float(ratio.min()) < _MIN_RATIO or float(ratio.max()) > _MAX_RATIO:
        np.logical_and(out, ratio > _MIN_RATIO, out=out)
        np.logical_and(out, ratio < _MAX_RATIO, out=out)
        np.clip(ratio, _MIN_RATIO, _MAX_RATIO, out=ratio)
