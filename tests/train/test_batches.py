import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtrecon.errors import DataError
from rtrecon.train.batches import _sample, batches, make_batch
from rtrecon.train.dataset import ShardDataset
from tests.train.shards import SIZE, W_M, ellipsoid


def _marked():
    """A sample with a white dot on landmark 36, the one eye's outer corner."""
    sample = ellipsoid(np.random.default_rng(0))
    sample["landmarks68_px"][36] = (20, 26)
    sample["landmarks68_px"][45] = (43, 26)
    sample["image"][:] = 0
    cv2.circle(sample["image"], (20, 26), 2, (255, 255, 255), -1)
    return [sample]


def test_same_seed_same_batch(shards):
    data = ShardDataset([shards])
    one, two = (make_batch(data, np.arange(4), 64, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1].relief, two[1].relief)


def test_pairs_are_the_first_pictures_in_other_noise(shards):
    data = ShardDataset([shards])
    images, targets = make_batch(data, np.arange(4), 64, np.random.default_rng(3), 2)
    assert images.shape[0] == len(targets.relief) == 6
    assert targets.pairs == 2
    for field in ("relief", "mask", "expression", "landmarks", "rotation", "W_m"):
        values = getattr(targets, field)
        assert torch.equal(values[:2], values[4:]), field
    apart = (images[:2] - images[4:]).abs().mean(dim=(1, 2, 3))
    assert (apart > 1e-3).all()
    others = (images[:2] - images[2:4]).abs().mean(dim=(1, 2, 3))
    assert (apart < 0.5 * others).all()


def test_targets_are_half_the_size(shards):
    images, targets = make_batch(ShardDataset([shards]), np.arange(3), 96, None)
    assert images.shape == (3, 3, 96, 96)
    assert targets.relief.shape == targets.mask.shape == (3, 1, 48, 48)
    assert torch.isfinite(targets.relief).all()


def test_depth_of_the_targets_is_that_of_the_sample(shards):
    data = ShardDataset([shards])
    _, targets = make_batch(data, np.arange(3), SIZE, None)
    full = np.asarray(data[0]["relief"], np.float32)
    quarter = full.reshape(SIZE // 2, 2, SIZE // 2, 2).mean((1, 3))
    face = targets.face[0, 0].numpy() > 0
    assert face.sum() > 50
    np.testing.assert_allclose(targets.relief[0, 0].numpy()[face], quarter[face], atol=4e-3)


@pytest.mark.parametrize("seed", range(8))
def test_labels_follow_the_picture(seed):
    images, targets = make_batch(_marked(), np.array([0]), SIZE, np.random.default_rng(seed))
    grey = images[0].mean(0).numpy()
    ys, xs = np.nonzero(grey > 0.5 * grey.max())
    dot = np.array([xs.mean(), ys.mean()])
    places = targets.landmarks[0].numpy() * SIZE - 0.5
    flipped = bool(targets.rotation[0, 0, 2] < 0)
    # Mirrored, the dot is on the other eye, the other lid is shut and the head looks across.
    np.testing.assert_allclose(places[45 if flipped else 36], dot, atol=0.6)
    shut = targets.expression[0].numpy()
    assert shut[7 if flipped else 0] == 1
    assert shut.sum() == 1
    assert float(torch.linalg.det(targets.rotation[0].double())) == pytest.approx(1, abs=1e-5)


def test_both_ways_are_drawn():
    turned = [
        float(
            make_batch(_marked(), np.array([0]), SIZE, np.random.default_rng(s))[1].rotation[
                0, 0, 2
            ]
        )
        for s in range(8)
    ]
    assert min(turned) < 0 < max(turned)


class _Zoom:
    """Random numbers that zoom by a fifth and do nothing else."""

    def __init__(self):
        self._first = True

    def normal(self, _mean, _sigma, size=None):
        first, self._first = self._first, False
        return np.log(1.2) if first else np.zeros(size or ())

    def random(self):
        return 1.0


def test_zoom_keeps_metres():
    sample = ellipsoid(np.random.default_rng(1))
    plain, near = _sample(sample, SIZE, None), _sample(sample, SIZE, _Zoom())
    assert near[8] == pytest.approx(W_M / 1.2)
    half, step = SIZE // 4, 6
    # From the middle outward: `step` pixels of the plain one are 1.2 times as many when zoomed.
    plain_m = (plain[1][half, half] - plain[1][half, half + step]) * plain[8]
    places = np.interp(half + 1.2 * step + 0.1, np.arange(SIZE // 2), near[1][half])
    near_m = (near[1][half, half] - places) * near[8]
    assert plain_m > 2e-3
    assert near_m == pytest.approx(plain_m, rel=0.06)


def test_going_on_gives_the_batches_that_would_have_come(shards):
    data = ShardDataset([shards])

    def take(first, count):
        source = batches(data, seed=5, first_step=first, count=2, size_px=64)
        found = [next(source)[0] for _ in range(count)]
        source.close()
        return found

    assert torch.equal(take(0, 3)[2], take(2, 1)[0])


def test_an_error_on_the_thread_reaches_the_caller(shards, monkeypatch):
    data = ShardDataset([shards])

    def fail():
        raise DataError("gone")

    monkeypatch.setattr(data, "rescan", fail)
    source = batches(data, seed=5, first_step=0, count=2, size_px=64)
    with pytest.raises(DataError, match="gone"):
        next(source)


class _TurnAndMirror(_Zoom):
    """Random numbers that zoom, turn by a fifth of a radian and mirror, but do not shift."""

    def __init__(self):
        self._given = iter([np.log(1.2), 0.2, np.zeros(2)])

    def normal(self, _mean, _sigma, size=None):
        return next(self._given)

    def random(self):
        return 0.0


@pytest.mark.parametrize("rng", [None, _TurnAndMirror()])
def test_relief_and_rotation_are_along_the_ray_through_the_middle(rng):
    focal, cx, cy = 90.0, 70.0, 15.0  # cut far from the picture's middle
    ray = np.array([(SIZE - 1) / 2 - cx, (SIZE - 1) / 2 - cy]) / focal
    sample = ellipsoid(np.random.default_rng(2))
    sample["intrinsics"] = np.array([focal, focal, cx, cy], np.float32)
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE - 0.5
    # A face that looks along the ray, flat: along the axis it leans, along the ray it does not.
    lean = ray / (1 + ray @ ray)
    sample["relief"] = (lean[0] * x + lean[1] * y).astype(np.float32)
    d = np.array([*ray, 1.0]) / np.sqrt(1 + ray @ ray)
    across = np.cross([0.0, 1.0, 0.0], d)
    across /= np.linalg.norm(across)
    sample["R_camera_face"] = np.stack([across, np.cross(d, across), d], axis=1)
    made = _sample(sample, SIZE, rng)
    relief, inside, rotation = made[1], made[2], made[7]
    assert inside.mean() > 0.8
    inside[:2] = inside[-2:] = inside[:, :2] = inside[:, -2:] = False  # smoothed at the border
    assert np.abs(relief[inside]).max() < 2e-3
    np.testing.assert_allclose(rotation[:, 2], [0, 0, 1], atol=1e-6)
