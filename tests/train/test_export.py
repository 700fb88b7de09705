import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from rtrecon.depth.manifest import Manifest
from rtrecon.errors import DataError, ModelError, RtreconError
from rtrecon.train import export
from rtrecon.train.checkpoint import load_tensors, save_tensors
from rtrecon.train.export import at_size, export_face_dpt
from rtrecon.train.network import FaceDpt
from tests.train.test_network import SMALL


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network whose batch norms have seen something, trained at 96 pixels."""
    torch.manual_seed(0)
    network = FaceDpt(SMALL)
    for _ in range(3):
        network(torch.rand(4, 3, 96, 96))
    torch.nn.init.normal_(network.coarse.weight, std=0.1)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    header = {"network": SMALL.as_dict(), "step": 3, "seed": 1, "size": 96}
    save_tensors(path, network.state_dict(), header)
    return path


def test_the_folder_is_a_model(weights, tmp_path):
    out = tmp_path / "model"
    out.mkdir()
    (out / "LICENSE").write_text("kept")
    export_face_dpt(weights, out)
    manifest = Manifest.load(out)
    assert manifest.kind == "relief"
    assert manifest.input.size_px == 96  # what it was trained at
    assert (manifest.crop.kind, manifest.crop.side) == ("landmarks", 3.8)
    for file in manifest.files.values():
        file.verify()
    assert load_tensors(out / "weights.safetensors")[1]["step"] == 3
    assert {p.name for p in tmp_path.iterdir()} == {"model"}
    assert (out / "LICENSE").read_text() == "kept"


def test_the_graph(weights, tmp_path):
    export_face_dpt(weights, tmp_path / "model", size_px=64)
    path = tmp_path / "model" / "model.onnx"
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "BatchNormalization" not in kinds
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((3, 3, 64, 64), dtype=np.float32)
    relief, mask, expression, landmarks, rotation = session.run(None, {"image": images})
    assert relief.shape == mask.shape == (3, 1, 64, 64)
    assert (expression.shape, landmarks.shape, rotation.shape) == (
        (3, 51),
        (3, 68, 2),
        (3, 3, 3),
    )
    network = export.load_network(weights).eval()
    with torch.no_grad():
        wanted = network(torch.from_numpy(images))
    half = relief.reshape(3, 32, 2, 32, 2).mean((2, 4))
    assert np.abs(half - wanted.relief[:, 0].numpy()).max() < 0.1 * np.ptp(half) + 1e-3
    np.testing.assert_allclose(expression, wanted.expression.numpy(), atol=1e-4)
    np.testing.assert_allclose(rotation, wanted.rotation.numpy(), atol=1e-4)


def test_what_differs_from_pytorch_is_not_written(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_parity", lambda *_: float("nan"))
    with pytest.raises(RtreconError, match="differs from PyTorch"):
        export_face_dpt(weights, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_position_embedding_is_resampled(weights):
    network = export.load_network(weights).eval()
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(at_size(network, 96)(image).relief, network(image).relief)
    with pytest.raises(ModelError, match="multiple of 32"):
        at_size(network, 100)


def test_the_card_has_measured_figures(weights, shards, tmp_path):
    export_face_dpt(weights, tmp_path / "model", shards, size_px=64)
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    (row,) = [line for line in card.splitlines() if line.startswith(("| 0 to", "| 15 to"))][:1]
    depth_mm, plane_mm = (float(cell.split()[0]) for cell in row.split("|")[3:5])
    assert depth_mm > 0
    assert plane_mm > 3


def test_int8_needs_samples(weights, tmp_path):
    with pytest.raises(DataError, match="--data"):
        export_face_dpt(weights, tmp_path / "model", int8=True)


@pytest.mark.slow
def test_int8(weights, shards, tmp_path):
    export_face_dpt(weights, tmp_path / "model", shards, size_px=64, int8=True)
    manifest = Manifest.load(tmp_path / "model")
    assert set(manifest.files) == {"fp32", "int8"}
    for file in manifest.files.values():
        file.verify()
    images = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    full, small = (
        ort.InferenceSession(file.path, providers=["CPUExecutionProvider"]).run(
            ["relief"], {"image": images}
        )[0]
        for file in manifest.files.values()
    )
    assert not np.array_equal(full, small)
    assert np.abs(full - small).mean() < 0.1 * full.std() + 1e-3
    nodes = onnx.load(manifest.files["int8"].path).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    stem = [node for node in nodes if node.op_type == "Conv" and "/stem" in node.name]
    assert len(stem) == 7
    assert all(made_by[node.input[0]] == "DequantizeLinear" for node in stem)
    # A ReLU that is not the end of a convolution's integers would be passes of its own.
    between = {node.name for node in nodes if node.op_type == "Relu" and "/stem" in node.name}
    assert {name.rsplit("/", 1)[1] for name in between} == {"Relu_1"}
