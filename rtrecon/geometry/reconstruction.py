"""A reconstructed face: what a caller of the library gets for each face of a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.faces.align import Crop
from rtrecon.geometry.landmarks68 import landmarks_in_camera
from rtrecon.geometry.mesh import Int32Array, Mesh, UInt8Array
from rtrecon.geometry.portrait import portrait
from rtrecon.geometry.surface import grid_triangles
from rtrecon.types import (
    BgrImage,
    EulerAngles,
    Expression,
    Float32Array,
    Float64Array,
    Gaze,
    Intrinsics,
    rounded,
)

__all__ = ["FaceGrid", "FaceReconstruction", "Texture", "crop_bounds"]

BoolArray = npt.NDArray[np.bool_]

_BAND_PX = 1 << 22


@dataclass(slots=True, eq=False)
class FaceGrid:
    """The organised cloud: one vertex a crop pixel, row by row.

    ``points_camera`` (h, w, 3) float32 metres; ``colors`` (h, w, 3) uint8 RGB; ``normals``
    (h, w, 3) float32, unit, toward the camera; ``valid`` (h, w) bool. Where ``valid`` is
    False the other arrays hold finite values without meaning. Read-only for callers.
    """

    points_camera: Float32Array
    colors: UInt8Array
    normals: Float32Array
    valid: BoolArray
    max_step_m: float
    _triangles: Int32Array | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        height, width = self.valid.shape
        return f"FaceGrid({width}x{height}, {int(self.valid.sum())} points)"

    @property
    def triangles(self) -> Int32Array:
        """(m, 3) int32 into the flattened grid, anticlockwise as the camera sees them, so that
        the right-hand rule gives the outward normal. Computed when first asked for."""
        if self._triangles is None:
            self._triangles = grid_triangles(
                self.points_camera[:, :, 2], self.valid, self.max_step_m
            )
        return self._triangles


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The picture on a face: ``image_bgr`` (th, tw, 3) uint8, as sharp as the camera had it.

    ``M_texture_crop`` (2, 3) float64 maps pixels of the crop to its pixels. Read-only for callers.
    """

    image_bgr: BgrImage
    M_texture_crop: Float64Array

    def __repr__(self) -> str:
        return f"Texture({self.image_bgr.shape[1]}x{self.image_bgr.shape[0]})"

    @property
    def M_uv_crop(self) -> Float64Array:
        """(2, 3) float64 from pixels of the crop to texture coordinates, see `Mesh`."""
        height, width = self.image_bgr.shape[:2]
        M = self.M_texture_crop.copy()
        M[:, 2] += 0.5  # coordinates count edges of pixels, not their centres
        return np.asarray(M / [[width], [height]], dtype=np.float64)

    def rgb(self) -> UInt8Array:
        """(th, tw, 3) uint8 RGB, a copy of the caller's own."""
        return np.ascontiguousarray(self.image_bgr[:, :, ::-1])


