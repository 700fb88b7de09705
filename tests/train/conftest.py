"""Fixtures of the training tests."""

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
