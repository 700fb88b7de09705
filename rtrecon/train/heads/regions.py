"""What each vertex of the head is made of: material, and soft weights of the face's regions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel
from rtrecon.types import BgrImage, Float32Array

__all__ = ["HeadRegions", "Material", "distance_to_line", "face_region", "head_regions"]


class Material(IntEnum):
    """What a pixel shows; the order is the order of tables in the shading."""

    NOTHING = 0
    SKIN = 1
    EYE = 2
    TEETH = 3
    GUMS = 4
    MOUTH = 5
    HAIR = 6
    CLOTH = 7
    FRAME = 8
    HAT = 9
    HAND = 10
    OBJECT = 11
    LASH = 12
    FACE_MASK = 13
    LENS = 14


@dataclass(frozen=True, slots=True, eq=False)
class HeadRegions:
    """Per vertex of the head model, float32: ``material`` (n,), and weights in [0, 1].

    ``weights`` (n, 8): lips, brow, beard, cheek, lid, nose, scalp, freckle zone.
    ``eye_uv`` (n, 2): sine of the angle from the optical axis, across and up; eyes only.
    """

    material: Float32Array
    weights: Float32Array
    eye_uv: Float32Array


def head_regions(model: FaceModel) -> HeadRegions:
    """Regions of the mean head; they follow the vertices of every other head."""
    V = model.vertices
    count = len(V)
    material = np.full(count, float(Material.SKIN), dtype=np.float32)
    for part, of in (
        ("mouth_socket", Material.MOUTH),
        ("eye_sockets", Material.MOUTH),
        ("gums_tongue", Material.GUMS),
        ("teeth", Material.TEETH),
        ("eye_left", Material.EYE),
        ("eye_right", Material.EYE),
        ("lashes", Material.LASH),
    ):
        first, end = PARTS[part]
        material[first:end] = float(of)

    marks = V[LANDMARKS_68]
    x, y, z = V.T
    front = (z > 2.0) & (material == float(Material.SKIN))
    weights = np.zeros((count, 8), dtype=np.float32)

    def soft(signed_distance: Float32Array, width: float) -> Float32Array:
        return np.asarray(np.clip(0.5 + signed_distance / width, 0.0, 1.0), dtype=np.float32)

    lips = np.maximum(_inside(V, marks[48:60]), -1e9)
    weights[:, 0] = soft(lips, 0.25) * front
    brow = np.minimum(distance_to_line(V, marks[17:22]), distance_to_line(V, marks[22:27]))
    weights[:, 1] = soft((0.42 - brow).astype(np.float32), 0.3) * front
    # Beard: jaw, chin, moustache and sideburns; a curve in the frontal view bounds it above.
    ax = np.abs(x)
    upper = np.interp(
        ax, [0, 1.2, 2.6, 4.0, 5.5, 6.8, 7.6], [-1.35, -1.5, -2.6, -3.6, -2.8, 0.5, 3.5]
    )
    below = soft((upper - y).astype(np.float32), 0.7)
    neck = soft((y + 10.0).astype(np.float32), 2.0)
    soul = np.exp(-((x / 1.1) ** 2 + ((y + 5.2) / 0.35) ** 2)) * 0.5
    behind = soft((z - 1.0).astype(np.float32), 1.5)
    weights[:, 2] = np.clip(below * neck * behind - weights[:, 0] * 1.5 - soul, 0, 1) * (
        material == float(Material.SKIN)
    )
    weights[:, 3] = np.exp(-(((ax - 4.2) / 1.9) ** 2 + ((y - 0.2) / 1.6) ** 2)) * front
    eyes = np.maximum(_inside(V, marks[36:42]), _inside(V, marks[42:48]))
    weights[:, 4] = soft((eyes + 0.55).astype(np.float32), 0.6) * front
    weights[:, 5] = np.exp(-np.sum((V - marks[30]) ** 2, axis=1) / 1.6) * front
    hairline = np.interp(ax, [0, 4, 6, 7.5, 8.5], [9.3, 8.6, 6.0, 3.0, 2.0])
    weights[:, 6] = np.where(
        z > 0, soft((y - hairline).astype(np.float32), 1.2), soft((y + 2.5).astype(np.float32), 2.0)
    ) * (material == float(Material.SKIN))
    weights[:, 7] = np.exp(-(((ax - 2.6) / 2.4) ** 2 + ((y - 1.2) / 1.7) ** 2)) * front

    eye_uv = np.zeros((count, 2), dtype=np.float32)
    for part in ("eye_left", "eye_right"):
        first, end = PARTS[part]
        ball = V[first:end]
        # The mesh holds sclera and iris; the bounding box of the ball gives centre and radius.
        low, high = ball.min(axis=0), ball.max(axis=0)
        radius = float(high[0] - low[0]) / 2.0
        center = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + radius])
        eye_uv[first:end] = (ball - center)[:, :2] / radius
        behind_axis = (ball - center)[:, 2] < 0
        eye_uv[first:end][behind_axis] = (0.95, 0.0)
    return HeadRegions(material, weights, eye_uv)


def face_region(landmarks68_px: Float32Array, size_px: int) -> BgrImage:
    """The face from hairline to chin without neck and ears, (size, size) uint8 0 or 255.

    ``landmarks68_px`` (68, 2): the hull of jaw and forehead, which is as far above the brows as
    a share of the distance from brows to chin.
    """
    marks = np.asarray(landmarks68_px, dtype=np.float32)
    brows, chin = marks[17:27], marks[8]
    up = brows.mean(axis=0) - chin
    outline = np.concatenate([marks[0:17], brows + 0.38 * up, brows + 0.1 * up])
    hull = cv2.convexHull(outline)
    region = np.zeros((size_px, size_px), dtype=np.uint8)
    cv2.fillConvexPoly(region, np.rint(hull).astype(np.int32), 255)
    return region


def _inside(vertices: Float32Array, outline: Float32Array) -> Float32Array:
    """Signed distance in centimetres to a polygon in the frontal view, positive inside."""
    polygon = np.ascontiguousarray(outline[:, None, :2], dtype=np.float32)
    return np.array(
        [cv2.pointPolygonTest(polygon, (float(p[0]), float(p[1])), True) for p in vertices],
        dtype=np.float32,
    )


def distance_to_line(vertices: Float32Array, line: Float32Array) -> Float32Array:
    """Distance in centimetres to a polyline in the frontal view."""
    best = np.full(len(vertices), np.inf, dtype=np.float32)
    for a, b in zip(line[:-1, :2], line[1:, :2], strict=True):
        along = b - a
        t = np.clip(((vertices[:, :2] - a) @ along) / float(along @ along), 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(vertices[:, :2] - (a + t[:, None] * along), axis=1))
    return best
