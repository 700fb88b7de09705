"""Each family goes from a checkpoint to a face's depth, and what is broken is refused."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from rtrecon.depth.checkpoint import load_checkpoint
from rtrecon.depth.model import load_depth_model
from rtrecon.errors import ModelError, OutputError
from rtrecon.faces.align import Crop
from rtrecon.models.export import export_model
from tests.models.checkpoints import FAMILIES, save_checkpoint

torch = pytest.importorskip("torch")


@pytest.fixture(scope="session")
def exported(checkpoint, crops_folder, tmp_path_factory):
    """A function from a family to the result of its export."""
    made = {}

    def make(family: str):
        precisions = ("fp32", "fp16", "int8") if family == "dpt-vit" else ("fp32", "fp16")
        if family not in made:
            out = tmp_path_factory.mktemp("exported") / family
            made[family] = export_model(
                checkpoint(family),
                out,
                precisions=precisions,
                pictures=crops_folder,
            )
        return made[family]

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_family_to_depth(family, exported, checkpoint, crops_folder) -> None:
    import cv2

    result = exported(family)
    assert {"fp32", "fp16"} <= set(result.parity)
    assert result.parity["fp32"].spread > 1.0, "depth must vary, or parity says nothing"
    # One crop, through the same door as a run, against PyTorch on the same pixels.
    model = load_depth_model(result.folder, "cpu", "fp32", threads=1)
    assert model.kind == "inverse"
    size = model.size_px
    image = cv2.imread(str(next(crops_folder.glob("*.png"))))
    crop = Crop(np.array([[2.0, 0.0, 60.0], [0.0, 2.0, 40.0]]), size, 2.0 * size)
    prediction = model.predict(image, [crop])[0]
    loaded = load_checkpoint(checkpoint(family))
    rgb = crop.warp(image)[:, :, ::-1].astype(np.float32) / 255.0
    rgb = (rgb - np.array(loaded.mean, np.float32)) / np.array(loaded.std, np.float32)
    with torch.inference_mode():
        expected = loaded.module(torch.from_numpy(rgb.transpose(2, 0, 1)[None].copy())).numpy()[0]
    assert prediction.value.shape == (size, size)
    np.testing.assert_allclose(prediction.value, expected, atol=2e-3 * result.parity["fp32"].spread)


def test_manifest(exported) -> None:
    result = exported("depth-anything")
    data = json.loads((result.folder / "model.json").read_text())
    assert data["kind"] == "inverse"
    assert data["outputs"] == {"inverse": "inverse"}
    assert data["crop"] == {"kind": "landmarks", "side": 3.8}
    assert data["input"]["size"] == [70, 70]
    assert data["input"]["mean"] == [0.485, 0.456, 0.406]
    assert data["licence"] == "mit"
    assert set(data["files"]) == {"fp32", "fp16"}
    assert data["parity"]["fp16"]["max_abs"] > data["parity"]["fp32"]["max_abs"]
    assert str(result.folder) not in json.dumps({k: v for k, v in data.items() if k != "origin"})


def test_graph_is_folded_and_fixed(exported) -> None:
    import onnx

    graph = onnx.load(exported("dpt-vit").folder / "fp32.onnx")
    operators = {node.op_type for node in graph.graph.node}
    assert not operators & {"Shape", "Constant", "Identity", "If", "Loop"}
    assert {opset.domain for opset in graph.opset_import} == {""}
    for value in (*graph.graph.input, *graph.graph.output):
        assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim)


def test_int8_is_per_channel_and_leaves_norms(exported) -> None:
    import onnx

    graph = onnx.load(exported("dpt-vit").folder / "int8.onnx").graph
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    dequantised = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    assert any(sizes.get(node.input[1], 1) > 1 for node in dequantised)
    made_int8 = {output for node in dequantised for output in node.output}
    for node in graph.node:
        if node.op_type == "LayerNormalization":
            assert node.input[1] not in made_int8


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES[1:])
def test_int8_of_the_other_families(family, checkpoint, crops_folder, tmp_path) -> None:
    result = export_model(
        checkpoint(family), tmp_path / "m", precisions=("int8",), pictures=crops_folder
    )
    assert result.parity["int8"].passed
    assert load_depth_model(result.folder, "cpu").precision == "int8"


@pytest.mark.parametrize("family", ["dpt-vit", "dpt-hybrid", "dpt-swinv2"])
def test_other_size(family, checkpoint, crops_folder, tmp_path) -> None:
    result = export_model(checkpoint(family), tmp_path / "m", size_px=96, pictures=crops_folder)
    assert load_depth_model(result.folder, "cpu").size_px == 96


def test_batch_is_fixed_and_used(checkpoint, crops_folder, tmp_path) -> None:
    folder = export_model(
        checkpoint("depth-anything"), tmp_path / "m", batch=2, pictures=crops_folder
    ).folder
    model = load_depth_model(folder, "cpu")
    assert model.at_once == 2
    assert model.warmup(1) > 0.0
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    crops = [Crop(np.array([[1.0, 0, k], [0, 1.0, k]]), 70, 70.0) for k in (0, 20, 40)]
    together = model.predict(image, crops)
    alone = model.predict(image, crops[2:])[0]
    np.testing.assert_allclose(together[2].value, alone.value, rtol=1e-4, atol=1e-4)


def test_metric_checkpoint(crops_folder, tmp_path) -> None:
    folder = tmp_path / "metric"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_checkpoint("depth-anything", folder, depth_estimation_type="metric", max_depth=20)
    result = export_model(folder, tmp_path / "out", pictures=crops_folder)
    model = load_depth_model(result.folder, "cpu")
    assert model.kind == "metric"
    assert result.parity["fp32"].unit == "m"


def test_size_that_does_not_fit(checkpoint, crops_folder, tmp_path) -> None:
    with pytest.raises(ModelError, match="give --size 98 98"):
        export_model(checkpoint("depth-anything"), tmp_path / "m", size_px=100)
    assert not (tmp_path / "m").exists()


def test_large_activations_within_half_precision(checkpoint, crops_folder, tmp_path) -> None:
    """Activations forty times as large are still below 65504."""
    folder = _scaled(checkpoint("dpt-vit"), tmp_path / "big", factor=40.0)
    report = export_model(folder, tmp_path / "out", precisions=("fp16",), pictures=crops_folder)
    data = json.loads((report.folder / "model.json").read_text())
    assert report.parity["fp16"].passed
    assert sorted(data["files"]) == ["fp16"]


def test_precision_that_breaks_is_refused(checkpoint, crops_folder, tmp_path) -> None:
    """Activations beyond 65504: no careful try helps; the layers are named."""
    folder = _scaled(checkpoint("dpt-vit"), tmp_path / "huge", factor=1e6)
    with pytest.raises(ModelError, match="fp16 breaks this model") as caught:
        export_model(folder, tmp_path / "out", precisions=("fp32", "fp16"), pictures=crops_folder)
    message = str(caught.value)
    assert "the layers that did it: /model/" in message
    assert "normalisations and softmax in fp32" in message
    assert not (tmp_path / "out").exists()


def _scaled(source, folder, factor):
    """The same network with larger activations between its layers."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for file in source.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(source / "model.safetensors")
    name = next(k for k in weights if "patch_embeddings.projection.weight" in k)
    weights[name] = weights[name] * factor
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_pickled_weights_are_refused(checkpoint, tmp_path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    for file in checkpoint("dpt-vit").glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"not to be opened")
    with pytest.raises(ModelError, match=r"pickled weights .* never opened"):
        export_model(folder, tmp_path / "out")


def test_other_networks_and_folders_are_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        export_model(tmp_path, tmp_path / "out")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="'vit' checkpoint"):
        export_model(tmp_path, tmp_path / "out")


def test_unknown_id_offline(tmp_path) -> None:
    with pytest.raises(ModelError, match="give the folder of a checkpoint") as caught:
        export_model("nobody/nothing", tmp_path / "out", offline=True)
    assert caught.value.exit_code == 2
    assert "local cache" in str(caught.value)
    with pytest.raises(ModelError, match=r"there is no folder \./nothing"):
        export_model("./nothing", tmp_path / "out")


def test_a_folder_that_cannot_be_written(checkpoint, crops_folder, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        export_model(checkpoint("dpt-vit"), tmp_path / "file" / "m", pictures=crops_folder)


def test_what_is_there_is_kept(checkpoint, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a model"):
        export_model(checkpoint("dpt-vit"), out, force=True)
    (out / "model.json").write_text("{}")
    with pytest.raises(OutputError, match="--force"):
        export_model(checkpoint("dpt-vit"), out)
    assert (out / "precious.txt").read_text() == "mine"
