"""Pictures for evaluation, with what is known of the face beside its depth."""

import numpy as np
import pytest

pytest.importorskip("moderngl")

from rtrecon.errors import RtreconError
from rtrecon.evaluate.dataset import DepthDataset
from rtrecon.train.face_model import ARKIT_NAMES, FaceModel
from rtrecon.train.heads.frames import KINDS, FrameRenderer, _OneCamera
from rtrecon.train.heads.pose import rotation


@pytest.fixture(scope="module")
def renderer(face_model_path):
    try:
        renderer = FrameRenderer(FaceModel.load(face_model_path), 192)
    except RtreconError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


def test_truth_fits_the_picture_and_survives_the_file(renderer, tmp_path):
    from make_eval_sets import write

    frame = renderer.still(5)
    marks = frame.landmarks68_px
    assert marks.shape == (68, 2)
    # The tip of the nose is nearer than the bridge, and the landmarks lie on the head.
    at = np.rint(marks).astype(int)
    depth = frame.depth_m[at[:, 1], at[:, 0]]
    assert np.isfinite(depth[27:]).all()
    assert depth[30] < depth[27]
    np.testing.assert_allclose(frame.R_camera_face @ frame.R_camera_face.T, np.eye(3), atol=1e-9)
    write(tmp_path, [frame], None)
    (sample,) = DepthDataset(tmp_path)
    assert sample.truth.expression is not None
    assert tuple(sample.truth.expression) == ARKIT_NAMES
    np.testing.assert_allclose(list(sample.truth.expression.values()), frame.expression, atol=6e-4)
    np.testing.assert_allclose(sample.truth.R_camera_face, frame.R_camera_face, atol=1e-5)
    np.testing.assert_allclose(sample.truth.landmarks68_px, marks, atol=6e-3)
    assert (tmp_path / "meta.json").stat().st_size < 5000


def test_a_clip_moves_what_it_can(renderer):
    frames = renderer.clip(20, 8, 2.0)
    said = np.stack([frame.expression for frame in frames])
    spread = dict(zip(ARKIT_NAMES, said.max(axis=0) - said.min(axis=0), strict=True))
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp", "eyeLookOutLeft", "mouthPucker"):
        assert spread[name] > 0.3
    blinks = said[:, [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]]
    assert (np.abs(blinks[:, 0] - blinks[:, 1]) > 0.5).any()  # a wink


def test_rotation_is_that_of_the_head(renderer):
    first, second = renderer.clip(20, 2, 2.0)  # half a second apart: it turns to one side
    moved = second.landmarks68_px[30] - second.landmarks68_px[[36, 45]].mean(axis=0)
    before = first.landmarks68_px[30] - first.landmarks68_px[[36, 45]].mean(axis=0)
    relative = second.R_camera_face @ first.R_camera_face.T
    # Toward the own right is yaw above zero, and the nose goes to the picture's left.
    yaw = np.arctan2(relative[0, 2], relative[2, 2])
    assert abs(yaw) > 0.1
    assert np.sign(moved[0] - before[0]) == -np.sign(yaw)
    np.testing.assert_allclose(rotation(0.3, 0, 0)[0, 2], np.sin(0.3), atol=1e-9)


def test_one_camera_with_fresh_noise():
    first, second = _OneCamera([1, 2], 0), _OneCamera([1, 2], 1)
    noise = [camera.standard_normal((4, 4)) for camera in (first, second)]
    assert not np.array_equal(*noise)
    assert first.random() == second.random()
    assert first.normal(0, 0.5) == second.normal(0, 0.5)


def test_all_expressions_are_of_one_head(renderer):
    """An open mouth, which may show a tongue, must not make another person of it."""
    frames = dict(zip(KINDS, renderer.expressions(7), strict=True))
    rest, jaw = frames["rest"], frames["jaw"]
    assert jaw.expression[ARKIT_NAMES.index("jawOpen")] > 0.5
    # The corner of the picture is background, by the same camera.
    corner = np.s_[:12, :12]
    assert np.abs(rest.image[corner].astype(int) - jaw.image[corner]).mean() < 12


def test_a_turning_head_is_one_head(renderer):
    ahead, aside = renderer.turning(3, [0.0, 40.0])
    assert ahead.ipd_m == aside.ipd_m
    assert 0.05 < ahead.ipd_m < 0.08
    assert ahead.intrinsics == aside.intrinsics
    np.testing.assert_array_equal(ahead.expression, aside.expression)
    relative = aside.R_camera_face @ ahead.R_camera_face.T
    assert np.degrees(np.arccos((np.trace(relative) - 1) / 2)) == pytest.approx(40.0, abs=1e-6)
    near, far = renderer.turning(3, [0.0, 0.0], [0.5, 0.7])
    assert np.nanmin(far.depth_m) - np.nanmin(near.depth_m) == pytest.approx(0.2, abs=0.005)


def test_one_act_a_picture_of_one_head(renderer):
    ahead = (0.0, 0.0, 0.0)
    rest, down, wink = renderer.acting(
        3, [(ahead, {}), ((15.0, 0.0, 0.0), {}), (ahead, {"eyeBlink_L": 1.0})]
    )
    assert down.R_camera_face[1, 2] == pytest.approx(-np.sin(np.radians(15.0)))
    assert rest.intrinsics == wink.intrinsics
    said = dict(zip(ARKIT_NAMES, wink.expression, strict=True))
    assert (said["eyeBlinkLeft"], said["eyeBlinkRight"]) == (1.0, 0.0)
    np.testing.assert_allclose(rest.landmarks68_px[:17], wink.landmarks68_px[:17], atol=0.2)
