"""Files of calibrations that are odd: used as meant, or said and set aside, none lost."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrecon.avatar.profile import CalibrationProfile, HeadRest
from rtrecon.avatar.stage import AvatarStage
from rtrecon.errors import ArgumentError, DataError, OutputError
from rtrecon.expression.calibration import Calibration
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.profiles import ProfileStore, check_person
from tests.avatar.faces import face, result
from tests.outputs.test_avatar_run import a_run

PROFILE = CalibrationProfile(
    HeadRest((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.5)), Calibration.none(ARKIT_NAMES)
)
WHOLE = json.dumps({"camera": "cam", "person": "anna", **PROFILE.to_json()})
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
keys = st.sampled_from(["head", "neutral", "reach", "shown", "version", "format"])


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore(tmp_path / "calibration")


def put(store: ProfileStore, content: str | bytes) -> Path:
    path = store.path("cam", "anna")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@given(st.dictionaries(keys, anything))
def test_whatever_it_holds_it_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        read = CalibrationProfile.from_json({**PROFILE.to_json(), **changes})
    except DataError:
        return
    frame = AvatarStage(None, read).frame(result(0.0, face(jawOpen=0.5)))
    assert np.isfinite([*frame.rotation, *frame.position_m, *frame.coefficients]).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (os.urandom(4096), "damaged"),
        (WHOLE[:-40], "damaged"),
        (WHOLE.replace("0.5]", "NaN]"), "NaN is no number"),
        ("[]", "no JSON object"),
        ("[" * 5000, "nested too deeply"),
        ('"anna"', "no JSON object"),
        ("{}", '"format" is not'),
        (WHOLE.replace('"version": 1', '"version": 7'), "version 7, made by a newer rtrecon"),
        (WHOLE.replace('"version": 1', '"version": -1'), '"version" must be 1'),
        (WHOLE.replace('"anna"', '"otto"'), "it is of 'otto' before 'cam'"),
        (WHOLE.replace('"anna"', "3"), '"camera" and "person"'),
        (WHOLE.replace('"jawOpen": 1.0', '"jawOpen": 1e999'), "reach"),
    ],
)
def test_what_cannot_be_used_is_said_once_and_kept(
    store: ProfileStore, content: str | bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(store, content)
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING, logger="rtrecon"):
        assert store.load("cam", "anna") is None
        assert store.load("cam", "anna") is None
    (record,) = caplog.records
    aside = path.with_name(path.stem + ".aside-1.json")
    assert str(path) in record.message
    assert words in record.message
    assert aside.name in record.message
    store.save("cam", "anna", PROFILE)
    assert store.load("cam", "anna") is not None
    assert aside.read_bytes() == before


def test_several_that_cannot_be_used_are_all_kept(store: ProfileStore) -> None:
    for k in range(3):
        put(store, f"damaged {k}")
        assert store.load("cam", "anna") is None
    names = sorted(p.read_text() for p in store.folder.iterdir())
    assert names == ["damaged 0", "damaged 1", "damaged 2"]


def test_a_run_goes_on_with_a_new_one(
    config_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(ProfileStore(), "damaged")
    with caplog.at_level(logging.WARNING, logger="rtrecon"):
        run = a_run("cam", "anna")
        AvatarRun.of(run).save()
    assert len(caplog.records) == 1
    assert ProfileStore().load("cam", "anna") is not None
    texts = [p.read_text(encoding="utf-8") for p in (config_folder / "calibration").iterdir()]
    assert "damaged" in texts


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop"])
def test_what_is_no_file_is_neither_waited_for_nor_lost(store: ProfileStore, kind: str) -> None:
    path = store.path("cam", "anna")
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "x").write_text("mine")
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    assert store.load("cam", "anna") is None
    store.save("cam", "anna", PROFILE)
    assert store.load("cam", "anna") is not None
    assert len(list(store.folder.iterdir())) == 2


def test_a_file_that_cannot_be_set_aside_is_not_written_over(
    store: ProfileStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(store, "damaged")

    def refuse(*_: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with caplog.at_level(logging.WARNING, logger="rtrecon"):
        assert store.load("cam", "anna") is None
    assert "move it away" in caplog.text
    with pytest.raises(OutputError, match="in the way"):
        store.save("cam", "anna", PROFILE)
    assert path.read_text() == "damaged"


def test_a_folder_that_cannot_be_made(
    config_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config_folder.parent.mkdir(parents=True)
    config_folder.write_text("a file")
    with caplog.at_level(logging.WARNING, logger="rtrecon"):
        run = a_run("cam", "anna")
        AvatarRun.of(run).save()
        AvatarRun.of(run).save()
    assert ["cannot make folder" in r.message for r in caplog.records] == [True]


@pytest.mark.parametrize(
    ("camera", "person"),
    [
        ("../../etc", "passwd"),
        ("c:\\nul", "con"),
        ("", "x"),
        ("摄像头", "アンナ"),
        ("a" * 500, "b" * 64),
        ("rtsp://me:secret@10.0.0.2/x", "rtsp://me:secret@x"),
        ("\ud800", "\u202e"),
    ],
)
def test_names_that_no_file_could_have(store: ProfileStore, camera: str, person: str) -> None:
    path = store.save(camera, person, PROFILE)
    assert path.parent == store.folder
    assert path.name.isascii()
    assert len(path.name) < 120
    assert store.load(camera, person) is not None
    assert b"secret" not in path.read_bytes()
    assert [p.profile is not None for p in store.stored()] == [True]


@pytest.mark.parametrize("name", ["", " anna", "a\nb", "a" * 65, "a\0", "\x1b[2J"])
def test_persons_that_cannot_be(name: str) -> None:
    with pytest.raises(ArgumentError, match="person's name"):
        check_person(name)


def test_a_number_that_is_not_finite_is_never_kept(store: ProfileStore) -> None:
    broken = Calibration.none(ARKIT_NAMES)
    broken.reach[3] = math.nan
    path = store.save("cam", "anna", CalibrationProfile(PROFILE.head, broken))
    assert b"NaN" not in path.read_bytes()
