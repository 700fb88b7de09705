"""A small dataset: frames of the bundled clip with an invented but consistent depth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

CLIP = Path(__file__).parents[2] / "rtrecon" / "data" / "demo.mp4"


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "heads"
    for kind in ("rgb", "depth", "face"):
        (folder / kind).mkdir(parents=True)
    capture = cv2.VideoCapture(str(CLIP))
    y, x = np.mgrid[0:480, 0:640]
    radius2 = ((x - 300) / 90) ** 2 + ((y - 225) / 110) ** 2
    depth_mm = 550 - 70 * np.sqrt(np.maximum(1 - radius2, 0))
    ids = []
    for number in range(3):
        done, image = capture.read()
        assert done
        if number == 2:
            image[:] = 90  # nobody
        name = f"{number:03d}"
        cv2.imwrite(str(folder / "rgb" / f"{name}.png"), image)
        cv2.imwrite(str(folder / "depth" / f"{name}.png"), (depth_mm * 10).astype(np.uint16))
        face = np.where(radius2 < 0.8, 255, 0).astype(np.uint8)
        cv2.imwrite(str(folder / "face" / f"{name}.png"), face)
        ids.append({"id": name})
    capture.release()
    meta = {"fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5, "depth_unit_mm": 0.1, "frames": ids}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder
