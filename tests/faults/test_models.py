"""What was hashed is what is opened, of models and of everything that is shipped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtrecon import assets
from rtrecon.assets import ASSETS, read_asset
from rtrecon.depth.manifest import Manifest
from rtrecon.depth.model import DepthModel
from rtrecon.depth.onnx_file import find_reference, read_onnx
from rtrecon.depth.session import create_session
from rtrecon.depth.store import find_model
from rtrecon.errors import DataError, ModelError

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(dome_model: Path, tmp_path: Path) -> Path:
    """A model with a hash, of the test's own."""
    folder = tmp_path / "dome"
    shutil.copytree(dome_model, folder)
    give_hash(folder)
    return folder


def give_hash(folder: Path) -> None:
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    manifest["sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_weights_in_a_file_of_their_own_are_refused(model: Path) -> None:
    """The hash of the graph says nothing of them."""
    path = model / "model.onnx"
    whole = onnx.load(path)
    onnx.save(whole, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    give_hash(model)
    with pytest.raises(ModelError, match=r"the weights '\w+'.*does not cover.*onnx\.save"):
        DepthModel(Manifest.load(model), "cpu")
    with pytest.raises(ModelError, match="does not cover"):
        Manifest.load(model).files["fp32"].verify()
    with pytest.raises(ModelError, match="does not cover"):
        create_session(path, "cpu", threads=1, free_size=96)
    onnx.save(onnx.load(path), path)  # the remedy
    give_hash(model)
    DepthModel(Manifest.load(model), "cpu")


def external(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def graph_of(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    return helper.make_graph(nodes, "g", [], [])


def hidden_in_an_attribute() -> onnx.ModelProto:
    return helper.make_model(graph_of([helper.make_node("Constant", [], ["x"], value=external())]))


def hidden_in_a_branch() -> onnx.ModelProto:
    inner = graph_of([helper.make_node("Constant", [], ["x"], value=external())])
    node = helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner)
    return helper.make_model(graph_of([node]))


def hidden_in_a_sparse_tensor() -> onnx.ModelProto:
    graph = graph_of([])
    graph.sparse_initializer.add().values.CopyFrom(external())
    return helper.make_model(graph)


def hidden_in_a_function() -> onnx.ModelProto:
    made = helper.make_model(graph_of([]))
    function = made.functions.add(name="f", domain="d")
    function.node.append(helper.make_node("Constant", [], ["x"], value=external()))
    return made


def hidden_in_an_engine() -> onnx.ModelProto:
    node = helper.make_node("EPContext", [], ["x"], domain="com.microsoft", embed_mode=0)
    return helper.make_model(graph_of([node]))


@pytest.mark.parametrize(
    "make",
    [
        hidden_in_an_attribute,
        hidden_in_a_branch,
        hidden_in_a_sparse_tensor,
        hidden_in_a_function,
        hidden_in_an_engine,
    ],
)
def test_a_reference_is_found_wherever_it_hides(make: Callable[[], onnx.ModelProto]) -> None:
    assert find_reference(make().SerializeToString())


def test_weights_inside_are_no_reference() -> None:
    graph = graph_of([])
    graph.initializer.append(numpy_helper.from_array(np.ones((4, 4), np.float32), "w"))
    assert find_reference(helper.make_model(graph).SerializeToString()) is None


def test_a_file_that_is_swapped_after_its_hash_is_not_opened(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a session is opened with are the very bytes that were hashed."""
    real, opened = onnxruntime.InferenceSession, []

    def open_session(given: object, *rest: object, **more: object) -> object:
        (model / "model.onnx").write_bytes(b"swapped")
        opened.append(given)
        return real(given, *rest, **more)

    before = (model / "model.onnx").read_bytes()
    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    DepthModel(Manifest.load(model), "cpu")
    assert opened == [before]


def test_a_model_without_a_hash_is_said_once(
    dome_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(dome_model, folder)
    for _ in range(2):
        DepthModel(Manifest.load(folder), "cpu")
    assert caplog.text.count('has no "sha256"') == 1


def test_a_hash_in_capitals_is_the_same_hash(model: Path) -> None:
    manifest = json.loads((model / "model.json").read_text(encoding="utf-8"))
    manifest["sha256"] = manifest["sha256"].upper()
    (model / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    DepthModel(Manifest.load(model), "cpu")
    assert read_onnx(model / "model.onnx", manifest["sha256"])


@pytest.mark.parametrize("content", [b"", b"ORTM" * 8, b"\xff" * 4096, b"\x3a\xff\xff\xff\xff\x0f"])
def test_what_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be run"):
        create_session(path, "cpu", threads=1, free_size=96)


def test_what_is_no_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.mkdir()
    with pytest.raises(ModelError, match="not an ONNX file"):
        read_onnx(path)
    path.rmdir()
    if Path("/dev/zero").exists():
        path.symlink_to("/dev/zero")
        with pytest.raises(ModelError, match="not an ONNX file"):
            read_onnx(path)
    with pytest.raises(ModelError, match="cannot read model file"):
        read_onnx(tmp_path / "missing.onnx")


def test_messages_too_deep_in_each_other_are_refused(tmp_path: Path) -> None:
    inner = b""
    for _ in range(200):  # a node's attribute, whose graph has a node
        inner = field(6, field(1, field(5, inner)))
    with pytest.raises(ValueError, match="too deep"):
        find_reference(field(7, field(1, field(5, inner))))


def field(number: int, content: bytes) -> bytes:
    size, head = len(content), bytearray([number << 3 | 2])
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + content


def test_shipped_models_refer_to_nothing() -> None:
    manifest = Manifest.load(find_model("face-dpt"))
    assert all(file.sha256 for file in manifest.files.values())
    for file in manifest.files.values():
        file.verify()


@pytest.mark.parametrize("name", ASSETS)
def test_a_shipped_file_that_was_changed_is_not_used(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Cli
) -> None:
    for other in ASSETS:
        (tmp_path / other).write_bytes(read_asset(other))
    content = bytearray(read_asset(name))
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(assets, "_FOLDER", tmp_path)
    with pytest.raises(DataError, match=f"{name} is damaged or was replaced"):
        read_asset(name)
    code, _, err = run_cli("models", "verify")
    assert code == 2
    assert f"{name} is damaged" in err
    assert "Traceback" not in err
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="install rtrecon again"):
        read_asset(name)


def test_every_shipped_file_has_a_hash() -> None:
    there = {path.name for path in (Path(assets.__file__).parent / "data").iterdir()}
    assert there - {"README.md"} == set(ASSETS)
