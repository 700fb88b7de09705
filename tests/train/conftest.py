"""Fixtures of the training tests."""

from pathlib import Path

import pytest

from tests.train.shards import write_shards


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Folder with a held-out shard and one to train on."""
    return write_shards(tmp_path_factory.mktemp("heads"))


@pytest.fixture
def one_thread():
    """PyTorch on one thread, for sums in one order."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def face_model_path():
    """The face model beside the checkout; it is not in the repository."""
    path = Path(__file__).parents[3] / "shared/data/ict_facekit/ict_facekit_light.npz"
    if not path.is_file():
        pytest.skip(f"no face model at {path}")
    return path
