"""Loading and running depth models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtrecon.depth import store
from rtrecon.depth.model import load_depth_model
from rtrecon.errors import DataError, ModelError
from rtrecon.faces.align import Crop
from tests.depth.models import SIZE, write_model

SEED = Path(__file__).parents[3] / "shared/data/seed_model"


def crop_at(x: float, y: float, side: float = SIZE) -> Crop:
    scale = side / SIZE
    return Crop(np.array([[scale, 0.0, x], [0.0, scale, y]]), SIZE, side)


def picture() -> np.ndarray:
    image = np.zeros((80, 120, 3), dtype=np.uint8)
    image[:, :60] = (10, 200, 90)  # blue, green, red
    image[:, 60:] = (250, 20, 40)
    return image


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("half", [False, True])
def test_predict(tmp_path, batch, half) -> None:
    folder = write_model(tmp_path / "tiny", batch=batch, half=half, expression=True)
    model = load_depth_model(folder, provider="cpu", threads=1)
    assert (model.name, model.kind, model.size_px) == ("tiny", "relief", SIZE)
    assert (model.provider, model.threads, model.precision) == ("cpu", 1, "fp32")
    assert (model.crop_spec.kind, model.crop_spec.side) == ("landmarks", 3.8)
    left, right, left_again = model.predict(
        picture(), [crop_at(10, 20), crop_at(80, 20), crop_at(12, 25)]
    )
    tolerance = 2e-3 if half else 1e-6
    np.testing.assert_allclose(left.value, (90 - 10) / 255, atol=tolerance)
    np.testing.assert_allclose(right.value, (40 - 250) / 255, atol=tolerance)
    np.testing.assert_array_equal(left_again.value, left.value)
    assert left.value.shape == (SIZE, SIZE)
    assert left.value.dtype == np.float32
    assert left.mask_logit is not None
    np.testing.assert_allclose(left.mask_logit, 200 / 255 - 0.5, atol=tolerance)
    assert left.expression is not None
    np.testing.assert_allclose(left.expression, np.array([90, 200, 10]) / 255, atol=tolerance)
    assert left.crop_bgr is not None
    np.testing.assert_array_equal(left.crop_bgr, picture()[20 : 20 + SIZE, 10 : 10 + SIZE])


def test_a_dark_crop_is_brightened_for_the_network_alone(tmp_path) -> None:
    model = load_depth_model(write_model(tmp_path / "tiny"), provider="cpu", threads=1)
    dark = (picture() // 10)[:, :60]
    prediction = model.predict(dark, [crop_at(10, 20)])[0]
    assert prediction.crop_bgr is not None
    np.testing.assert_array_equal(prediction.crop_bgr[0, 0], (1, 20, 9))
    np.testing.assert_allclose(prediction.value, (9 - 1) * 8 / 255, atol=1e-6)


def test_landmarks_rotation_and_named_coefficients(tmp_path) -> None:
    shapes = {"expression": (2,), "landmarks": (68, 2), "rotation": (3, 3)}
    folder = write_model(
        tmp_path / "tiny", batch=1, extras=shapes, manifest={"expression_names": ["jaw", "brow"]}
    )
    model = load_depth_model(folder)
    first, second = model.predict(picture(), [crop_at(10, 20), crop_at(80, 20)])
    assert model.expression_names == first.expression_names == ("jaw", "brow")
    for array, due in zip(
        (first.expression, first.landmarks68, first.rotation), shapes.values(), strict=True
    ):
        assert array is not None
        assert array.shape == due
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, (10 + 200 + 90) / 3 / 255, rtol=1e-5)
    assert second.rotation is not None
    np.testing.assert_allclose(second.rotation, (250 + 20 + 40) / 3 / 255, rtol=1e-5)


def test_without_extras(tmp_path) -> None:
    prediction = load_depth_model(write_model(tmp_path / "a")).predict(picture(), [crop_at(1, 1)])[
        0
    ]
    assert prediction.expression is prediction.landmarks68 is prediction.rotation is None
    assert prediction.expression_names == ()
    folder = write_model(tmp_path / "b", expression=True)
    assert load_depth_model(folder).expression_names == ("0", "1", "2")
    model = load_depth_model(folder, extras=())
    assert model.predict(picture(), [crop_at(1, 1)])[0].expression is None
    assert model.expression_names == ()
    with pytest.raises(DataError, match="tongue"):
        load_depth_model(folder, extras=["tongue"])


@pytest.mark.parametrize(
    ("shapes", "manifest", "says"),
    [
        ({"landmarks": (5, 2)}, {}, r"\(5, 2\) for its landmarks where \(68, 2\)"),
        ({"landmarks": (2, 68)}, {}, r"\(2, 68\)"),
        ({"rotation": (6,)}, {}, r"\(6,\) for its rotation where \(3, 3\)"),
        ({"expression": (3,)}, {"expression_names": ["jaw"]}, "1 named coefficients"),
    ],
)
def test_extras_of_another_shape(tmp_path, shapes, manifest, says) -> None:
    folder = write_model(tmp_path / "tiny", batch=1, extras=shapes, manifest=manifest)
    with pytest.raises(ModelError, match=says):
        load_depth_model(folder)


def test_predictions_may_be_kept(tmp_path) -> None:
    model = load_depth_model(write_model(tmp_path / "tiny"))
    first = model.predict(picture(), [crop_at(10, 20)])[0]
    value, seen = first.value.copy(), first.crop_bgr.copy()
    model.predict(picture(), [crop_at(80, 20)])
    np.testing.assert_array_equal(first.value, value)
    np.testing.assert_array_equal(first.crop_bgr, seen)


def test_normalisation_and_colour_order(tmp_path) -> None:
    spec = {
        "name": "image",
        "size": [SIZE, SIZE],
        "color": "BGR",
        "range": [0, 255],
        "mean": [10.0, 0.0, 90.0],
        "std": [2.0, 1.0, 0.5],
    }
    model = load_depth_model(write_model(tmp_path / "tiny", manifest={"input": spec}))
    prediction = model.predict(picture(), [crop_at(80, 20)])[0]
    np.testing.assert_allclose(prediction.value, (250 - 10) / 2 - (40 - 90) / 0.5, rtol=1e-5)


def test_metric_unit(tmp_path) -> None:
    folder = write_model(tmp_path / "m", kind="metric", outputs=("depth",), manifest={"unit": "mm"})
    prediction = load_depth_model(folder).predict(picture(), [crop_at(10, 20)])[0]
    assert prediction.kind == "metric"
    assert prediction.mask_logit is None
    np.testing.assert_allclose(prediction.value, 1e-3 * (90 - 10) / 255, rtol=1e-5)


def test_no_faces(tmp_path) -> None:
    assert load_depth_model(write_model(tmp_path / "tiny")).predict(picture(), []) == []


def test_wrong_pictures_and_crops(tmp_path) -> None:
    model = load_depth_model(write_model(tmp_path / "tiny"))
    with pytest.raises(DataError, match="uint8"):
        model.predict(picture().astype(np.float32), [crop_at(0, 0)])
    with pytest.raises(DataError, match="32 px"):
        model.predict(picture(), [Crop(np.eye(2, 3), 64, 64.0)])


def test_wrong_hash(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny", manifest={"sha256": "0" * 64})
    with pytest.raises(ModelError, match=r"model\.onnx is damaged"):
        load_depth_model(folder)


def test_missing_and_broken_files(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny")
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match="cannot read model file"):
        load_depth_model(folder)
    folder = write_model(tmp_path / "other", manifest={"sha256": None})
    (folder / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot be run"):
        load_depth_model(folder)


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"outputs": {"relief": "depth"}}, "no output 'depth'"),
        ({"outputs": {"relief": "relief", "mask": "hair"}}, "no output 'hair'"),
        ({"input": {"name": "picture", "size": [SIZE, SIZE]}}, "'picture'"),
        ({"input": {"name": "image", "size": [64, 64]}}, "64, 64"),
    ],
)
def test_manifest_that_does_not_fit_its_graph(tmp_path, manifest, says) -> None:
    with pytest.raises(ModelError, match=says):
        load_depth_model(write_model(tmp_path / "tiny", manifest=manifest))


def test_lookup_by_name(tmp_path, monkeypatch) -> None:
    user, shipped = tmp_path / "user", tmp_path / "shipped"
    monkeypatch.setattr(store, "model_folders", lambda: [user, shipped])
    write_model(shipped / "a")
    write_model(shipped / "b")
    write_model(user / "b", manifest={"source": "mine"})
    (shipped / "detector").mkdir()
    (shipped / "detector/model.json").write_text('{"files": {}}', encoding="utf-8")
    assert store.list_models() == {"a": shipped / "a", "b": user / "b"}
    assert load_depth_model("b").manifest.source == "mine"
    with pytest.raises(ModelError, match=r"'c' \(installed: b, a\)"):
        load_depth_model("c")
    with pytest.raises(ModelError, match="not the folder of a model"):
        load_depth_model(tmp_path / "nothing")


def test_precisions(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny")
    sha256 = json.loads((folder / "model.json").read_text())["sha256"]
    files = {
        "fp32": {"file": "model.onnx", "sha256": sha256},
        "int8": {"file": "model.onnx", "sha256": sha256},
    }
    write_model(folder, manifest={"files": files, "best": {"cpu": "int8"}})
    assert load_depth_model(folder).precision == "int8"
    assert load_depth_model(folder, precision="fp32").precision == "fp32"
    with pytest.raises(ModelError, match="does not come in fp16, only in fp32, int8"):
        load_depth_model(folder, precision="fp16")


@pytest.mark.skipif(not SEED.is_dir(), reason="the development model is not here")
def test_first_form_of_the_manifest() -> None:
    model = load_depth_model(SEED, provider="cpu", threads=1)
    assert (model.crop_spec.kind, model.crop_spec.side) == ("box", 1.35)
    prediction = model.predict(
        np.full((300, 300, 3), 127, dtype=np.uint8),
        [Crop(np.array([[1.0, 0, 50], [0, 1.0, 50]]), 192, 192.0)],
    )[0]
    assert prediction.value.shape == (192, 192)
    assert prediction.mask_logit is not None
