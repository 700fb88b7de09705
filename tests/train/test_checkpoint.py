import pytest

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from rtrecon.errors import ModelError, OutputError
from rtrecon.train import checkpoint
from rtrecon.train.checkpoint import load_tensors, save_tensors


def test_there_and_back(tmp_path):
    tensors = {"a": torch.rand(3, 2), "n": torch.tensor(4)}
    save_tensors(tmp_path / "new" / "w.safetensors", tensors, {"step": 7})
    found, header = load_tensors(tmp_path / "new" / "w.safetensors")
    assert header == {"step": 7}
    assert all(torch.equal(found[k], tensors[k]) for k in tensors)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), "safetensors"])
def test_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch, error):
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"a": torch.ones(2)}, {"step": 1})
    if error == "safetensors":
        error = checkpoint.SafetensorError("I/O error: No space left on device (os error 28)")

    def full(tensors, part, metadata):
        part.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        save_tensors(path, {"a": torch.zeros(2)}, {"step": 2})
    assert load_tensors(path)[1] == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_missing_damaged_and_foreign_files(tmp_path):
    with pytest.raises(ModelError, match="cannot read"):
        load_tensors(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00")
    with pytest.raises(ModelError, match="cannot read"):
        load_tensors(tmp_path / "cut.safetensors")
    safetensors_torch.save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="not a checkpoint"):
        load_tensors(tmp_path / "other.safetensors")
