import json
import re

import numpy as np
import pytest

pytest.importorskip("moderngl")

from rtrecon.errors import DataError, OutputError, RtreconError
from rtrecon.train import dataset
from rtrecon.train.dataset import ShardDataset, generate_dataset
from rtrecon.train.heads.raster import Rasterizer


@pytest.fixture(scope="module")
def opengl():
    try:
        Rasterizer(16).close()
    except RtreconError as error:
        pytest.skip(str(error))


def _generate(out, face_model_path, heads=2):
    generate_dataset(
        out, face_model_path, 0, heads, workers=1, size_px=64, variants=2, heads_per_shard=1
    )


@pytest.mark.usefixtures("opengl")
def test_interrupted_generation_goes_on(face_model_path, tmp_path, monkeypatch):
    out = tmp_path / "heads"
    _generate(out, face_model_path, heads=1)
    first = out / "shard-00000000"
    before = {p.name: p.stat().st_mtime_ns for p in first.iterdir()}
    image = np.load(first / "image.npy")
    _generate(out, face_model_path, heads=2)
    assert {p.name: p.stat().st_mtime_ns for p in first.iterdir()} == before
    assert sorted(p.name for p in out.glob("shard-*")) == ["shard-00000000", "shard-00000001"]
    assert not list(out.glob(".*"))
    assert image.shape == (2, 64, 64, 3)
    assert np.load(out / "shard-00000001/seed.npy").tolist() == [1, 1]
    with pytest.raises(DataError, match="holds other data"):
        generate_dataset(out, face_model_path, 0, 1, workers=1, size_px=96, variants=2)


def test_missing_face_model_writes_nothing(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        generate_dataset(tmp_path / "out", tmp_path / "none.npz", 0, 1)
    assert not (tmp_path / "out").exists()


def test_reader_finds_shards_that_come_later(shards, tmp_path):
    data = ShardDataset([shards])
    held_out = ShardDataset([shards], held_out=True)
    assert len(data) == len(held_out) == 12
    assert data[0]["seed"] == 128
    assert data[11]["seed"] == 139
    assert held_out[0]["seed"] == 0
    assert data[0]["image"].dtype == np.uint8
    later = tmp_path / "heads"
    later.mkdir()
    growing = ShardDataset([later])
    assert len(growing) == 0
    (later / "shard-00000128").symlink_to(shards / "shard-00000128")
    growing.rescan()
    growing.rescan()
    assert len(growing) == 12


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "none"))):
        ShardDataset([tmp_path / "none"])


def test_damaged_shard_is_named(shards, tmp_path):
    bad = tmp_path / "shard-00000128"
    bad.mkdir()
    (bad / "image.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="shard-00000128 is damaged"):
        ShardDataset([tmp_path])


def test_damaged_manifest(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        dataset._check_manifest(tmp_path, {"version": 1})


def test_manifest_is_kept(tmp_path):
    dataset._check_manifest(tmp_path / "new", {"version": 1})
    assert json.loads((tmp_path / "new/dataset.json").read_text()) == {"version": 1}
    dataset._check_manifest(tmp_path / "new", {"version": 1})


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write into"):
        dataset._check_manifest(tmp_path / "file", {"version": 1})
