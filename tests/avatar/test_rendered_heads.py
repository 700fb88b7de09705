"""A rendered head's turns, winks and looks, all the way: network, chain, wire, receiver."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.stage import AvatarStage, with_points
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.types import Frame
from tests.avatar.receivers import PROTOCOLS

HEAD = Path(__file__).parents[1] / "data" / "head-moves"
RATE_HZ = 30

# Degrees up, left, tilt and gaze, and the lid that is shut.
MOVES = {
    "nose-down": (-15, 0, 0, 0, ""), "nose-up": (15, 0, 0, 0, ""),
    "own-left": (0, 25, 0, 0, ""), "own-right": (0, -25, 0, 0, ""),
    "tilt-left": (0, 0, 15, 0, ""), "tilt-right": (0, 0, -15, 0, ""),
    "look-left": (0, 0, 0, 20, ""), "look-right": (0, 0, 0, -20, ""),
    "wink-left": (0, 0, 0, 0, "eyeBlinkLeft"), "wink-right": (0, 0, 0, 0, "eyeBlinkRight"),
}  # fmt: skip
SWAPPED = {"eyeBlinkLeft": "eyeBlinkRight", "eyeBlinkRight": "eyeBlinkLeft", "": ""}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown() -> dict[str, AvatarFrame]:
    """What the chain makes of each move, after a second and a half at rest."""
    reconstruct, stage = Reconstructor(provider="cpu", threads=1), AvatarStage()
    count = 0

    def last(name: str, frames: int) -> AvatarFrame:
        nonlocal count
        image = cv2.imread(str(HEAD / f"{name}.jpg"))
        assert image is not None
        for _ in range(frames):
            picture = Frame(image, count, count * 1_000_000_000 // RATE_HZ)
            result = LiveResult(picture, reconstruct(picture), 0.0)
            seen = with_points(stage.frame(result), result)
            count += 1
        return seen

    last("rest", 45)
    frames = {}
    for name in MOVES:
        frames[name] = last(name, 12)
        last("rest", 8)
    return frames


@pytest.mark.parametrize("side", [1, -1], ids=["plain", "mirrored"])
@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_rendered_move(
    protocol: str, name: str, side: int, shown: dict[str, AvatarFrame]
) -> None:
    encode, read = PROTOCOLS[protocol]
    frame = shown[name]
    assert frame.state == "tracked"
    seen = read(encode(mirrored(frame) if side < 0 else frame))
    up, left, tilt, gaze, shut = MOVES[name]
    wanted = {"up": up, "left": side * left, "tilt": side * tilt}
    for turn, value in wanted.items():
        assert seen[turn] == pytest.approx(value, abs=3.0), turn
    assert seen["gaze"] == pytest.approx(side * gaze, abs=8.0)
    shut = shut if side > 0 else SWAPPED[shut]
    for lid in ("eyeBlinkLeft", "eyeBlinkRight"):
        assert seen[lid] > 0.7 if lid == shut else seen[lid] < 0.2, lid


def test_the_pictures_are_these() -> None:
    assert {path.stem for path in HEAD.glob("*.jpg")} == {"rest", *MOVES}
    assert np.all([cv2.imread(str(path)).shape == (320, 320, 3) for path in HEAD.glob("*.jpg")])


def test_a_rendered_clip_follows_its_head() -> None:
    """Head angles and lids of a head that talks and turns, as sent, against those drawn."""
    clip = HEAD.parent / "head-clip"
    meta = json.loads((clip / "meta.json").read_text(encoding="utf-8"))
    entries = meta["frames"]
    reconstruct, stage = Reconstructor(provider="cpu", threads=1), AvatarStage()
    encode, read = PROTOCOLS["vmc"]
    sent, true = [], []
    for k, entry in enumerate([entries[0]] * 8 + entries):
        image = cv2.imread(str(clip / "rgb" / f"{entry['id']}.png"))
        assert image is not None
        picture = Frame(image, k, round(k * 1e9 / meta["fps"]))
        seen = read(encode(stage.frame(LiveResult(picture, reconstruct(picture), 0.0))))
        R = np.array(entry["R_camera_face"])
        nose, crown = -R[:, 2], -R[:, 1]  # x to the own left, y down
        sent.append([seen["up"], seen["left"], seen["tilt"]])
        true.append(np.degrees(np.arcsin([-nose[1], nose[0], crown[0]])))
    for axis in range(3):
        assert np.corrcoef(np.array(sent)[8:, axis], np.array(true)[8:, axis])[0, 1] > 0.95
