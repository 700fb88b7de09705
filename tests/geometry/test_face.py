"""What a face says of itself: angles, quaternion, a line and a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from rtrecon.avatar import rotations
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Expression, Face, Frame, Intrinsics
from tests.mesh.faces import make_face


def turned(yaw: float, pitch: float, roll: float) -> FaceReconstruction:
    face = make_face()
    q = rotations.from_angles(*(math.radians(angle) for angle in (pitch, yaw, roll)))
    face.T_camera_face[:3, :3] = rotations.to_matrix(q)
    return face


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (0, 0, 45), (25, -40, 100), (-170, 10, -175)]
)
def test_angles_and_quaternion_are_those_of_the_pose(angles: tuple[float, float, float]) -> None:
    face = turned(*angles)
    np.testing.assert_allclose(face.euler_deg, angles, atol=1e-6)
    w, *xyz = face.quaternion_wxyz
    np.testing.assert_allclose(
        rotations.to_matrix((*xyz, w)), face.T_camera_face[:3, :3], atol=1e-9
    )
    assert w >= 0.0


@pytest.mark.parametrize(
    ("angles", "axis", "sign"),
    [
        ((20, 0, 0), 0, -1),  # the own right is the picture's left
        ((0, 20, 0), 1, 1),  # nose down
    ],
)
def test_signs_are_those_of_where_the_nose_points(
    angles: tuple[float, float, float], axis: int, sign: int
) -> None:
    nose = turned(*angles).T_camera_face[:3, :3] @ (0.0, 0.0, -1.0)
    assert sign * nose[axis] > 0.3


def test_roll_is_clockwise_in_the_picture() -> None:
    top = turned(0, 0, 20).T_camera_face[:3, :3] @ (0.0, -1.0, 0.0)
    assert top[0] > 0.3


def test_a_face_says_who_and_where_it_is() -> None:
    face = turned(12, -3, 1)
    face.expression = Expression(["jawOpen"], [0.31])
    said = repr(face)
    for part in ("id=0", "box_px=(10, 5, 86, 91)", "distance_m=0.45", "yaw=+12, pitch=-3, roll=+1"):
        assert part in said
    assert "jawOpen=0.31" in said
    assert f"{len(face.points_camera)} points" in said
    assert len(said) < 200


def test_values_say_their_sizes_not_their_arrays() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    assert repr(Frame(image, 3, 1_500_000_000)) == (
        "Frame(64x48, index=3, t_capture_s=1.500, intrinsics not known)"
    )
    known = Frame(image, 3, 0, Intrinsics.from_fov(64, 48), 40_000_000)
    assert "t_media_s=0.040, intrinsics known" in repr(known)
    box = np.array([1.2, 2.0, 30.0, 40.7], np.float32)
    assert repr(Face(box, np.zeros((5, 2), np.float32), 0.9871)) == (
        "Face(box_px=(1, 2, 30, 41), score=0.987)"
    )
    face = make_face()
    assert repr(face.texture) == "Texture(96x96)"
    assert repr(face.grid).startswith("FaceGrid(96x96, ")
    assert "texture 96x96" in repr(face.mesh())
    assert repr(face.mesh()).endswith(" mm)")


def test_a_notebook_shows_colours_depth_and_shape() -> None:
    face = make_face()
    png = face._repr_png_()
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (240, 720, 3)
    # The nose, above the middle, is nearest: brightest in Viridis, whose rim is dark.
    depth = shown[:, 240:480].astype(int).sum(axis=2)
    assert depth[90, 120] > depth[120, 60]


def test_a_notebook_shows_a_face_without_a_point() -> None:
    face = make_face()
    face.grid.valid[:] = False
    assert face._repr_png_().startswith(b"\x89PNG")
