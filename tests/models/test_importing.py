"""What optimum exported runs as it is, and is taken in; what does not fit is refused whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rtrecon.depth.exported import Exported, Given
from rtrecon.depth.manifest import Manifest
from rtrecon.depth.model import load_depth_model
from rtrecon.depth.onnx_signature import read_signature
from rtrecon.errors import ModelError, OutputError
from rtrecon.faces.align import Crop
from rtrecon.models.importing import import_model
from tests.models.optimum_like import export_like_optimum, half, quantised

torch = pytest.importorskip("torch")

# A Python that has optimum-onnx and the transformers that it wants, for the real thing.
OPTIMUM_PYTHON = "RTRECON_OPTIMUM_PYTHON"
WHOLE = Crop(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 64, 64.0)


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory):
    """A function from a family to the folder that optimum would have written; not to be changed."""
    made = {}

    def make(family: str) -> Path:
        if family not in made:
            folder = tmp_path_factory.mktemp("optimum") / f"tiny-{family}"
            made[family] = export_like_optimum(checkpoint(family), folder)
        return made[family]

    return make


@pytest.fixture(scope="session")
def repository_folder(exported, tmp_path_factory):
    """Laid out as those of onnx-community, with a half and a quantised variant."""
    folder = tmp_path_factory.mktemp("hub") / "tiny-repository"
    plain = exported("depth-anything")
    (folder / "onnx").mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "README.md"):
        shutil.copy(plain / name, folder / name)
    shutil.copy(plain / "model.onnx", folder / "onnx" / "model.onnx")
    half(plain / "model.onnx", folder / "onnx" / "model_fp16.onnx")
    quantised(plain / "model.onnx", folder / "onnx" / "model_quantized.onnx")
    return folder


def face_crop(crops_folder: Path, size: int) -> np.ndarray:
    image = cv2.imread(str(next(crops_folder.glob("*.png"))))
    return np.ascontiguousarray(image[60 : 60 + 3 * size : 3, 200 : 200 + 3 * size : 3])


@pytest.mark.parametrize("family", ["dpt-vit", "dpt-hybrid", "depth-anything"])
def test_a_folder_of_optimum_runs_as_it_is(family, exported, checkpoint, crops_folder) -> None:
    """From pixels to depth as transformers does it: its image processor, then its network."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    folder = exported(family)
    model = load_depth_model(folder, "cpu", threads=1)
    assert (model.kind, model.precision) == ("inverse", "fp32")
    size = model.size_px
    picture = face_crop(crops_folder, size)
    crop = Crop(WHOLE.M_picture_crop, size, float(size))
    found = model.predict(picture, [crop, crop])
    processor = AutoImageProcessor.from_pretrained(folder)
    due = processor(picture[:, :, ::-1].copy(), return_tensors="pt")
    with torch.inference_mode():
        network = AutoModelForDepthEstimation.from_pretrained(checkpoint(family))
        expected = network.eval()(**due).predicted_depth.numpy()[0]
    assert expected.shape == (size, size)
    spread = float(np.ptp(expected))
    for prediction in found:
        assert np.abs(prediction.value - expected).max() < 2e-3 * spread


