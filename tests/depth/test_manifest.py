"""Manifests that are wrong say where."""

from __future__ import annotations

import json

import pytest

from rtrecon.depth.manifest import Manifest
from rtrecon.errors import ModelError

GOOD = {
    "name": "m",
    "kind": "relief",
    "input": {"name": "image", "size": [192, 192]},
    "outputs": {"relief": "relief"},
}


def load(folder, **changes):
    (folder / "model.json").write_text(json.dumps({**GOOD, **changes}), encoding="utf-8")
    return Manifest.load(folder)


def test_defaults(tmp_path) -> None:
    manifest = load(tmp_path)
    assert manifest.input.size_px == 192
    assert manifest.input.color == "RGB"
    assert manifest.mask is None
    assert manifest.landmarks is manifest.rotation is None
    assert manifest.expression_names == ()
    assert not manifest.along_ray
    assert load(tmp_path, relief_along="ray").along_ray
    assert (manifest.crop.kind, manifest.crop.side) == ("landmarks", 3.8)
    assert manifest.files["fp32"].path == tmp_path / "model.onnx"
    assert manifest.precision_for("cuda") == "fp32"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "voxels"}, '"kind" must be one of relief, inverse, metric'),
        ({"kind": None}, '"kind"'),
        ({"outputs": {}}, '"outputs" must name'),
        ({"relief_along": "nose"}, '"relief_along" must be axis or ray'),
        (
            {"relief_along": "ray", "kind": "metric", "outputs": {"metric": "m"}},
            '"relief_along" is of a relief',
        ),
        ({"outputs": {"relief": 3}}, '"outputs" has an entry'),
        ({"outputs": []}, '"outputs" must be an object'),
        ({"expression_names": "jawOpen"}, '"expression_names" must be names'),
        ({"expression_names": ["jawOpen", 3]}, '"expression_names" must be names'),
        ({"expression_names": ["jawOpen", "jawOpen"]}, "each once"),
        ({"input": {"size": [192, 128]}}, "two equal"),
        ({"input": {"size": "192"}}, "two equal"),
        ({"input": {"size": [4, 4]}}, "two equal"),
        ({"input": {"size": [192, 192], "layout": "NHWC"}}, "NCHW"),
        ({"input": {"size": [192, 192], "color": "GRAY"}}, "RGB or BGR"),
        ({"input": {"size": [192, 192], "std": [1, 0, 1]}}, "above zero"),
        ({"input": {"size": [192, 192], "mean": [1]}}, "3 numbers"),
        ({"input": {"size": [192, 192], "range": [1, 0]}}, "must rise"),
        ({"crop": {"kind": "circle", "side": 2}}, '"crop.kind"'),
        ({"crop": {"kind": "box", "side": "wide"}}, '"crop.side"'),
        ({"crop": {"kind": "box", "side": 99}}, '"crop.side"'),
        ({"sha256": "abc"}, "hexadecimal"),
        ({"files": {"fp32": {"file": "../model.onnx"}}}, "own folder"),
        ({"files": {"fp32": "model.onnx"}}, '"files.fp32"'),
        ({"unit": "inch"}, '"unit"'),
    ],
)
def test_wrong_field(tmp_path, changes, says) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path, **changes)
    assert says in str(caught.value)
    assert "model.json" in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [("{", "not JSON"), ("[1]", "JSON object")])
def test_not_a_manifest(tmp_path, text, says) -> None:
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=says):
        Manifest.load(tmp_path)


def test_no_manifest(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"cannot read .*model\.json"):
        Manifest.load(tmp_path / "nothing")
