from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("moderngl")

from rtrecon.errors import RtreconError
from rtrecon.train.face_model import ARKIT_NAMES, FaceModel
from rtrecon.train.heads.accessories import _spanned
from rtrecon.train.heads.look import skin_of_tone
from rtrecon.train.heads.pose import rotation
from rtrecon.train.heads.sample import HeadGenerator
from rtrecon.train.heads.sheet import contact_sheet, relief_normals

SIZE = 96


@pytest.fixture(scope="module")
def generator(face_model_path):
    try:
        made = HeadGenerator(FaceModel.load(face_model_path), SIZE, variants=2)
    except RtreconError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture(scope="module")
def samples(generator):
    """First variants of six heads."""
    return [generator(seed)[0] for seed in range(6)]


def test_same_seed_same_samples(generator):
    first, again, other = generator(3), generator(3), generator(4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.relief, b.relief)
    assert not np.array_equal(first[0].image, other[0].image)


def test_variants_share_geometry_only(generator):
    first, second = generator(5)
    np.testing.assert_array_equal(first.relief, second.relief)
    assert np.abs(first.image.astype(int) - second.image).mean() > 5


def test_a_change_of_look_changes_the_skin_alone(generator):
    pale, dark = generator.changed(
        10, [lambda look, tone=tone: replace(look, skin=skin_of_tone(tone)) for tone in (0.0, 8.0)]
    )
    np.testing.assert_array_equal(pale.relief, dark.relief)
    skin = pale.face_mask > 0
    difference = pale.image.astype(int) - dark.image
    assert np.abs(difference[skin]).mean() > 20
    behind = cv2.erode(255 - pale.mask, np.ones((9, 9), np.uint8)) > 0
    assert behind.any()
    # The camera exposes for the face, so what is behind it becomes brighter, but stays itself.
    there = (pale.image[behind].ravel() < 250) & (dark.image[behind].ravel() < 250)
    pair = [image[behind].ravel()[there].astype(float) for image in (pale.image, dark.image)]
    assert np.corrcoef(*pair)[0, 1] > 0.95


def test_shapes_and_ranges(samples):
    for s in samples:
        assert s.image.shape == (SIZE, SIZE, 3)
        assert s.image.dtype == np.uint8
        assert s.relief.shape == (SIZE, SIZE)
        assert set(np.unique(s.mask)) <= {0, 255}
        np.testing.assert_array_equal(np.isfinite(s.relief), s.mask > 0)
        assert not (s.face_mask & ~s.mask).any()
        assert 0.15 < (s.mask > 0).mean() < 0.95
        assert (s.face_mask > 0).mean() > 0.02
        assert s.expression.shape == (len(ARKIT_NAMES),)
        assert s.expression.min() >= 0
        assert s.expression.max() <= 1
        assert np.nanmax(np.abs(s.relief)) < 2.0


def test_five_landmarks_project_onto_the_68(samples):
    for s in samples:
        fx, fy, cx, cy = s.intrinsics
        p = s.landmarks5_camera
        px = p[:, :2] / p[:, 2:] * [fx, fy] + [cx, cy]
        np.testing.assert_allclose(px[2], s.landmarks68_px[30], atol=0.1)
        np.testing.assert_allclose(px[3:], s.landmarks68_px[[48, 54]], atol=0.1)


def test_relief_is_the_depth_of_the_landmarks(samples):
    errors_mm = []
    for s in samples:
        x, y = np.rint(s.landmarks68_px[30]).astype(int)
        if 0 <= x < SIZE and 0 <= y < SIZE and s.face_mask[y, x]:
            z_m = s.z_ref_m - s.relief[y, x] * s.W_m
            errors_mm.append(abs(z_m - s.landmarks5_camera[2, 2]) * 1e3)
    assert len(errors_mm) >= 3
    assert np.median(errors_mm) < 1.5


def test_nose_stands_out_toward_the_camera(samples):
    for s in samples:
        if s.R_camera_face[2, 2] < 0.85:  # turned or nodded: another part may lead
            continue
        z = s.landmarks5_camera[:, 2]
        assert z[2] == z.min()


def test_scale_and_reference_depth(samples):
    for s in samples:
        assert s.z_ref_m == pytest.approx(s.landmarks5_camera[:, 2].mean(), rel=1e-5)
        assert s.W_m == pytest.approx(SIZE * s.z_ref_m / s.intrinsics[0], rel=1e-5)
        assert 0.15 < s.W_m < 0.4  # 3.8 units of some 6 cm