@pytest.mark.parametrize("changes", [{}, {"do_rescale": False}, {"do_normalize": False}])
def test_pictures_are_prepared_as_transformers_does(
    changes, exported, crops_folder, tmp_path
) -> None:
    from transformers import AutoImageProcessor

    folder = tmp_path / "changed"
    shutil.copytree(exported("dpt-vit"), folder)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, **changes}))
    spec = Manifest.load(folder).input
    picture = face_crop(crops_folder, 64)
    rgb = picture[:, :, ::-1].astype(np.float64)
    low, high = spec.range
    ours = (rgb * (high - low) / 255 + low - np.array(spec.mean)) / np.array(spec.std)
    processor = AutoImageProcessor.from_pretrained(folder)
    theirs = processor(picture[:, :, ::-1].copy(), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(ours.transpose(2, 0, 1), theirs, atol=1e-4 * np.abs(theirs).max())


def test_a_folder_of_optimum_is_imported(exported, user_folder, run_cli) -> None:
    code, out, _ = run_cli("models", "import", exported("dpt-vit"), "--name", "mine")
    assert code == 0, out
    assert "--model mine" in out
    assert sorted(path.name for path in (user_folder / "mine").iterdir()) == [
        "fp32.onnx",
        "model.json",
    ]
    manifest = Manifest.load(user_folder / "mine")
    assert manifest.files["fp32"].sha256 is not None
    assert manifest.licence == "mit"
    assert load_depth_model("mine", "cpu").size_px == 64
    code, _, err = run_cli("models", "import", exported("dpt-vit"), "--name", "mine")
    assert code == 1
    assert "--force" in err
    assert run_cli("models", "import", exported("dpt-vit"), "--name", "mine", "--force")[0] == 0


def test_a_hub_repository_runs_and_its_variants_are_asked_for(
    repository_folder, tmp_path, crops_folder
) -> None:
    model = load_depth_model(repository_folder, "cpu", threads=1)
    assert model.precision == "fp32"
    crop = Crop(WHOLE.M_picture_crop, 70, 70.0)
    picture = face_crop(crops_folder, 70)
    value = model.predict(picture, [crop])[0].value
    for precision, share in (("fp16", 0.02), ("int8", 0.3)):
        other = load_depth_model(repository_folder, "cpu", precision, threads=1)
        off = np.abs(other.predict(picture, [crop])[0].value - value).max()
        assert 0.0 < off < share * np.ptp(value)
    result = import_model(repository_folder, tmp_path / "some", precisions=("fp16", "int8"))
    assert list(result.manifest["files"]) == ["fp16", "int8"]
    with pytest.raises(ModelError, match="does not come in bf16, only in fp32, fp16, int8"):
        import_model(repository_folder, tmp_path / "none", precisions=("bf16",))


def test_without_the_plain_graph_one_says_which(repository_folder, tmp_path) -> None:
    folder = tmp_path / "variants"
    shutil.copytree(repository_folder, folder)
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(ModelError, match="comes in fp16, int8: say which, with --precision"):
        import_model(folder, tmp_path / "out")
    result = import_model(folder, tmp_path / "out", precisions=("int8",))
    assert list(result.manifest["files"]) == ["int8"]


def test_a_hub_id_is_read_from_the_local_cache(repository_folder, tmp_path, monkeypatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    kept = tmp_path / "hub" / "models--onnx-community--tiny-depth"
    shutil.copytree(repository_folder, kept / "snapshots" / ("a" * 40))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("a" * 40)
    result = import_model("onnx-community/tiny-depth", tmp_path / "out", offline=True)
    assert result.name == "tiny-depth"
    assert result.manifest["source"] == "https://huggingface.co/onnx-community/tiny-depth"
    with pytest.raises(ModelError, match="as a hub id it cannot be fetched"):
        import_model("onnx-community/another", tmp_path / "other", offline=True)


def test_weights_in_a_second_file_are_put_into_one(exported, tmp_path) -> None:
    folder = tmp_path / "large"
    shutil.copytree(exported("dpt-vit"), folder)
    model = onnx.load(folder / "model.onnx")
    (folder / "model.onnx").unlink()
    onnx.save(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )
    with pytest.raises(ModelError, match=r"rtrecon models import .* puts all into one"):
        Manifest.load(folder)
    result = import_model(folder, tmp_path / "out")
    assert sorted(p.name for p in result.folder.iterdir()) == ["fp32.onnx", "model.json"]
    (folder / "model.onnx_data").unlink()
    with pytest.raises(ModelError, match="fetch the second file too"):
        import_model(folder, tmp_path / "other")


CONFIGS = [
    ({"model_type": "dpt"}, "", "inverse"),
    ({"model_type": "depth_anything"}, "", "inverse"),
    ({"model_type": "depth_anything", "depth_estimation_type": "metric"}, "", "metric"),
    ({"model_type": "depth_anything"}, "depth-anything-v2-metric-indoor-small", "metric"),
    ({"model_type": "dpt", "_name_or_path": "facebook/dpt-dinov2-small-nyu"}, "", "metric"),
    ({"model_type": "dpt", "_name_or_path": "facebook/dpt-dinov2-base-kitti"}, "", "metric"),
    ({"model_type": "depth_anything", "depth_estimation_type": "relative"}, "x-metric", "inverse"),
    ({"model_type": "zoedepth"}, "", "metric"),
    ({"model_type": "glpn"}, "", "metric"),
]


def tiny(
    folder: Path,
    config: dict | None = None,
    processor: dict | None = None,
    *,
    takes=("n", 3, "h", "w"),
    gives=(("predicted_depth", ("n", "h", "w")),),
    element: int = TensorProto.FLOAT,
    same: bool = False,
) -> Path:
    """A folder with a graph that gives the mean of the channels, whatever it is said to be."""
    folder.mkdir(parents=True)
    nodes = []
    for k, (name, _) in enumerate(gives):
        nodes += [
            helper.make_node("ReduceMean", ["pixel_values"], [f"m{k}"], axes=[1], keepdims=0),
            helper.make_node("Sub" if same else "Identity", [f"m{k}"] * (1 + same), [name]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixel_values", element, takes)],
        [helper.make_tensor_value_info(name, element, shape) for name, shape in gives],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    for name, data in (("config.json", config), ("preprocessor_config.json", processor)):
        if data is not None:
            (folder / name).write_text(json.dumps(data))
    return folder


SQUARE = {
    "size": {"height": 64, "width": 64},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


@pytest.mark.parametrize(("config", "name", "kind"), CONFIGS)
def test_the_kind_follows_from_family_and_name(config, name, kind, tmp_path) -> None:
    folder = tiny(tmp_path / (name or "model"), config, SQUARE)
    assert Manifest.load(folder).kind == kind


@pytest.mark.parametrize(
    ("processor", "config", "size"),
    [
        ({"size": {"height": 518, "width": 518}, "ensure_multiple_of": 14}, {}, 518),
        ({"size": {"height": 500, "width": 500}, "ensure_multiple_of": 14}, {}, 504),
        (
            {
                "size": {"height": 384, "width": 512},
                "keep_aspect_ratio": True,
                "ensure_multiple_of": 32,
            },
            {},
            512,
        ),
        ({"size": 384}, {"patch_size": 16}, 384),
        ({"size": {"shortest_edge": 256}}, {}, 256),
        ({"do_resize": False}, {"image_size": 128}, 128),
        ({}, {"backbone_config": {"image_size": 70, "patch_size": 14}}, 70),
    ],
)
def test_the_size_is_what_the_processor_makes_of_a_square(
    processor, config, size, tmp_path
) -> None:
    told = {"image_mean": [0, 0, 0], "image_std": [1, 1, 1], **processor}
    folder = tiny(tmp_path / "model", {"model_type": "dpt", **config}, told)
    assert Manifest.load(folder).input.size_px == size


def test_the_size_that_transformers_makes_of_a_large_square(tmp_path) -> None:
    from transformers import ZoeDepthImageProcessor

    processor = ZoeDepthImageProcessor(do_pad=False)
    processor.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    folder = tiny(tmp_path / "zoe", {"model_type": "zoedepth"}, settings)
    due = processor(np.zeros((900, 900, 3), np.uint8), return_tensors="np")["pixel_values"]
    assert due.shape[2:] == (Manifest.load(folder).input.size_px,) * 2


def test_glpn_asks_for_its_size_alone(tmp_path) -> None:
    processor = {"do_rescale": True, "do_resize": True, "size_divisor": 32}
    folder = tiny(tmp_path / "glpn", {"model_type": "glpn"}, processor)
    with pytest.raises(ModelError, match="give --size H W, equal"):
        Manifest.load(folder)
    result = import_model(folder, tmp_path / "out", given=Given(size_px=96))
    assert (result.manifest["kind"], result.manifest["input"]["std"]) == ("metric", [1, 1, 1])
    with pytest.raises(ModelError, match="multiple of 32, not 100: give --size 96 96"):
        import_model(folder, tmp_path / "out2", given=Given(size_px=100))


def test_a_graph_alone_asks_for_what_it_does_not_say(tmp_path, run_cli) -> None:
    graph = tiny(tmp_path / "lonely", takes=(1, 3, 64, 64)) / "model.onnx"
    out = tmp_path / "out"
    said = {
        (): "give --kind inverse",
        ("--kind", "metric"): "give --mean R G B and --std R G B",
        ("--kind", "metric", "--mean", "0", "0", "0", "--std", "1", "1", "0"): "--std must be",
    }
    for options, remedy in said.items():
        code, _, err = run_cli("models", "import", graph, "--out", out, *options)
        assert (code, remedy in err) == (2, True), err
        assert not out.exists()
    options = ("--kind", "metric", "--mean", "0.1", "0.2", "0.3", "--std", "1", "1", "1")
    code, _, err = run_cli("models", "import", graph, "--out", out, *options, "--color", "BGR")
    assert code == 0, err
    manifest = Manifest.load(out)
    assert manifest.input.size_px == 64
    assert (manifest.kind, manifest.input.color) == ("metric", "BGR")
    assert manifest.input.mean == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("graph", "remedy"),
    [
        ({"gives": (("depth", ("n", "h", "w")), ("confidence", ("n", "h", "w")))}, "--output NAME"),
        ({"gives": (("logits", ("n", 1000)),)}, "no map of depth"),
        ({"gives": (("classes", ("n", 150, "h", "w")),)}, "no map of depth"),
        ({"takes": ("n", "h", "w", 3)}, "channels first"),
        ({"takes": ("n", 3, 64, 96)}, "96x64, and a face is a square"),
        ({"takes": ("n", 10)}, r"not a picture \(n, 3, height, width\)"),
        ({"element": TensorProto.DOUBLE}, "export it as fp32"),
        ({"same": True}, "the same of a face and of a grey picture"),
    ],
)
def test_outputs_that_do_not_fit_are_refused_whole(graph, remedy, tmp_path) -> None:
    folder = tiny(tmp_path / "model", {"model_type": "dpt"}, SQUARE, **graph)
    with pytest.raises(ModelError, match=remedy):
        import_model(folder, tmp_path / "out" / "model")
    assert not list((tmp_path / "out").glob("*"))


def test_a_map_of_another_size_is_refused_whole(tmp_path) -> None:
    folder = tiny(tmp_path / "model", {"model_type": "dpt"}, SQUARE)
    model = onnx.load(folder / "model.onnx")
    model.graph.node[1].CopyFrom(
        helper.make_node("MaxPool", ["m0"], ["predicted_depth"], kernel_shape=[2], strides=[2])
    )
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ModelError, match=r"cannot be used as a depth model: .*shape"):
        import_model(folder, tmp_path / "out" / "model")
    assert not list((tmp_path / "out").glob("*"))


def test_the_wrong_way_round_is_said(tmp_path, caplog) -> None:
    folder = tiny(tmp_path / "model", {"model_type": "dpt"}, SQUARE)
    caplog.set_level("WARNING")
    said = {}
    for kind in ("inverse", "metric"):
        caplog.clear()
        import_model(folder, tmp_path / kind, given=Given(kind=kind))
        said[kind] = [r.message for r in caplog.records if "wrong way round" in r.message]
    # Brightness is no depth: on the clip's bright face it looks like one of the two at most.
    assert sum(map(len, said.values())) <= 1
    for kind, messages in said.items():
        assert all(
            f"if it is {'metric' if kind == 'inverse' else 'inverse'}" in m for m in messages
        )


def test_another_output_is_taken_when_named(tmp_path) -> None:
    two = (("depth", ("n", "h", "w")), ("confidence", ("n", "h", "w")))
    folder = tiny(tmp_path / "model", {"model_type": "dpt"}, SQUARE, gives=two)
    result = import_model(folder, tmp_path / "out", given=Given(output="depth"))
    assert result.manifest["outputs"] == {"inverse": "depth"}
    with pytest.raises(ModelError, match="has no output 'z': it gives depth"):
        import_model(folder, tmp_path / "none", given=Given(output="z"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": NaN}'])
def test_a_config_that_is_damaged_is_named(text, tmp_path) -> None:
    folder = tiny(tmp_path / "model", {}, SQUARE)
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        Manifest.load(folder)


@pytest.mark.parametrize("name", ["folder", "text.onnx", "cut.onnx", "there is none"])
def test_what_is_no_model_is_refused(name, exported, tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.onnx").write_text("hello")
    whole = (exported("dpt-vit") / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=name):
        import_model(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_something_else_is_left(exported, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(OutputError, match="not a model"):
        import_model(exported("dpt-vit"), tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_the_signature_is_that_of_the_onnx_package(exported, repository) -> None:
    for content in (
        (exported("dpt-vit") / "model.onnx").read_bytes(),
        (repository / "models/face-dpt/model.onnx").read_bytes(),
    ):
        graph = onnx.load_from_string(content).graph
        found = read_signature(content)
        for ports, values in ((found.inputs, graph.input), (found.outputs, graph.output)):
            assert [port.name for port in ports] == [value.name for value in values]
            for port, value in zip(ports, values, strict=True):
                axes = value.type.tensor_type.shape.dim
                assert port.shape == tuple(a.dim_param or a.dim_value for a in axes)


@pytest.mark.timeout(600)  # it imports much, in a process of its own
def test_optimum_itself_writes_what_is_tested_with(exported, checkpoint, tmp_path) -> None:
    """The real thing, where there is one; ours is laid out like it."""
    python = os.environ.get(OPTIMUM_PYTHON)
    if not python:
        pytest.skip(f"no {OPTIMUM_PYTHON}: a Python with optimum-onnx and its transformers")
    out = tmp_path / "real"
    command = [python, "-m", "optimum.commands.optimum_cli", "export", "onnx"]
    command += ["--model", str(checkpoint("dpt-vit")), "--task", "depth-estimation", str(out)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": ""})
    ours = exported("dpt-vit")
    assert {p.name for p in out.iterdir()} <= {p.name for p in ours.iterdir()}
    real, like = (read_signature((f / "model.onnx").read_bytes()) for f in (out, ours))
    assert real == like
    keys = [set(json.loads((f / "config.json").read_text())) for f in (out, ours)]
    assert {"model_type", "image_size", "patch_size"} <= keys[0] & keys[1]
    result = import_model(out, tmp_path / "imported")
    assert (
        result.manifest["input"]
        == Exported(ours).manifest({"fp32": (ours / "model.onnx").read_bytes()})["input"]
    )
