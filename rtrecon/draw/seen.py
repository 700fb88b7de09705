"""What one frame says about the points of a head: depth, outline and colour."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.draw.head_shell import HeadShell, ramp
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Float32Array

__all__ = ["Seen"]

_PAD = 0.25  # of the crop's side, where an outline that leaves it is taken to go on straight
_CUT_FADES = (0.08, 0.25)  # of the crop's height, where it cuts the outline
_TOP_PX = 3.0  # of the crop: above it hair is its own mirror image
_INSIDE_PX = (0.8, 7.0)  # of the outline, where the picture fades in: a shorter fade is a seam
_CLOSE = np.ones((7, 7), dtype=np.uint8)
_SQUARE = np.ones((3, 3), dtype=np.uint8)

# Cosines of the angle to the line of sight: nothing below the first, whole above the second.
_GRID_FACING = 0.35
_FACING, _SLOPE, _COLORED = (0.2, 0.5), (0.3, 0.6), (0.2, 0.4)
_RIM, _ALONG = (0.2, 0.4), (0.4, 0.7)
_DEPTH_WEIGHT, _RIM_WEIGHT = 30.0, 0.7
_STEP_M, _RIM_STEP_M, _RIM_REACH_M = 0.02, 0.01, 0.03
# Lifts that heads have, of skin and of hair: what is beyond is something else, or an error.
_SKIN_LIFT_M, _HAIR_LIFT_M, _RIM_LIFT_M = (-0.022, 0.025), (-0.002, 0.06), (-0.03, 0.07)


class Seen:
    """One frame of a face, prepared to be asked about points of a head.

    Args:
        face: what was seen.
    """

    def __init__(self, face: FaceReconstruction) -> None:
        self._face = face
        self._last = face.crop.size_px - 1
        self._pad = round(_PAD * face.crop.size_px)
        valid = face.grid.valid.view(np.uint8)
        nx, ny, nz = cv2.split(face.grid.normals)
        x, y, z = cv2.split(face.grid.points_camera)
        toward = -(nx * x + ny * y + nz * z)
        toward /= np.sqrt(x * x + y * y + z * z)
        good = valid & (toward > _GRID_FACING).view(np.uint8)
        good = np.asarray(cv2.erode(good, _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=0))
        weight = cv2.blur(good.astype(np.float32), (3, 3))
        weight *= good
        self._surface = cv2.merge([nx, ny, z, weight])
        self._is_cut = bool(valid[0].any())  # hair goes on above the crop
        self._distance = _distance_inside(valid, self._pad)
        self._m_per_px = face.crop.side_px / face.crop.size_px / face.intrinsics.fx

    def pixels(self, points: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Columns and rows (n,) of the crop where points (n, 3) of the camera frame are seen."""
        i, M = self._face.intrinsics, self._face.crop.M_crop_picture
        inverse = np.float32(1.0) / points[:, 2]
        x, y = points[:, 0] * inverse, points[:, 1] * inverse
        A = M[:, :2] * (i.fx, i.fy)
        b = M[:, :2] @ (i.cx, i.cy) + M[:, 2]
        (xx, xy), (yx, yy) = A.astype(np.float32)
        return xx * x + xy * y + np.float32(b[0]), yx * x + yy * y + np.float32(b[1])

    def lifts(
        self,
        points: Float32Array,
        normals: Float32Array,
        rest_normals: Float32Array,
        outward: Float32Array,
        lift: Float32Array,
        shell: HeadShell,
    ) -> tuple[Float32Array, Float32Array]:
        """How far out each vertex belongs, (n,) metres, and how much that is worth.

        Args:
            points: (n, 3) camera frame, with ``lift`` in them.
            normals: (n, 3) of them; rest_normals: (n, 3) of the head without lifts, which say
                steadily what faces the camera.
            outward: (n, 3) unit, along which vertices are lifted.
            lift: (n,) metres, so far.
            shell: whose vertices these are.
        """
        x, y = self.pixels(points)
        nx, ny, z, good = self._look_up(x, y)
        nz = -np.sqrt(np.maximum(1.0 - nx * nx - ny * ny, 0.0))
        px, py, pz = points.T
        ox, oy, oz = outward.T
        # Onto the plane of the surface where the point is seen.
        slope = nx * ox + ny * oy + nz * oz
        step = (nx * px + ny * py + nz * pz) * (z / pz - 1.0) / np.maximum(slope, 0.25)
        low, high = (
            np.float32(skin) + np.float32(hair - skin) * shell.scalp
            for skin, hair in zip(_SKIN_LIFT_M, _HAIR_LIFT_M, strict=True)
        )
        aim = lift + step
        depth = _DEPTH_WEIGHT * good * shell.trusting
        depth *= ramp(_facing(points, rest_normals), *_FACING)
        depth *= ramp(slope, *_SLOPE)
        depth *= ramp(aim - low, 0.0, 0.008) * ramp(high - aim, 0.0, 0.01)
        # What is at the head's outline belongs on the outline that is seen.
        mixed = normals + rest_normals
        mixed *= np.float32(0.5)
        across = np.maximum(np.hypot(mixed[:, 0], mixed[:, 1]), 1e-6)
        along = (mixed[:, 0] * ox + mixed[:, 1] * oy) / across
        rim_step = self._inside_px(x, y) * np.float32(self._m_per_px) * pz
        rim_step /= np.maximum(along, 0.3)
        aim = lift + rim_step
        rim = _RIM_WEIGHT * shell.outlined * self._within(x, y)
        rim *= ramp(-np.abs(_facing(points, mixed)), -_RIM[1], -_RIM[0])
        rim *= ramp(along, *_ALONG)
        rim *= ramp(_RIM_REACH_M - np.abs(rim_step), 0.0, 0.01)
        rim *= ramp(aim - _RIM_LIFT_M[0], 0.0, 0.01) * ramp(_RIM_LIFT_M[1] - aim, 0.0, 0.01)
        weight = depth + rim
        wanted = depth * np.clip(step, -_STEP_M, _STEP_M)
        wanted += rim * np.clip(rim_step, -_RIM_STEP_M, _RIM_STEP_M)
        return lift + wanted / np.maximum(weight, 1e-6), weight

    def colors(
        self, points: Float32Array, rest_normals: Float32Array, shell: HeadShell
    ) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """What of the picture lies on each vertex.

        Returns:
            uv (n, 2) in the face's texture; share (n,) of its colour that the picture has; how
            pure (n,) that is, as near the outline there is background in it; (n, 3) RGB.
        """
        x, y = self.pixels(points)
        inside = self._inside_px(x, y)
        z = self._look_up(x, y)[2]
        ear = shell.ears.max(axis=0)
        near = ramp(0.02 + 0.03 * ear - np.abs(z - points[:, 2]), 0.0, 0.01)
        # Depth of hair may be anything; that it is hair is seen all the same.
        near = np.maximum(near, shell.scalp * ramp(inside, 2.5, 4.0))
        above = y < _TOP_PX
        y_mirrored = np.abs(y - _TOP_PX) + _TOP_PX
        facing = _facing(points, rest_normals)
        share = ramp(facing, *_COLORED)
        np.maximum(share, shell.front, out=share)
        share *= ramp(inside, *_INSIDE_PX)
        share *= near
        sides = np.minimum(np.minimum(x, self._last - x), self._last - y)
        share *= ramp(sides, 0.0, 3.0)
        size = self._last + 1
        share *= np.where(above, shell.scalp * ramp(y, -0.25 * size, -0.1 * size), 1.0)
        sampled = cv2.remap(
            self._face.grid.colors,
            x,
            y_mirrored,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        M = self._face.texture.M_uv_crop
        uv = np.empty((len(x), 2), dtype=np.float32)
        for k in (0, 1):
            uv[:, k] = M[k, 0] * x + M[k, 1] * y_mirrored + M[k, 2]
        pure = share * ramp(inside, 2.0, 5.0)
        return uv, share, pure, sampled.reshape(-1, 3).astype(np.float32)

    def _look_up(self, x: Float32Array, y: Float32Array) -> Float32Array:
        """(4, n): normal's x and y, depth, and how good that is."""
        found = cv2.remap(
            self._surface, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
        )
        return np.ascontiguousarray(found.reshape(-1, 4).T)

    def _inside_px(self, x: Float32Array, y: Float32Array) -> Float32Array:
        """(n,) pixels of the crop to the outline, above zero inside."""
        pad = np.float32(self._pad)
        found = cv2.remap(
            self._distance, x + pad, y + pad, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(found.reshape(-1), dtype=np.float32)

    def _within(self, x: Float32Array, y: Float32Array) -> Float32Array:
        """(n,) 1 inside the crop, 0 where nothing is known."""
        near = np.minimum(np.minimum(x, y), self._last - np.maximum(x, y))
        share = ramp(near, 1.0, 4.0)
        if self._is_cut:
            share *= ramp(y, *(part * self._last for part in _CUT_FADES))
        return share


def _distance_inside(valid: np.ndarray, pad: int) -> Float32Array:
    closed = cv2.morphologyEx(valid, cv2.MORPH_CLOSE, _CLOSE)
    wide = np.asarray(cv2.copyMakeBorder(closed, pad, pad, pad, pad, cv2.BORDER_REPLICATE))
    distance = np.asarray(cv2.distanceTransform(wide, cv2.DIST_L2, 3), dtype=np.float32)
    distance -= np.asarray(cv2.distanceTransform(1 - wide, cv2.DIST_L2, 3), dtype=np.float32)
    np.clip(distance, -len(wide), len(wide), out=distance)  # of nothing it is anything
    # Along a smooth line between the pixels, not around their corners.
    return np.asarray(cv2.GaussianBlur(distance, (0, 0), 1.5), dtype=np.float32)


def _facing(points: Float32Array, normals: Float32Array) -> Float32Array:
    """(n,) cosine between normal and the direction to the camera."""
    dot = np.einsum("ij,ij->i", points, normals)
    return np.asarray(-dot / np.sqrt(np.einsum("ij,ij->i", points, points)))
