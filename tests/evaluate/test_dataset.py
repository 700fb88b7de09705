from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.evaluate.dataset import DepthDataset


def test_reads_metres_and_what_to_score(dataset_folder: Path) -> None:
    dataset = DepthDataset(dataset_folder)
    assert len(dataset) == 3
    sample = dataset[0]
    assert sample.image.shape == (480, 640, 3)
    assert sample.depth_m[225, 300] == pytest.approx(0.48, abs=1e-4)
    assert sample.scored[225, 300]
    assert not sample.scored[5, 5]
    assert sample.intrinsics.fx == 600
    assert [s.id for s in dataset] == ["000", "001", "002"]
    assert dataset[1].t_s == pytest.approx(1 / 30)


def test_zero_is_nothing_and_face_is_optional(dataset_folder: Path) -> None:
    path = dataset_folder / "depth" / "000.png"
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    depth[:, :320] = 0
    cv2.imwrite(str(path), depth)
    (dataset_folder / "face" / "000.png").unlink()
    sample = DepthDataset(dataset_folder)[0]
    assert np.isnan(sample.depth_m[:, :320]).all()
    assert not sample.scored[:, :320].any()
    assert sample.scored[:, 320:].all()


def test_a_frame_may_have_its_own_camera(dataset_folder: Path) -> None:
    meta = json.loads((dataset_folder / "meta.json").read_text())
    meta["frames"][1].update(fx=700, t_s=4.5)
    (dataset_folder / "meta.json").write_text(json.dumps(meta))
    sample = DepthDataset(dataset_folder)[1]
    assert (sample.intrinsics.fx, sample.intrinsics.fy, sample.t_s) == (700, 600, 4.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fx": None}, "not what it should be"),
        ({"depth_unit_mm": 0}, "above zero"),
        ({"frames": []}, "no frame"),
        ({"frames": [1, 2]}, "not what it should be"),
        ({"frames": [{"id": "gone"}]}, "missing"),
        ({"frames": [{"id": "a/../../b"}]}, "leads out of the folder"),
        ({"frames": [{"id": "/b"}]}, "leads out of the folder"),
    ],
)
def test_wrong_meta(dataset_folder: Path, change: dict[str, Any], message: str) -> None:
    meta = json.loads((dataset_folder / "meta.json").read_text())
    (dataset_folder / "meta.json").write_text(json.dumps({**meta, **change}))
    with pytest.raises(DataError, match=message):
        DepthDataset(dataset_folder)[0]


def test_binary_meta_is_not_printed(dataset_folder: Path) -> None:
    (dataset_folder / "meta.json").write_bytes(b"\x89PNG" + bytes(5000))
    with pytest.raises(DataError) as caught:
        DepthDataset(dataset_folder)
    assert len(str(caught.value)) < 400 + len(str(dataset_folder))


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"meta\.json"):
        DepthDataset(tmp_path)


def test_eight_bit_depth(dataset_folder: Path) -> None:
    cv2.imwrite(str(dataset_folder / "depth" / "000.png"), np.ones((480, 640), np.uint8))
    with pytest.raises(DataError, match="16 bit"):
        DepthDataset(dataset_folder)[0]


def test_sizes_that_differ(dataset_folder: Path) -> None:
    cv2.imwrite(str(dataset_folder / "depth" / "000.png"), np.ones((10, 10), np.uint16))
    with pytest.raises(DataError, match="differ in size"):
        DepthDataset(dataset_folder)[0]
