import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtrecon.train.batches import make_batch
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.losses import face_scores, normals_from_relief, token_scores, total_loss
from rtrecon.train.network import Outputs


@pytest.fixture
def target(shards):
    return make_batch(ShardDataset([shards]), np.arange(4), 64, None)[1]


def _answer(target, relief):
    return Outputs(
        relief,
        (target.mask * 2 - 1) * 20,
        target.expression,
        target.landmarks,
        target.rotation,
    )


def test_truth_costs_nothing(target):
    _, parts = total_loss(_answer(target, target.relief), target)
    # The cross-entropy of a label between 0 and 1 with itself is no nothing.
    assert sum(v for name, v in parts.items() if name != "expression") < 1e-5, parts
    scores = face_scores(_answer(target, target.relief), target)
    assert scores["mae_mm"] == 0
    assert scores["normal_deg"] < 0.1
    assert scores["mask_iou"] == 1
    assert scores["plane_mm"] > 5


def test_scores_are_millimetres_without_the_offset(target):
    scores = face_scores(_answer(target, target.relief + 0.3), target)
    assert scores["mae_mm"] == pytest.approx(0, abs=1e-4)
    scores = face_scores(_answer(target, torch.zeros_like(target.relief)), target)
    assert scores["mae_mm"] == pytest.approx(scores["plane_mm"])
    n = target.relief.shape[-1]
    sides = torch.where(torch.arange(n) < n // 2, -1.0, 1.0).expand_as(target.relief)
    scores = face_scores(_answer(target, target.relief + 0.01 * sides), target)
    assert scores["mae_mm"] == pytest.approx(2.7, rel=0.05)  # 0.01 of W, 270 mm


def test_flatter_costs_more(target):
    costs = [
        float(total_loss(_answer(target, target.relief * s), target)[0])
        for s in (1.0, 0.9, 0.6, 0.0)
    ]
    assert costs == sorted(costs)
    parts = total_loss(_answer(target, target.relief * 0.6), target)[1]
    for name in ("absolute", "shape", "slopes", "normal"):
        assert parts[name] > 0.01, name


def test_background_does_not_count(target):
    noise = torch.randn_like(target.relief) * (1 - target.valid)
    loss = total_loss(_answer(target, target.relief + noise), target)[1]
    for name in ("absolute", "shape", "slopes"):
        assert loss[name] == pytest.approx(0, abs=1e-6)


def _expression_cost(target, found):
    answer = _answer(target, target.relief)
    answer.expression = found
    return total_loss(answer, target)[1]["expression"]


def test_a_coefficient_that_is_seldom_there_is_not_best_left_at_zero(target):
    seldom = torch.zeros_like(target.expression)
    seldom[0] = 0.8  # one head of four: the median is zero, the mean is not
    target.expression = seldom
    zero, mean = (torch.full_like(seldom, v) for v in (1e-3, 0.2))
    assert (mean - seldom).abs().mean() > (zero - seldom).abs().mean()
    assert _expression_cost(target, mean) < _expression_cost(target, zero)
    assert _expression_cost(target, seldom) < _expression_cost(target, mean)


def test_a_shut_eye_says_nothing_of_its_gaze(target):
    names = list(ARKIT_NAMES)
    target.expression = torch.full_like(target.expression, 0.1)
    target.expression[:, names.index("eyeBlinkLeft")] = 1.0
    wrong = target.expression.clone()
    wrong[:, names.index("eyeLookInLeft")] = 0.9
    right = _expression_cost(target, target.expression)
    assert _expression_cost(target, wrong) == pytest.approx(right)
    wrong[:, names.index("eyeLookInRight")] = 0.9
    assert _expression_cost(target, wrong) > right + 0.01


def test_answers_that_noise_changes_cost(shards):
    rng = np.random.default_rng(0)
    target = make_batch(ShardDataset([shards]), np.arange(4), 64, rng, 2)[1]
    same = _answer(target, target.relief)
    assert total_loss(same, target)[1]["pairs"] < 1e-6
    trembling = target.relief.clone()
    trembling[-1] += 0.01 * target.valid[-1]
    assert total_loss(_answer(target, trembling), target)[1]["pairs"] > 0.01
    first_alone = target.relief + 0.01 * target.valid
    assert total_loss(_answer(target, first_alone), target)[1]["pairs"] < 1e-6


def test_normals_of_a_slope():
    # A fall of depth as long as the way across: 45 degrees, and the surface looks to the left.
    size = 32
    relief = (torch.arange(size) / size).expand(1, 1, size, size)
    inner = normals_from_relief(relief)[0, :, 5, 5]
    torch.testing.assert_close(inner, torch.tensor([-1.0, 0.0, -1.0]) / 2**0.5)


def test_what_the_token_says_is_scored(target):
    answer = _answer(target, target.relief)
    assert token_scores(answer, target)["landmark_share"] == 0
    assert token_scores(answer, target)["rotation_deg"] < 0.1
    c, s = np.cos(np.radians(10)), np.sin(np.radians(10))
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float32)
    eyes = (target.landmarks[:, 45] - target.landmarks[:, 36]).norm(dim=1)
    answer = Outputs(
        target.relief,
        target.mask,
        target.expression + 0.2,
        target.landmarks + 0.1 * eyes[:, None, None] * torch.tensor([1.0, 0.0]),
        turn @ target.rotation,
    )
    scores = token_scores(answer, target)
    assert scores["rotation_deg"] == pytest.approx(10, abs=0.1)
    # A tenth of the distance of the eyes as seen: less of it where the head is turned.
    assert 0.02 < scores["landmark_share"] <= 0.1 + 1e-4
