import cv2
import numpy as np
import pytest

from rtrecon.faces.align import CropSpec, crop_face
from rtrecon.types import Face
from tests.faces.scenes import LANDMARKS

SPEC = CropSpec()


def _face(landmarks=LANDMARKS, box=(181, 62, 268, 172)):
    return Face(np.array(box, dtype=np.float32), np.asarray(landmarks, dtype=np.float32), score=1.0)


def _moved(landmarks, scale=1.0, roll_rad=0.0, shift=(0.0, 0.0)):
    turn = scale * np.array(
        [[np.cos(roll_rad), -np.sin(roll_rad)], [np.sin(roll_rad), np.cos(roll_rad)]]
    )
    return landmarks @ turn.T + shift


def _corners(crop):
    last = crop.size_px - 1
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1], [last, last, 1]])
    return corners @ crop.M_picture_crop.T


@pytest.mark.parametrize("spec", [SPEC, CropSpec("box", 1.3)])
def test_to_crop_and_back(spec):
    crop = crop_face(_face(_moved(LANDMARKS, roll_rad=0.3)), spec, 192)
    points = np.array([[181, 62], [268, 172], [0, 0]], dtype=np.float32)
    inside = crop.to_crop(points)
    back = np.column_stack([inside, np.ones(3)]) @ crop.M_picture_crop.T
    np.testing.assert_allclose(back, points, atol=1e-2)
    product = np.vstack([crop.M_crop_picture, [0, 0, 1]]) @ np.vstack(
        [crop.M_picture_crop, [0, 0, 1]]
    )
    np.testing.assert_allclose(product, np.eye(3), atol=1e-9)


def test_is_a_similarity_that_neither_mirrors_nor_bends():
    M = crop_face(_face(_moved(LANDMARKS, roll_rad=-0.5)), SPEC, 192).M_picture_crop[:, :2]
    assert np.linalg.det(M) > 0
    np.testing.assert_allclose(M.T @ M, np.linalg.det(M) * np.eye(2), atol=1e-9)


@pytest.mark.parametrize("roll_rad", [-2.5, -0.7, 0.4, np.pi])
def test_the_crop_turns_with_the_head(roll_rad):
    upright = crop_face(_face(), SPEC, 192)
    rolled_marks = _moved(LANDMARKS, roll_rad=roll_rad, shift=(300, 50))
    rolled = crop_face(_face(rolled_marks), SPEC, 192)
    np.testing.assert_allclose(
        rolled.to_crop(rolled_marks.astype(np.float32)),
        upright.to_crop(LANDMARKS.astype(np.float32)),
        atol=0.05,
    )
    assert rolled.side_px == pytest.approx(upright.side_px, rel=1e-4)


def test_the_crop_grows_with_the_head():
    small = crop_face(_face(), SPEC, 192)
    large_marks = _moved(LANDMARKS, scale=3.5)
    large = crop_face(_face(large_marks), SPEC, 192)
    assert large.side_px == pytest.approx(3.5 * small.side_px, rel=1e-4)
    np.testing.assert_allclose(
        large.to_crop(large_marks.astype(np.float32)),
        small.to_crop(LANDMARKS.astype(np.float32)),
        atol=0.05,
    )


def test_the_crop_covers_the_same_region_at_every_size():
    small, large = crop_face(_face(), SPEC, 96), crop_face(_face(), SPEC, 384)
    assert small.side_px == large.side_px
    middle_small, middle_large = _corners(small).mean(axis=0), _corners(large).mean(axis=0)
    np.testing.assert_allclose(middle_small, middle_large, atol=1e-9)


def test_the_face_is_upright_and_in_the_middle():
    crop = crop_face(_face(), SPEC, 192)
    left_eye, right_eye, nose, left_mouth, right_mouth = crop.to_crop(LANDMARKS.astype(np.float32))
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert np.abs((left_eye + right_eye + left_mouth + right_mouth) / 4 - 95.5).max() < 20


