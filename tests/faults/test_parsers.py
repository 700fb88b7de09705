"""Whatever a file or an option holds, the outcome is a value or an error of ours."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtrecon.bench.report import read_report
from rtrecon.bench.results import FORMAT, VERSION
from rtrecon.capture.films import _shown
from rtrecon.config import parse_size
from rtrecon.depth.manifest import Manifest
from rtrecon.depth.onnx_file import find_reference
from rtrecon.depth.store import find_model, list_models
from rtrecon.errors import RtreconError
from rtrecon.evaluate.dataset import DepthDataset
from rtrecon.json_text import parse_json
from rtrecon.plugins import Spec
from rtrecon.shown import hide_secrets, plain, shown_address
from rtrecon.types import Intrinsics

HUGE = int("9" * 400)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1e308, -1e308, 5e-324, HUGE, math.nan, math.inf, True, "1", "1e999"]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=12))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def changed(whole: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """``whole`` with some of its fields, also inner ones, taken out or replaced by anything."""
    paths = [(key,) for key in whole] + [
        (key, inner) for key, value in whole.items() if isinstance(value, dict) for inner in value
    ]

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        data = json.loads(json.dumps(whole))
        for path in draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True)):
            place = data
            for key in path[:-1]:
                place = place.get(key, {})
            if not isinstance(place, dict):
                continue
            if draw(st.booleans()):
                place[path[-1]] = draw(values)
            else:
                place.pop(path[-1], None)
        return data

    return build()


def survives(read: Callable[[], object]) -> None:
    with contextlib.suppress(RtreconError):
        read()


def write(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")  # NaN and Infinity as Python writes them
    return path


@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"\xef\xbb\xbf{}")
@example("﻿{}".encode("utf-16"))
@example(b"\xff\xfe\x00")
@example(b"9" * 10_000)
@example(b"NaN")
def test_json(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_json(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_every_spelling(encoding: str) -> None:
    assert parse_json('{"fx": 500.5, "ü": [1]}'.encode(encoding)) == {"fx": 500.5, "ü": [1]}


CALIBRATION = {
    "fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480,
    "dist": [0.1, 0.0, 0.0, 0.0, 0.0], "model": "OPENCV",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500, 0, 320, 0, 500, 240, 0, 0, 1]},
}  # fmt: skip


@given(changed(CALIBRATION))
def test_calibrations(tmp_path: Path, data: dict[str, Any]) -> None:
    path = write(tmp_path / "camera.json", data)

    def read() -> None:
        loaded = Intrinsics.load(path)
        assert all(map(math.isfinite, (loaded.fx, loaded.fy, loaded.cx, loaded.cy, *loaded.dist)))
        loaded.scaled(1280, 960).matrix()

    survives(read)


@given(st.text(max_size=60) | st.binary(max_size=60))
@example("1 OPENCV 640 480 500 500 320 240 0 0 0 0\n")
@example("1 SIMPLE_PINHOLE " + "9" * 5000 + " 480 500 320 240\n")
@example("[" * 5000)
def test_calibrations_of_any_text(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "camera.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    survives(lambda: Intrinsics.load(path))


MANIFEST = {
    "name": "m", "kind": "relief", "relief_along": "ray", "unit": "m", "batch": 1,
    "input": {
        "name": "image", "size": [192, 192], "layout": "NCHW", "color": "RGB", "range": [0, 1],
        "mean": [0, 0, 0], "std": [1, 1, 1],
    },
    "outputs": {"relief": "r", "mask": "m", "expression": "e", "landmarks": "l"},
    "expression_names": ["jawOpen"], "crop": {"kind": "landmarks", "side": 3.8},
    "files": {"fp32": {"file": "model.onnx", "sha256": "0" * 64}},
    "best": {"cpu": "fp32"}, "origin": {"checkpoint": "a/b"}, "licence": "MIT", "source": "s",
}  # fmt: skip


@given(changed(MANIFEST))
def test_manifests(tmp_path: Path, data: dict[str, Any]) -> None:
    write(tmp_path / "model.json", data)

    def read() -> None:
        manifest = Manifest.load(tmp_path)
        spec = manifest.input
        scale = np.array((spec.range[1] - spec.range[0]) / 255.0) / np.array(spec.std)
        assert np.isfinite(scale).all()
        precision = manifest.precision_for("cpu")
        assert manifest.source_for(precision).path.is_relative_to(tmp_path)
        manifest.files[precision].verify()

    survives(read)


@given(values)
def test_a_damaged_manifest_does_not_hide_the_other_models(tmp_path: Path, data: object) -> None:
    write(tmp_path / "model.json", data)
    survives(lambda: Manifest.load(tmp_path))


@given(st.text(max_size=40))
@example("\0")
@example("a/" * 3000)
@example("~")
@example("\udcff")
def test_names_of_models(name: str) -> None:
    if name not in list_models():
        with pytest.raises(RtreconError):
            find_model(name)


DATASET = {
    "fx": 500.0, "fy": 500.0, "cx": 15.5, "cy": 15.5, "depth_unit_mm": 0.1, "fps": 30,
    "expression_names": ["jawOpen"],
}  # fmt: skip
LABELS = {
    "id": "a", "t_s": 0.0, "fx": 510.0, "fy": 510.0, "cx": 15.5, "cy": 15.5, "expression": [0.5],
    "R_camera_face": np.eye(3).tolist(), "landmarks68_px": np.zeros((68, 2)).tolist(),
    "person": "p",
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for kind, picture in (
        ("rgb", np.full((32, 32, 3), 90, np.uint8)),
        ("depth", np.full((32, 32), 5000, np.uint16)),
    ):
        (folder / kind).mkdir()
        cv2.imwrite(str(folder / kind / "a.png"), picture)
    return folder


@given(data=st.tuples(changed(DATASET), changed(LABELS)) | st.tuples(changed(DATASET), values))
def test_datasets_and_their_labels(dataset: Path, data: tuple[dict[str, Any], Any]) -> None:
    meta, labels = data
    write(dataset / "meta.json", {**meta, "frames": [labels]})

    def read() -> None:
        (sample,) = list(DepthDataset(dataset))
        assert math.isfinite(sample.t_s)
        assert np.isfinite(sample.depth_m[sample.scored]).all()
        camera = sample.intrinsics
        assert all(map(math.isfinite, (camera.fx, camera.fy, camera.cx, camera.cy)))

    survives(read)


@given(values)
def test_datasets_of_any_shape(dataset: Path, data: object) -> None:
    write(dataset / "meta.json", data)
    survives(lambda: list(DepthDataset(dataset)))


REPORT = {
    "format": FORMAT, "version": VERSION, "created_utc": "", "interrupted": False,
    "options": {}, "source": {}, "machine": {}, "common": "", "rows": [], "warnings": [],
}  # fmt: skip


@given(changed(REPORT) | values)
def test_reports_to_compare_with(tmp_path: Path, data: object) -> None:
    path = write(tmp_path / "bench.json", data)
    survives(lambda: read_report(path))


class Lamp:
    """An output's options, of every kind that an annotation may name."""

    def __init__(
        self,
        target: Path,
        *,
        rate_hz: float = 30.0,
        port: int | None = None,
        name: str = "",
        on: bool = True,
        colour: Literal["red", "green"] = "red",
    ) -> None:
        assert math.isfinite(rate_hz)
        self.said = (target, rate_hz, port, name, on, colour)


