"""PyTorch behind the same contract gives what the exported graph gives."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.depth.model import load_depth_model
from rtrecon.errors import ModelError
from rtrecon.faces.align import Crop
from rtrecon.models.export import export_model
from tests.depth.models import write_model


@pytest.mark.parametrize("family", ["dpt-vit", "depth-anything"])
def test_same_depth_as_the_graph(family, checkpoint, crops_folder, tmp_path) -> None:
    folder = export_model(
        checkpoint(family), tmp_path / "m", precisions=("fp32", "fp16"), pictures=crops_folder
    ).folder
    image = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    graph = load_depth_model(folder, "cpu", "fp32")
    crop = Crop(np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 5.0]]), graph.size_px, graph.size_px)
    reference = graph.predict(image, [crop])[0].value
    model = load_depth_model(folder, "torch", "fp32", threads=1)
    assert model.provider == "torch"
    first = model.predict(image, [crop])[0].value
    np.testing.assert_allclose(first, reference, atol=1e-3 * np.ptp(reference))
    half = load_depth_model(folder, "torch", "fp16").predict(image, [crop])[0].value
    assert 0.0 < np.abs(half - reference).mean() < 0.05 * np.ptp(reference)
    kept = first.copy()
    model.predict(image[::-1].copy(), [crop])
    np.testing.assert_array_equal(first, kept)


def test_model_without_a_checkpoint(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny")
    with pytest.raises(ModelError, match="names no checkpoint"):
        load_depth_model(folder, "torch")


def test_checkpoint_that_has_changed_is_refused(checkpoint, crops_folder, tmp_path) -> None:
    import shutil

    source = tmp_path / "checkpoint"
    shutil.copytree(checkpoint("depth-anything"), source)
    folder = export_model(source, tmp_path / "m", pictures=crops_folder).folder
    weights = source / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="another sha256"):
        load_depth_model(folder, "torch")
