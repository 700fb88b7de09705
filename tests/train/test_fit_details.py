import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtrecon.errors import DataError
from rtrecon.train.augment import noise_bank, recolour
from rtrecon.train.checkpoint import load_tensors, save_tensors
from rtrecon.train.fit_details import FitDetailsConfig, fit_details
from rtrecon.train.loop import load_network
from rtrecon.train.network import FaceDpt
from tests.train.test_network import SMALL

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_tensors(path, FaceDpt(SMALL).state_dict(), {"network": SMALL.as_dict(), "size": 64})
    return path


def _config(shards, weights, out, **changes):
    values = {"steps": 12, "batch": 12, "every": 6, "validate": 8, "rate": 5e-3} | changes
    return FitDetailsConfig(data=[shards], init=weights, out=out, **values)


def test_details_learn_and_nothing_else_moves(shards, weights, tmp_path):
    fit_details(_config(shards, weights, tmp_path / "out"))
    rows = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [6, 12]
    assert rows[1]["loss"] < rows[0]["loss"]
    before, _ = load_tensors(weights)
    after, header = load_tensors(tmp_path / "out/weights.safetensors")
    assert header["details"] == 12
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved
    assert all(name.startswith("details.") for name in moved)
    load_network(tmp_path / "out/weights.safetensors")


def test_same_seed_same_weights(shards, weights, tmp_path):
    for name in ("one", "two"):
        fit_details(_config(shards, weights, tmp_path / name, steps=3))
    one, two = (load_tensors(tmp_path / n / "weights.safetensors")[0] for n in ("one", "two"))
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_details_that_were_trained_are_gone_on_from(shards, weights, tmp_path):
    fit_details(_config(shards, weights, tmp_path / "first", steps=6))
    again = tmp_path / "first/weights.safetensors"
    fit_details(_config(shards, again, tmp_path / "second", steps=1, rate=1e-9))
    one, two = (load_tensors(p)[0] for p in (again, tmp_path / "second/weights.safetensors"))
    key = "details.expression.weight"
    torch.testing.assert_close(one[key], two[key], atol=1e-5, rtol=0)


def test_no_data_yet(weights, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no complete shards"):
        fit_details(_config(tmp_path / "empty", weights, tmp_path / "out"))


def test_noise_and_colours_are_of_the_size_they_should_be():
    rng = np.random.default_rng(0)
    grey = np.full((64, 64, 3), 0.5, np.float32)
    spreads = [float((noise_bank(64).noisy(grey, rng) - grey).std()) for _ in range(200)]
    assert 0.008 < np.median(spreads) < 0.03
    assert max(spreads) < 0.05
    picture = np.full((8, 8, 3), 120, np.uint8)
    means = [recolour(picture, rng).mean() for _ in range(200)]
    assert 90 < np.median(means) < 150
    assert np.std(means) > 8