options = st.sampled_from(["rate_hz", "port", "name", "on", "colour", "x", "", "rate-hz"])
texts = st.one_of(st.text(max_size=10), numbers.map(str), st.just("9" * 5000), st.just("%00"))


@given(
    st.text(max_size=40)
    | st.builds(
        lambda target, pairs: f"lamp:{target}?" + "&".join(f"{k}={v}" for k, v in pairs),
        st.text(max_size=10),
        st.lists(st.tuples(options, texts), max_size=3),
    )
)
@example("lamp:x?rate_hz=nan")
@example("lamp:x?rate_hz=1e999")
@example("lamp:x?port=" + "9" * 5000)
@example("lamp:%00")
@example("lamp:a\0b")
@example("lamp:x?on=maybe&on=1")
def test_spellings_of_outputs(text: str) -> None:
    survives(lambda: Spec.parse(text).build(Lamp))


@given(st.text(max_size=20) | st.builds("{}x{}".format, numbers, numbers))
@example("²x³")
@example("１２８０x７２０")
@example("9" * 5000 + "x1")
def test_sizes(text: str) -> None:
    def read() -> None:
        size = parse_size(text)
        assert size is not None
        assert all(0 < side < 65536 for side in size)

    survives(read)


@given(st.text(max_size=60))
@example("rtsp://host:port/")
@example("rtsp://host:99999/")
@example("rtsp://host:-1/")
@example("rtsp://[::1/")
@example("http://[v1.x]:80/")
@example("rtsp://u:p@h:554/")
@example("http://\u2100.example/")
def test_addresses(text: str) -> None:
    hide_secrets(text)
    assert plain(plain(text)) == plain(text)
    assert "@" not in shown_address("rtsp://" + text).partition("/")[0]
    for address in (text, "rtsp://" + text):
        survives(lambda address=address: _shown(address))  # type: ignore[misc]


@given(st.binary(max_size=300))
@example(b"\x80" * 40)
def test_onnx(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        find_reference(data)
