"""A head's depth in the picture is that of the surface that is seen there."""

from __future__ import annotations

import numpy as np

from rtrecon.head.depth import averaged_depth, head_depth
from tests.head.seen_heads import CAMERA, head_of, person, seen


def test_it_is_the_depth_that_a_camera_sees() -> None:
    head = head_of(person(40), (10, 0, 0))
    face = seen(head)
    shown = face.depth_in_frame((CAMERA.height, CAMERA.width))
    found = head_depth(head, CAMERA)
    both = np.isfinite(shown) & np.isfinite(found)
    assert both.sum() > 0.9 * np.isfinite(shown).sum()
    assert np.median(np.abs(shown - found)[both]) < 0.0005
    skin = head_depth(head, CAMERA, skin_only=True)
    assert np.isfinite(skin).sum() < np.isfinite(found).sum()
    eye = head.vertices_camera()[head.model.parts["eye_left"]].mean(axis=0)
    x, y = np.rint(eye[:2] / eye[2] * CAMERA.fx + (CAMERA.cx, CAMERA.cy)).astype(int)
    assert np.isfinite(found[y, x])
    assert np.isnan(skin[y, x])


def test_the_average_is_halfway_on_skin_and_the_faces_own_elsewhere() -> None:
    head = head_of(person(41))
    shown = head_depth(head, CAMERA)
    skin = np.isfinite(head_depth(head, CAMERA, skin_only=True))
    near = averaged_depth(shown + np.float32(0.004), head, CAMERA)
    np.testing.assert_allclose(near[skin], shown[skin] + 0.002, atol=1e-6)
    hair = averaged_depth(shown - np.float32(0.05), head, CAMERA)
    np.testing.assert_allclose(hair[skin], shown[skin] - 0.05, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(near), np.isnan(shown))


def test_a_head_behind_the_camera_has_no_depth() -> None:
    head = head_of(person(42))
    head.t[2] = -0.5
    assert np.isnan(head_depth(head, CAMERA)).all()