def test_crop_is_upright_and_centred(samples):
    for s in samples:
        five = s.landmarks68_px[[36, 45, 30, 48, 54]]
        roll = np.degrees(np.arctan2(*(five[1] - five[0])[::-1]))
        assert abs(roll) < 25
        assert np.all(np.abs(five.mean(axis=0) - SIZE / 2) < 0.2 * SIZE)


def test_head_pose_agrees_with_landmarks(samples):
    """The face's left is to the right of the crop; R turns it as the landmarks are turned."""
    for s in samples:
        across = s.landmarks5_camera[1] - s.landmarks5_camera[0]
        across /= np.linalg.norm(across)
        assert float(across @ s.R_camera_face[:, 0]) > 0.98
        np.testing.assert_allclose(s.R_camera_face @ s.R_camera_face.T, np.eye(3), atol=1e-5)


def test_outside_the_picture_is_black_and_masked(samples, generator):
    cut = [s for s in (generator(seed)[0] for seed in range(6, 14)) if not s.image[0, 0].any()]
    for s in [*samples, *cut]:
        black = ~s.image.any(axis=2)
        rows = black.all(axis=1)
        assert not s.mask[rows].any()


def test_normals_face_the_camera(samples):
    normal = relief_normals(samples[0].relief)
    seen = np.isfinite(normal).all(axis=2)
    assert seen.any()
    assert (normal[seen][:, 2] < 0).all()
    np.testing.assert_allclose(np.linalg.norm(normal[seen], axis=1), 1, atol=1e-5)


def test_normals_of_a_tilted_plane():
    x = np.linspace(0, 1, 32, endpoint=False, dtype=np.float32)
    normal = relief_normals(np.tile(x, (32, 1)))  # comes nearer to the right at 45 degrees
    np.testing.assert_allclose(normal[16, 16], [-np.sqrt(0.5), 0, -np.sqrt(0.5)], atol=1e-4)


def test_normals_of_a_sample_are_those_of_its_surface(samples):
    """A plane (n . p = d) seen in perspective has the same normal everywhere."""
    sample = samples[0]
    normal, d = np.array([0.3, -0.2, -1.0]) / np.linalg.norm([0.3, -0.2, -1.0]), -0.6
    fx, fy, cx, cy = sample.intrinsics
    at = np.arange(SIZE)
    x, y = np.meshgrid((at - cx) / fx, (at - cy) / fy)
    z = d / (normal[0] * x + normal[1] * y + normal[2])
    plane = replace(sample, relief=((sample.z_ref_m - z) / sample.W_m).astype(np.float32))
    np.testing.assert_allclose(plane.depth_m, z, rtol=1e-5)
    inner = plane.normals_camera[2:-2, 2:-2]
    np.testing.assert_allclose(inner, np.broadcast_to(normal, inner.shape), atol=2e-3)
    seen = np.isfinite(sample.normals_camera).all(axis=2)
    assert 0.3 * (sample.mask > 0).sum() < seen.sum() <= (sample.mask > 0).sum()


def test_rotation_is_yaw_then_pitch_then_roll():
    np.testing.assert_allclose(rotation(0, 0, 0), np.eye(3))
    np.testing.assert_allclose(rotation(np.pi / 2, 0, 0) @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_sheet(face_model_path, tmp_path, generator):
    path = tmp_path / "sheet.png"
    contact_sheet(path, face_model_path, 0, 2, SIZE)
    page = cv2.imread(str(path))
    assert page.shape == (SIZE, 4 * SIZE, 3)  # two heads, each beside its relief
    assert page.std() > 20


def test_face_mask_spans_the_mouth():
    """Cloth over two ridges lies on the ridges and bridges the hollow between them."""
    x, y = np.meshgrid(np.linspace(-4, 4, 81), np.linspace(-3, 3, 61))
    z = np.maximum(3 - (x - 2) ** 2, 3 - (x + 2) ** 2)
    grid, known = _spanned(np.stack([x, y, z], axis=-1).reshape(-1, 3))
    middle = known & (np.abs(grid[..., 0]) < 1.8)
    assert middle.any()
    np.testing.assert_allclose(grid[..., 2][middle], 3.0, atol=0.05)
