import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from rtrecon.errors import DataError, ModelError
from rtrecon.train import loop
from rtrecon.train.checkpoint import load_tensors, save_tensors
from rtrecon.train.loop import FitConfig, fit, load_network
from rtrecon.train.network import FaceDpt
from tests.train.test_network import SMALL

pytestmark = pytest.mark.usefixtures("one_thread", "small_network")


@pytest.fixture
def small_network(monkeypatch):
    """Train a small network in place of the shipped one."""
    monkeypatch.setattr(loop, "_network_config", lambda _name: SMALL)


def _config(shards, out, **changes):
    values = {
        "data": [shards],
        "out": out,
        "steps": 6,
        "batch": 4,
        "size": 64,
        "every": 3,
        "validate": 4,
        "warmup": 2,
        "device": "cpu",
    }
    return FitConfig(**{**values, **changes})


class Killed(BaseException):
    """What ends a process without asking."""


def test_a_killed_training_ends_at_the_same_weights(shards, tmp_path, monkeypatch):
    fit(_config(shards, tmp_path / "whole"))
    step = loop._Run.train_step

    def killed_at_five(self, images, targets):
        if self.step == 4:
            raise Killed
        return step(self, images, targets)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "train_step", killed_at_five)
        with pytest.raises(Killed):
            fit(_config(shards, tmp_path / "parts"))
    assert load_tensors(tmp_path / "parts" / "checkpoint.safetensors")[1]["step"] == 3
    fit(_config(shards, tmp_path / "parts"))
    whole, parts = (
        load_tensors(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts")
    )
    assert whole[1] == parts[1]
    assert whole[0].keys() == parts[0].keys()
    different = [k for k in whole[0] if not torch.equal(whole[0][k], parts[0][k])]
    assert different == []
    assert len((tmp_path / "parts" / "log.jsonl").read_text().splitlines()) == 2


def test_learns_and_says_so(shards, tmp_path):
    fit(_config(shards, tmp_path, steps=60, every=20, rate=3e-3, batch=8))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert rows[-1]["mae_mm"] < 0.7 * rows[-1]["plane_mm"]
    for name in ("curves.png", "predictions.png", "weights.safetensors"):
        assert (tmp_path / name).stat().st_size > 1000


def test_a_longer_training_goes_on_and_another_begins_with_its_weights(shards, tmp_path):
    fit(_config(shards, tmp_path / "a", steps=3))
    fit(_config(shards, tmp_path / "a", steps=5))
    assert load_tensors(tmp_path / "a" / "weights.safetensors")[1]["step"] == 5
    init = tmp_path / "a" / "weights.safetensors"
    fit(_config(shards, tmp_path / "b", steps=1, every=1, rate=0.0, size=96, init=init))
    old, new = (load_network(tmp_path / n / "weights.safetensors") for n in ("a", "b"))
    assert torch.equal(old.position, new.position)
    assert load_tensors(tmp_path / "b" / "weights.safetensors")[1]["size"] == 96


def test_checkpoint_of_another_architecture(shards, tmp_path):
    other = FaceDpt(loop.NetworkConfig(size_px=64, width=64, depth=1, heads=2))
    header = {"network": other.config.as_dict(), "step": 1, "loss": 0.0, "seed": 1}
    save_tensors(tmp_path / "checkpoint.safetensors", {}, header)
    with pytest.raises(ModelError, match="choose another --out"):
        fit(_config(shards, tmp_path))
    save_tensors(tmp_path / "w.safetensors", other.state_dict(), {"network": SMALL.as_dict()})
    with pytest.raises(ModelError, match="another architecture"):
        load_network(tmp_path / "w.safetensors")


def test_no_data_yet(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no complete shards"):
        fit(_config(tmp_path / "empty", tmp_path / "out"))
