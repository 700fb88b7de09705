import numpy as np
import pytest

from rtrecon.train.heads.backdrop import backdrop
from rtrecon.train.heads.shade import NoiseBank, environment


@pytest.fixture(scope="module")
def noise():
    return NoiseBank()


def test_rooms_are_light_of_every_kind(noise):
    rooms = [backdrop(np.random.default_rng(seed), noise, 64) for seed in range(60)]
    for room in rooms:
        assert room.shape == (64, 64, 3)
        assert room.dtype == np.float32
        assert np.isfinite(room).all()
        assert room.min() >= 0
    # Edges of things in some, bare walls and blur in others; dark and bright ones.
    edges = [np.abs(np.diff(room.mean(axis=2), axis=1)).max() / room.mean() for room in rooms]
    assert min(edges) < 0.3 < 1.0 < max(edges)
    levels = [room.mean() for room in rooms]
    assert max(levels) > 4 * min(levels)


def test_same_seed_same_room(noise):
    for seed in range(5):
        first, again = (backdrop(np.random.default_rng(seed), noise, 48) for _ in range(2))
        np.testing.assert_array_equal(first, again)


def test_light_of_the_surroundings_changes_slowly_with_direction():
    """Up to the second order of spherical harmonics: opposite and near normals tell the rest."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = np.stack([np.sin(turn), 0 * turn, -np.cos(turn)], axis=-1).astype(np.float32)[None]
    for seed in range(20):
        light, base = environment(np.random.default_rng(seed), ring)
        assert light.shape == ring.shape
        assert light.min() >= 0.02 - 1e-6
        assert (base > 0).all()
        if light.min() > 0.021:  # nothing was cut off
            spectrum = np.abs(np.fft.rfft(light[0], axis=0))
            assert spectrum[3:].max() < 1e-4 * spectrum[0].max()
