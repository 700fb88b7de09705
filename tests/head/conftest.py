from __future__ import annotations

import numpy as np
import pytest

from rtrecon.head.model import HeadModel, head_model
from rtrecon.head.rig import RiggedHead
from rtrecon.head.rigging import rig_head


@pytest.fixture(scope="session")
def model() -> HeadModel:
    return head_model()


@pytest.fixture(scope="session")
def person(model: HeadModel) -> np.ndarray:
    """A head at rest that is not the mean: narrower, with other eyes, 5 % larger."""
    rng = np.random.default_rng(4)
    return 1.05 * model.shape(rng.normal(0.0, 1.0, 40).astype(np.float32))


@pytest.fixture(scope="session")
def rigged(model: HeadModel, person: np.ndarray) -> RiggedHead:
    texture = np.zeros((64, 64, 3), dtype=np.uint8)
    texture[:, :32] = (200, 120, 40)
    return rig_head(model, person, texture, extras={"name": "Somebody"})
