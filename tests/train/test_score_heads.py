"""Figures beside the depth on held-out shards."""

import numpy as np
from score_heads import facing, look, score

from rtrecon.depth.model import DepthPrediction
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from tests.depth.models import write_model


class Knowing:
    """Answers with the truth of one sample, in the crop as it is given."""

    size_px = 96

    def __init__(self, row):
        self.row = row

    def predict(self, image, crops):
        n = len(image)
        fx, fy, cx, cy = self.row["intrinsics"]
        ray = np.array([((n - 1) / 2 - cx) / fx, ((n - 1) / 2 - cy) / fy])
        return [
            DepthPrediction(
                np.zeros((96, 96), np.float32),
                None,
                "relief",
                expression=np.asarray(self.row["expression"]),
                landmarks68=((self.row["landmarks68_px"] + 0.5) / n).astype(np.float32),
                rotation=(facing(ray) @ self.row["R_camera_face"]).astype(np.float32),
                expression_names=ARKIT_NAMES,
            )
            for _ in crops
        ]


def test_who_knows_makes_no_error(shards):
    row = ShardDataset([shards], held_out=True)[0]
    truth, said = look(Knowing(row), row)
    assert said.expression == truth.expression
    np.testing.assert_allclose(said.R_camera_face, truth.R_camera_face, atol=1e-6)
    np.testing.assert_allclose(said.landmarks68_px, truth.landmarks68_px, atol=1e-3)
    assert said.crop.M_picture_crop[0, 0] == len(row["image"]) / 96


def test_a_ray_is_turned_into_the_axis():
    ray = np.array([0.3, -0.2])
    np.testing.assert_allclose(
        facing(ray) @ [*ray, 1.0], [0, 0, np.linalg.norm([*ray, 1.0])], atol=1e-12
    )


def test_a_model_folder_is_scored(shards, tmp_path):
    folder = write_model(
        tmp_path / "grey",
        batch=1,
        extras={"expression": (51,), "landmarks": (68, 2), "rotation": (3, 3)},
        manifest={"expression_names": list(ARKIT_NAMES)},
    )
    data = ShardDataset([shards], held_out=True)
    report = score(str(folder), None, data, np.arange(len(data)))
    assert report.face is not None
    assert len(report.face.coefficients) == 51
    assert report.overall()["landmarks_percent"] > 0
    assert "distance_spread_percent" not in report.overall()