class FaceReconstruction:
    """One face in metres. Camera frame: x right, y down, z forward.

    Attributes:
        id: of the tracked face, stable over frames.
        box_px: (4,) float32 x0 y0 x1 y1 in the picture.
        landmarks_px: (5, 2) float32: left eye, right eye, nose, left and right mouth corner as
            seen in the picture.
        score: of the detector, in [0, 1].
        intrinsics: of the picture.
        crop: where the grid lies in the picture.
        z_ref_m: depth of the relief's reference plane.
        grid: the organised cloud.
        T_camera_face: (4, 4) float64 head pose. Face frame: origin midway between the eyes, x
            to the right of the picture, y down, z into the head; a face that looks along the
            camera's axis has the identity as rotation.
        texture: the picture on the face, and where its pixels lie on the crop.
        landmarks68_px: (68, 2) float32 in the picture, iBUG's points in iBUG's order (the jaw
            line from the picture's left); None if the model gives none.
        expression: coefficients by name, 0 to 1; None if the model gives none.
        gaze: where both eyes look; None without ARKit's eyeLook coefficients.

    The arrays of `points_camera`, `colors`, `normals` and `depth_m` are made when first asked
    for and are never used again for another frame: they may be kept for as long as one likes.
    """

    def __init__(
        self,
        *,
        id: int,  # noqa: A002  (the public name of it)
        box_px: Float32Array,
        landmarks_px: Float32Array,
        score: float,
        intrinsics: Intrinsics,
        crop: Crop,
        z_ref_m: float,
        grid: FaceGrid,
        T_camera_face: Float64Array,
        texture: Texture,
        landmarks68_px: Float32Array | None = None,
        expression: Expression | None = None,
        gaze: Gaze | None = None,
    ) -> None:
        self.id = id
        self.box_px = box_px
        self.landmarks_px = landmarks_px
        self.score = score
        self.intrinsics = intrinsics
        self.crop = crop
        self.z_ref_m = z_ref_m
        self.grid = grid
        self.T_camera_face = T_camera_face
        self.landmarks68_px = landmarks68_px
        self.expression = expression
        self.gaze = gaze
        self.texture = texture
        self._indices: npt.NDArray[np.intp] | None = None
        self._depth_m: Float32Array | None = None
        self._points: Float32Array | None = None
        self._colors: UInt8Array | None = None
        self._normals: Float32Array | None = None
        self._landmarks68: Float32Array | None = None

    def __repr__(self) -> str:
        yaw, pitch, roll = self.euler_deg
        said = [
            f"id={self.id}",
            f"box_px={rounded(self.box_px)}",
            f"distance_m={float(self.T_camera_face[2, 3]):.2f}",
            f"yaw={yaw:+.0f}, pitch={pitch:+.0f}, roll={roll:+.0f} degrees",
        ]
        if self.expression is not None and "jawOpen" in self.expression:
            said.append(f"jawOpen={self.expression['jawOpen']:.2f}")
        return f"FaceReconstruction({', '.join(said)}, {self._n} points)"

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the picture on the face, its depth, its shape."""
        grid = self.grid
        picture = portrait(grid.colors, grid.points_camera[:, :, 2], grid.normals, grid.valid)
        return cv2.imencode(".png", picture)[1].tobytes()

    @property
    def euler_deg(self) -> EulerAngles:
        """The head's yaw, pitch and roll in degrees; zero where it looks along the camera's axis.

        R = Ry(yaw) Rx(pitch) Rz(roll) of `T_camera_face`. Positive are yaw to the person's own
        right, pitch nose down, roll to the own left shoulder.
        """
        (_, _, c), (d, e, f), (_, _, i) = self.T_camera_face[:3, :3].tolist()
        pitch = math.asin(min(max(-f, -1.0), 1.0))
        angles = (math.atan2(c, i), pitch, math.atan2(d, e))
        return EulerAngles(*(math.degrees(angle) for angle in angles))

    @property
    def quaternion_wxyz(self) -> Float64Array:
        """(4,) float64 w, x, y, z of the rotation of `T_camera_face`: unit, w not negative."""
        vector = cv2.Rodrigues(self.T_camera_face[:3, :3])[0].reshape(3)
        angle = float(np.linalg.norm(vector))
        # sin(angle / 2) / angle, whose limit is one half.
        share = math.sin(0.5 * angle) / angle if angle > 1e-9 else 0.5
        return np.array([math.cos(0.5 * angle), *(vector * share)])

    @property
    def depth_m(self) -> Float32Array:
        """(h, w) float32 camera depth of the crop's pixels, NaN off the face."""
        if self._depth_m is None:
            self._depth_m = np.where(
                self.grid.valid, self.grid.points_camera[:, :, 2], np.float32(np.nan)
            )
        return self._depth_m

    @property
    def points_camera(self) -> Float32Array:
        """(n, 3) float32 points of the face in metres."""
        if self._points is None:
            self._points = self._compact(self.grid.points_camera)
        return self._points

    @property
    def colors(self) -> UInt8Array:
        """(n, 3) uint8 RGB of `points_camera`."""
        if self._colors is None:
            self._colors = self._compact(self.grid.colors)
        return self._colors

    @property
    def normals(self) -> Float32Array:
        """(n, 3) float32 unit normals of `points_camera`, toward the camera."""
        if self._normals is None:
            self._normals = self._compact(self.grid.normals)
        return self._normals

    @property
    def landmarks68_camera(self) -> Float32Array | None:
        """(68, 3) float32 metres of `landmarks68_px`, on the surface that is seen there.

        The jaw line runs along the face's rim: a point of it that falls off the face takes the
        depth of the nearest pixel of the face. None if the model gives no landmarks.
        """
        if self._landmarks68 is None and self.landmarks68_px is not None:
            self._landmarks68 = landmarks_in_camera(
                self.landmarks68_px,
                self.grid.points_camera[:, :, 2],
                self.grid.valid,
                self.crop,
                self.intrinsics,
            )
        return self._landmarks68

    def mesh(self) -> Mesh:
        """The face as a textured mesh; vertices are in the order of `points_camera`.

        All arrays are the caller's own.
        """
        M_uv_crop = self.texture.M_uv_crop
        indices = self._valid_indices()
        place = np.zeros(self.grid.valid.size, dtype=np.int32)
        place[indices] = np.arange(len(indices), dtype=np.int32)
        rows, columns = np.divmod(indices, self.crop.size_px)
        uv = np.stack([columns, rows], axis=1) @ M_uv_crop[:, :2].T + M_uv_crop[:, 2]
        return Mesh(
            vertices=self.points_camera.copy(),
            triangles=place[self.grid.triangles],
            normals=self.normals.copy(),
            colors=self.colors.copy(),
            uv=uv.astype(np.float32),
            texture=self.texture.rgb(),
        )

    def to_trimesh(self) -> Any:
        """`mesh` as a ``trimesh.Trimesh``.

        Raises:
            MissingExtraError: trimesh is not installed.
        """
        return self.mesh().to_trimesh()

    def to_open3d(self) -> Any:
        """`mesh` as an ``open3d.geometry.TriangleMesh``.

        Raises:
            MissingExtraError: Open3D is not installed. RtreconError: it lacks a library.
        """
        return self.mesh().to_open3d()

    def depth_in_frame(self, shape: tuple[int, ...]) -> Float32Array:
        """Camera depth of the picture's pixels.

        Interpolated between pixels of the face alone: depth off the face never takes part.

        Args:
            shape: of the picture, (H, W) or (H, W, 3).

        Returns:
            (H, W) float32 metres, NaN where there is no face.

        Raises:
            DataError: the face was seen in a picture of another size.
        """
        height, width = int(shape[0]), int(shape[1])
        if (width, height) != (self.intrinsics.width, self.intrinsics.height):
            raise DataError(
                f"the face was seen in a picture of {self.intrinsics.width}x"
                f"{self.intrinsics.height}, not {width}x{height}: give that picture's shape"
            )
        depth = np.full((height, width), np.nan, dtype=np.float32)
        x0, y0, x1, y1 = crop_bounds(self.crop, width, height)
        wide = x1 - x0
        # In bands: what is computed on the way takes several times as much.
        step = max(1, _BAND_PX // max(wide, 1))
        for top in range(y0, y1 if wide > 0 else y0, step):
            high = min(step, y1 - top)
            band = self.depth_in_region((x0, top, wide, high), (wide, high))
            depth[top : top + high, x0:x1] = band
        return depth

    def depth_in_region(
        self, region: tuple[int, int, int, int], size: tuple[int, int]
    ) -> Float32Array:
        """As `depth_in_frame`, of a part of the picture at a size of one's own.

        Args:
            region: first pixel x, y, width and height.
            size: columns and rows of the answer, over the whole region.

        Returns:
            (rows, columns) float32 metres, NaN where there is no face.
        """
        x0, y0, wide, high = region
        M = self.crop.M_picture_crop.copy()
        M[:, 2] -= (x0, y0)
        scale = np.array([[size[0] / wide], [size[1] / high]])
        M *= scale
        M[:, 2:] += 0.5 * scale - 0.5
        weight = self.grid.valid.astype(np.float32)
        # Depth relative to the reference, so that the interpolation's weights, which have few
        # bits, act on centimetres and not on metres.
        offset = (self.grid.points_camera[:, :, 2] - np.float32(self.z_ref_m)) * weight
        offset_warped = cv2.warpAffine(offset, M, size, flags=cv2.INTER_LINEAR)
        weight_warped = cv2.warpAffine(weight, M, size, flags=cv2.INTER_LINEAR)
        covered = weight_warped > 0.5
        np.divide(offset_warped, weight_warped, out=offset_warped, where=covered)
        np.add(offset_warped, np.float32(self.z_ref_m), out=offset_warped)
        return np.where(covered, offset_warped, np.float32(np.nan))

    @property
    def _n(self) -> int:
        return len(self._valid_indices())

    def _valid_indices(self) -> npt.NDArray[np.intp]:
        if self._indices is None:
            self._indices = np.flatnonzero(self.grid.valid)
        return self._indices

    def _compact(self, organised: npt.NDArray[Any]) -> npt.NDArray[Any]:
        flat = organised.reshape(-1, organised.shape[-1])
        return flat.take(self._valid_indices(), axis=0)


def crop_bounds(crop: Crop, width: int, height: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the picture's pixels under the crop; empty if x0 >= x1 or y0 >= y1."""
    size = crop.size_px
    corners = np.array([[-1, -1, 1], [size, -1, 1], [-1, size, 1], [size, size, 1]])
    ends = corners @ crop.M_picture_crop.T
    low, high = np.floor(ends.min(axis=0)), np.ceil(ends.max(axis=0)) + 1
    x0, y0 = np.clip(low, 0, (width, height)).astype(int).tolist()
    x1, y1 = np.clip(high, 0, (width, height)).astype(int).tolist()
    return x0, y0, x1, y1
