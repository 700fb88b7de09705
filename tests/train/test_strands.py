"""What stands in the depth to be learnt where lashes and thin hair are drawn."""

import numpy as np
import pytest

from rtrecon.train.heads.raster import GeometryBuffer
from rtrecon.train.heads.regions import Material
from rtrecon.train.heads.strands import calm_strands, without_lashes


def _buffer(material):
    shape = material.shape
    return GeometryBuffer(
        np.zeros((*shape, 3), np.float32),
        np.ones(shape, np.float32),
        np.zeros((*shape, 2), np.float32),
        material.astype(np.uint8),
        np.zeros((*shape, 8), np.float32),
    )


@pytest.fixture
def slope():
    return np.tile(np.linspace(0, 0.2, 48, dtype=np.float32), (48, 1))


def test_lashes_are_as_deep_as_the_eye_behind_them(slope):
    material = np.full((48, 48), Material.SKIN)
    material[20:26] = Material.EYE
    material[23:25, 10:30] = Material.LASH
    drawn = slope.copy()
    drawn[material == Material.LASH] += 0.05
    found = without_lashes(drawn, _buffer(material))
    np.testing.assert_allclose(found, slope, atol=3e-3)
    np.testing.assert_array_equal(
        found[material != Material.LASH], slope[material != Material.LASH]
    )


def test_single_strands_go_and_a_lock_stays(slope):
    material = np.full((48, 48), Material.SKIN)
    drawn = slope.copy()
    for rows, columns in ((slice(0, 48), slice(12, 13)), (slice(0, 48), slice(24, 36))):
        material[rows, columns] = Material.HAIR
        drawn[rows, columns] += 0.06
    found = calm_strands(drawn, np.ones((48, 48), bool), _buffer(material))
    np.testing.assert_allclose(found[10:38, 12], slope[10:38, 12], atol=0.01)
    np.testing.assert_allclose(found[10:38, 29], drawn[10:38, 29], atol=0.01)
