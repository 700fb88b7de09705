from __future__ import annotations

from pathlib import Path

import numpy as np

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh import save_npz
from rtrecon.types import Expression


def test_fields_are_the_fixed_ones(face: FaceReconstruction, tmp_path: Path) -> None:
    path = tmp_path / "face.npz"
    save_npz(face, path)
    with np.load(path, allow_pickle=False) as data:
        shapes = {name: (data[name].shape, data[name].dtype) for name in data.files}
        n, m = len(face.points_camera), len(data["triangles"])
        assert shapes == {
            "depth_m": ((96, 96), np.float32),
            "box_px": ((4,), np.float32),
            "landmarks_px": ((5, 2), np.float32),
            "score": ((), np.float32),
            "intrinsics": ((4,), np.float64),
            "T_camera_face": ((4, 4), np.float64),
            "points_camera": ((n, 3), np.float32),
            "colors": ((n, 3), np.uint8),
            "triangles": ((m, 3), np.int32),
        }
        assert data["triangles"].max() == n - 1
        valid = np.isfinite(data["depth_m"])
        assert valid.sum() == n
        np.testing.assert_allclose(data["depth_m"][valid], data["points_camera"][:, 2], atol=1e-5)
        np.testing.assert_allclose(data["intrinsics"], [240, 240, 47.5, 47.5])


def test_what_the_model_says_beside_the_depth(face: FaceReconstruction, tmp_path: Path) -> None:
    face.expression = Expression(["jawOpen", "smile"], [0.25, 0.5])
    face.landmarks68_px = np.full((68, 2), 40.5, dtype=np.float32)
    save_npz(face, tmp_path / "face.npz")
    with np.load(tmp_path / "face.npz", allow_pickle=False) as data:
        np.testing.assert_array_equal(data["expression"], np.float32([0.25, 0.5]))
        assert data["expression_names"].tolist() == ["jawOpen", "smile"]
        assert data["landmarks68_px"].dtype == np.float32
        np.testing.assert_array_equal(data["landmarks68_px"], face.landmarks68_px)