def test_the_box_kind_is_the_upright_square_about_the_box():
    crop = crop_face(_face(box=(100, 50, 160, 170)), CropSpec("box", 1.5), 90)
    assert crop.side_px == pytest.approx(180)
    np.testing.assert_allclose(_corners(crop).mean(axis=0), [130, 110], atol=1e-9)
    assert crop.M_picture_crop[0, 1] == crop.M_picture_crop[1, 0] == 0


def _blobs(points, shape, radius_px):
    image = np.zeros((*shape, 3), dtype=np.uint8)
    for x, y in points:
        cv2.circle(
            image,
            (round(x * 16), round(y * 16)),
            round(radius_px * 16),
            (255, 255, 255),
            -1,
            shift=4,
        )
    return image


@pytest.mark.parametrize("size_px", [192, 64, 32])
def test_warp_puts_the_picture_where_to_crop_says(size_px):
    """Also where the picture is shrunk much, which goes another way inside."""
    marks = _moved(LANDMARKS, scale=4.0, roll_rad=0.2, shift=(-150.0, -150.0))
    crop = crop_face(_face(marks), SPEC, size_px)
    image = _blobs(marks, (900, 1100), radius_px=max(5.0, crop.side_px / size_px))
    out = crop.warp(image)
    assert out.shape == (size_px, size_px, 3)
    assert out.dtype == np.uint8
    expected = crop.to_crop(marks.astype(np.float32))
    brightness = out[..., 0].astype(np.float64)
    y, x = np.mgrid[:size_px, :size_px]
    for mark in expected:
        near = brightness * (np.hypot(x - mark[0], y - mark[1]) < 0.06 * size_px)
        center = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
        np.testing.assert_allclose(center, mark, atol=0.15)


def test_warp_of_a_large_shrink_does_not_alias():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1200, 1200, 1), dtype=np.uint8).repeat(3, axis=2)
    marks = _moved(LANDMARKS, scale=5.0, shift=(-500, 0))
    out = crop_face(_face(marks), SPEC, 64).warp(noise)
    assert out.std() < 0.25 * noise.std()


def test_warp_is_black_outside_of_the_picture():
    image = np.full((120, 160, 3), 200, dtype=np.uint8)
    marks = _moved(LANDMARKS, shift=(-225, -60))
    out = crop_face(_face(marks), SPEC, 96).warp(image)
    assert out[:, 0].max() == 0
    assert out[48, 90].min() == 200
    away = crop_face(_face(_moved(LANDMARKS, scale=6, shift=(9000, 9000))), SPEC, 48)
    assert away.warp(image).max() == 0


def test_warp_writes_into_the_given_array():
    image = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    crop = crop_face(_face(), SPEC, 192)
    out = np.empty((192, 192, 3), dtype=np.uint8)
    assert np.shares_memory(crop.warp(image, out), out)
    np.testing.assert_array_equal(out, crop.warp(image))


def test_degenerate_landmarks_give_a_finite_crop():
    for marks in (np.zeros((5, 2)), np.full((5, 2), 50.0), LANDMARKS[[0, 0, 0, 0, 0]]):
        crop = crop_face(_face(marks), SPEC, 64)
        assert np.isfinite(crop.M_picture_crop).all()
        assert crop.side_px >= 1.0


@pytest.mark.parametrize("toward", [-1.0, 1.0])
def test_the_crop_leans_to_where_the_head_is_when_the_nose_leads(toward):
    ahead = np.array([[80, 100], [120, 100], [100, 125], [85, 150], [115, 150]], np.float32)
    turned = ahead.copy()
    turned[2, 0] += toward * 16  # the nose's tip goes ahead of eyes and mouth
    spec = CropSpec("landmarks", 3.8)

    def middle_px(marks):
        crop = crop_face(Face(np.zeros(4, np.float32), marks, 1.0), spec, 64)
        return crop.M_picture_crop @ [31.5, 31.5, 1.0]

    moved = middle_px(turned) - middle_px(ahead)
    np.testing.assert_allclose(moved, [-toward * 8, 0.0], atol=1e-6)
