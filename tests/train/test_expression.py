import numpy as np
import pytest

from rtrecon.train.face_model import ARKIT_NAMES, LANDMARKS_68, FaceModel
from rtrecon.train.heads.brows import sample_brows
from rtrecon.train.heads.expression import sample_expression
from rtrecon.train.heads.eyes import GAZE_DEG, eye_centers, sample_gaze, turn_eyes
from rtrecon.train.heads.pose import HEAD_CAMERA, place_head, rotation
from rtrecon.train.heads.regions import head_regions

COUNT = 3000
IRIS = {"L": slice(22221, 23021), "R": slice(23791, 24591)}


@pytest.fixture(scope="module")
def model(face_model_path):
    return FaceModel.load(face_model_path)


@pytest.fixture(scope="module")
def drawn(model):
    """(COUNT, 51) coefficients as `ARKIT_NAMES`, gaze included."""
    rows = []
    for seed in range(COUNT):
        rng = np.random.default_rng(seed)
        w = sample_expression(rng, model)
        R, t, _ = place_head(rng, model.vertices)
        sample_gaze(rng, model, w, model.vertices, R, t)
        rows.append(model.to_arkit(w))
    return np.array(rows)


def _column(drawn, name):
    return drawn[:, ARKIT_NAMES.index(name)]


@pytest.mark.parametrize("name", ARKIT_NAMES)
def test_every_coefficient_is_strong_in_a_fair_share_of_heads(drawn, name):
    values = _column(drawn, name)
    if name == "mouthClose":  # never more than the jaw is open
        assert (values > 0.15).mean() > 0.012
    else:
        assert (values > 0.4).mean() > 0.012
    assert (values < 0.05).mean() > 0.3
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize(
    "name", [n for n in ARKIT_NAMES if n.endswith("Left") and "eyeLook" not in n]
)
def test_left_comes_without_right(drawn, name):
    if name in ("jawLeft", "mouthLeft"):
        return  # directions, not sides
    left, right = _column(drawn, name), _column(drawn, name.replace("Left", "Right"))
    assert ((left > 0.4) & (right < 0.1)).mean() > 0.001
    assert ((right > 0.4) & (left < 0.1)).mean() > 0.001


def test_what_cannot_be_is_not_drawn(drawn):
    assert (_column(drawn, "mouthClose") <= _column(drawn, "jawOpen") + 1e-6).all()
    for one, other in (("jawLeft", "jawRight"), ("eyeLookInLeft", "eyeLookOutLeft")):
        assert (np.minimum(_column(drawn, one), _column(drawn, other)) == 0).all()
    shut = _column(drawn, "eyeBlinkRight") > 0.5
    assert (_column(drawn, "eyeWideRight")[shut] == 0).all()


def test_gaze_goes_everywhere(drawn):
    across = _column(drawn, "eyeLookOutLeft") - _column(drawn, "eyeLookInLeft")
    up = _column(drawn, "eyeLookUpLeft") - _column(drawn, "eyeLookDownLeft")
    for values in (across, up):
        for low in np.arange(-1.0, 0.99, 0.25):
            assert ((values >= low) & (values <= low + 0.25)).mean() > 0.03


@pytest.mark.parametrize(
    ("way", "axis", "sign"), [("Out", 0, 1), ("In", 0, -1), ("Up", 1, 1), ("Down", 1, -1)]
)
@pytest.mark.parametrize("side", ["L", "R"])
def test_the_eyeball_turns_where_its_coefficient_says(model, way, axis, sign, side):
    w = np.zeros(57, np.float32)
    w[model.expression_names.index(f"eyeLook{way}_{side}")] = 1.0
    V = model.vertices
    turned = turn_eyes(model, V, w)
    center = eye_centers(V)[side]
    before, after = (np.mean(v[IRIS[side]], axis=0) - center for v in (V, turned))
    if axis == 0 and side == "R":
        sign = -sign  # outward is the other way
    angle = np.degrees(np.arctan2(after[axis], after[2]) - np.arctan2(before[axis], before[2]))
    assert angle == pytest.approx(sign * GAZE_DEG[axis], abs=0.5)
    still = np.ones(len(V), bool)
    still[IRIS[side].start - 770 : IRIS[side].stop] = False
    np.testing.assert_array_equal(turned[still], V[still])
    radius = np.linalg.norm(turned[IRIS[side]] - center, axis=1)
    np.testing.assert_allclose(radius, np.linalg.norm(V[IRIS[side]] - center, axis=1), atol=1e-3)


def test_many_look_at_the_camera_with_their_heads_turned(model):
    near = 0
    regions = head_regions(model)
    from_axis = np.hypot(*regions.eye_uv[IRIS["L"]].T)
    pupil = IRIS["L"].start + int(from_axis.argmin())  # as it is drawn
    for seed in range(400):
        rng = np.random.default_rng(seed)
        R, t = rotation(0.4, -0.1, 0.0), np.array([0.05, 0.0, 0.6])
        w = np.zeros(57, np.float32)
        sample_gaze(rng, model, w, model.vertices, R, t)
        turned = turn_eyes(model, model.vertices, w)
        center = eye_centers(turned)["L"]
        sight = turned[pupil] - center
        M = R @ HEAD_CAMERA
        to_camera = -(M @ (center * 0.01) + t)
        cosine = (M @ sight) @ to_camera / np.linalg.norm(sight) / np.linalg.norm(to_camera)
        near += cosine > np.cos(np.radians(6))
    assert 0.25 < near / 400 < 0.55


def test_brows_differ_and_their_landmarks_go_along(model):
    drawn = [sample_brows(np.random.default_rng(k), model) for k in range(12)]
    heights = [b.shift_cm[17:27, 1].mean() for b in drawn]
    assert np.std(heights) > 0.05
    for brows in drawn:
        painted = model.vertices[brows.weight > 0.5]
        assert len(painted) > 40
        marks = (model.vertices[LANDMARKS_68] + brows.shift_cm)[17:27]
        assert painted[:, 1].mean() == pytest.approx(marks[:, 1].mean(), abs=0.25)
        assert (brows.shift_cm[:17] == 0).all()
        assert (brows.shift_cm[27:] == 0).all()
