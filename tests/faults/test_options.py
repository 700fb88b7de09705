"""A mistake in an option or argument is said in a line, with exit code 2 and no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtrecon
from rtrecon.depth.store import find_model
from rtrecon.errors import RtreconError

Cli = Callable[..., tuple[int, str, str]]

LONG = "9" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "demo", "--rate", "nan"),
        ("run", "demo", "--rate", "inf"),
        ("run", "demo", "--rate", "1e999"),
        ("run", "demo", "--stall-timeout", "nan"),
        ("run", "demo", "--stall-timeout", "inf"),
        ("run", "demo", "--stall-timeout", "1e300"),
        ("run", "demo", "--fov", "nan"),
        ("run", "demo", "--ipd-mm", "nan"),
        ("run", "demo", "--faces", "99999999999999999999"),
        ("run", "demo", "--faces", LONG),
        ("run", "demo", "--faces", "-1"),
        ("run", "demo", "--threads", "99999999999"),
        ("run", "demo", "--max-frames", "0"),
        ("run", "demo", "--max-frames", LONG),
        ("run", "demo", "--size", "²x³"),
        ("run", "demo", "--size", "１２８０x７２０"),
        ("run", "demo", "--size", f"{LONG}x1"),
        ("run", "demo", "--size", "99999x99999"),
        ("run", "demo", "--out", "record:x?rate_hz=nan"),
        ("run", "demo", "--out", "record:x?rate_hz=1e999"),
        ("run", "demo", "--out", f"record:x?rate_hz={LONG}"),
        ("run", "demo", "--out", "record:a%00b"),
        ("run", "demo", "--out", "record:a\0b"),
        ("run", "²", "--view", "none"),
        ("run", LONG, "--view", "none"),
        ("run", "99999999999999999999", "--view", "none"),
        ("run", "a\0b.mp4", "--view", "none"),
        ("run", "rtsp://127.0.0.1:port/", "--view", "none"),
        ("run", "rtsp://127.0.0.1:99999/", "--view", "none"),
        ("run", "http://[::1/", "--view", "none"),
        ("run", "demo", "--view", "none", "--model", "x" * 5000),
        ("run", "demo", "--view", "none", "--model", "./" + "x" * 5000),
        ("run", "demo", "--view", "none", "--intrinsics", "x" * 5000),
        ("image", "x.jpg", "--min-face-px", "99999999999999999999"),
        ("image", "x.jpg", "--decimate", "99999999999999999999"),
        ("image", "x" * 5000),
        ("bench", "demo", "--seconds", "nan"),
        ("bench", "demo", "--rate", "nan"),
        ("bench", "demo", "--sizes", "²x²"),
        ("eval", "x" * 5000),
        ("models", "export", "a/b", "--size", "99999999999999", "99999999999999"),
        ("models", "remove", "\x1b[31m"),
    ],
    ids=lambda arguments: " ".join(arguments)[:50].replace("\0", "NUL"),
)
def test_a_mistake_is_a_line_and_not_a_traceback(
    run_cli: Cli,
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dome_model: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = list(arguments)
    if given[0] == "run" and "--model" not in given:
        given += ["--model", str(dome_model)]
    code, _, err = run_cli(*given)
    assert code == 2, err
    assert "Traceback" not in err
    assert err.strip()
    assert len(err) < 12_000  # a long value is not said more than once
    assert list(tmp_path.iterdir()) == []


CALIBRATION = {"fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({**CALIBRATION, "fx": float("nan")}),
        json.dumps({**CALIBRATION, "cy": float("inf")}),
        json.dumps({**CALIBRATION, "dist": [float("nan")] * 5}),
        json.dumps({**CALIBRATION, "fx": "1e999"}),
        json.dumps({**CALIBRATION, "width": 10**400}),
        json.dumps({**CALIBRATION, "width": True}),
        '{"fx": 1e999, "fy": 1, "cx": 1, "cy": 1, "width": 2, "height": 2}',
        "[" * 100_000,
        '{"dist": ' + "[" * 900 + "]" * 900 + "}",
        '{"fx": ' + LONG + "}",
        "\0",
        "",
        "null",
    ],
    ids=lambda text: text[:30].replace("\0", "NUL"),
)
def test_a_calibration_that_cannot_be(run_cli: Cli, tmp_path: Path, text: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(text, encoding="utf-8")
    code, _, err = run_cli("run", "demo", "--view", "none", "--intrinsics", path)
    assert code == 2, err
    assert "camera.json" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_calibration_with_a_mark_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(CALIBRATION), encoding=encoding)
    assert rtrecon.Intrinsics.load(path).fx == 500.0


def test_a_file_that_never_ends_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dome_model: Path
) -> None:
    monkeypatch.setattr("rtrecon.json_text._LARGEST_BYTES", 1 << 16)
    (tmp_path / "model.json").write_bytes(b" " * (1 << 17))
    with pytest.raises(rtrecon.ModelError, match="more than"):
        rtrecon.Reconstructor(model=tmp_path)
    with pytest.raises(rtrecon.DataError, match="more than"):
        rtrecon.Intrinsics.load(
            "/dev/zero" if Path("/dev/zero").exists() else tmp_path / "model.json"
        )


@pytest.mark.parametrize(
    "options",
    [
        {"faces": 1.5},
        {"faces": "2"},
        {"faces": None},
        {"faces": 10**30},
        {"fov_deg": float("nan")},
        {"fov_deg": "60"},
        {"ipd_mm": None},
        {"ipd_mm": float("inf")},
        {"threads": 10**12},
        {"threads": 0},
        {"passes": float("nan")},
        {"min_face_px": "big"},
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_is_a_value_error(
    options: dict[str, Any], dome_model: Path
) -> None:
    with pytest.raises(ValueError, match=next(iter(options))) as caught:
        rtrecon.Reconstructor(model=dome_model, **options)
    assert isinstance(caught.value, RtreconError)


@pytest.mark.parametrize(
    "picture",
    [
        None,
        "face.jpg",
        [[0, 0, 0]],
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 0, 3), np.uint8),
        rtrecon.Frame(None, 0, 0),  # type: ignore[arg-type]
    ],
    ids=lambda picture: f"{type(picture).__name__} {getattr(picture, 'shape', '')}",
)
def test_what_is_no_picture_is_said(picture: Any, dome_model: Path) -> None:
    for temporal in (True, False):
        recon = rtrecon.Reconstructor(model=dome_model, temporal=temporal)
        with pytest.raises(rtrecon.DataError, match=r"picture|cannot read face\.jpg"):
            recon(picture)


@pytest.mark.parametrize("source", [-1, 10**12, "", "a\0b", "²", LONG])
def test_a_source_that_cannot_be(source: int | str) -> None:
    with pytest.raises(RtreconError):
        rtrecon.open_source(source)


def test_a_shipped_models_hash_may_be_in_capitals(tmp_path: Path) -> None:
    text = (find_model("face-dpt") / "model.json").read_text(encoding="utf-8")
    data = json.loads(text)
    data["files"] = {
        name: {**file, "sha256": file["sha256"].upper()} for name, file in data["files"].items()
    }
    (tmp_path / "model.json").write_text(json.dumps(data), encoding="utf-8")
    from rtrecon.depth.manifest import Manifest

    shipped, capitals = Manifest.load(find_model("face-dpt")), Manifest.load(tmp_path)
    assert [f.sha256 for f in capitals.files.values()] == [f.sha256 for f in shipped.files.values()]
