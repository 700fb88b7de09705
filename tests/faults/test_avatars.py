"""Heads of faces that do not show all of themselves, by the shipped model."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import rtrecon
from rtrecon.commands.avatar import AvatarConfig, run_avatar
from rtrecon.errors import DataError

MOVES = Path(__file__).parents[1] / "data" / "head-moves"


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    image = cv2.imread(str(MOVES / "rest.jpg"))
    assert image is not None
    return image


@pytest.fixture(scope="module")
def landmarks(portrait: np.ndarray) -> np.ndarray:
    return rtrecon.detect_faces(portrait)[0].landmarks_px.astype(int)


def make(source: Path, out: Path) -> dict[str, Any]:
    config = AvatarConfig(
        source=str(source), out=[out], provider="cpu", threads=1, texture_size=256, quiet=True
    )
    assert run_avatar(config) == 0
    content = out.read_bytes()
    size = struct.unpack_from("<I", content, 12)[0]
    document: dict[str, Any] = json.loads(content[20 : 20 + size])
    return document


def looks_like_a_head(document: dict[str, Any]) -> None:
    skin = document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    accessor = document["accessors"][skin]
    extent = np.array(accessor["max"]) - accessor["min"]
    assert ((extent > (0.15, 0.25, 0.15)) & (extent < (0.40, 0.50, 0.40))).all(), extent


def test_sunglasses(portrait: np.ndarray, landmarks: np.ndarray, tmp_path: Path) -> None:
    image = portrait.copy()
    wide = int(0.55 * np.linalg.norm(landmarks[1] - landmarks[0]))
    for eye in landmarks[:2]:
        cv2.ellipse(image, eye.tolist(), (wide, int(0.7 * wide)), 0, 0, 360, (15, 15, 15), -1)
    cv2.imwrite(str(tmp_path / "it.png"), image)
    looks_like_a_head(make(tmp_path / "it.png", tmp_path / "me.glb"))


def head_or_refusal(source: Path, out: Path) -> None:
    """A usable head, or an error that says what is wrong and leaves no file."""
    said = ""
    try:
        looks_like_a_head(make(source, out))
    except DataError as error:
        said = str(error)
    assert out.exists() != any(word in said for word in ("no face", "hardly", "in the picture"))


def test_a_mask(portrait: np.ndarray, landmarks: np.ndarray, tmp_path: Path) -> None:
    image = portrait.copy()
    aside = landmarks[1] - landmarks[0]
    nose, down = landmarks[2], np.array([0, aside[0]])
    corners = [nose - aside, nose + aside, nose + aside + down, nose - aside + down]
    cv2.fillPoly(image, [np.array(corners, dtype=np.int32)], (220, 200, 180))
    cv2.imwrite(str(tmp_path / "it.png"), image)
    head_or_refusal(tmp_path / "it.png", tmp_path / "me.glb")


def test_half_of_one(portrait: np.ndarray, landmarks: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "it.png"), portrait[:, landmarks[2][0] :])
    head_or_refusal(tmp_path / "it.png", tmp_path / "me.glb")


def test_a_film_that_never_looks_ahead(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = tmp_path / "film"
    film.mkdir()
    for k in range(4):
        shutil.copy(MOVES / "own-left.jpg", film / f"{k}.jpg")
    caplog.set_level("WARNING", logger="rtrecon")
    looks_like_a_head(make(film, tmp_path / "me.glb"))
    assert any("from the front" in message for message in caplog.messages)


def test_upside_down(portrait: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "it.png"), portrait[::-1, ::-1])
    looks_like_a_head(make(tmp_path / "it.png", tmp_path / "me.glb"))
