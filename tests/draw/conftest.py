from __future__ import annotations

import pytest

from rtrecon.geometry.reconstruction import FaceReconstruction
from tests.mesh.faces import make_face


@pytest.fixture
def face() -> FaceReconstruction:
    return make_face()
