"""The real window on a virtual display: what is seen in it, and what keys and mouse do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.outputs.window.inset import BACKGROUND, KEYS
from tests.draw.heads import GREEN, RED, SKIN, share_of
from tests.outputs.window.drive_window import SIZE

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a virtual X display"),
    pytest.mark.timeout(180),
]

INSET_PX = 212  # of the window's width, with margin


def drive(
    scenario: str, display: str, repository: Path, folder: Path, model: Path | None = None
) -> dict[str, np.ndarray]:
    """Run `drive_window` and read what it kept."""
    out = folder / "seen.npz"
    command = [sys.executable, "-m", "tests.outputs.window.drive_window", scenario, str(out)]
    if model is not None:
        command.append(str(model))
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(repository)}
    environment.pop("WAYLAND_DISPLAY", None)
    run = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, timeout=170
    )
    assert run.returncode == 0, run.stderr[-2000:]
    with np.load(out) as kept:
        return dict(kept)


@pytest.fixture(scope="module")
def still(
    xvfb: str, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    return drive("still", xvfb, repository, tmp_path_factory.mktemp("still"))


@pytest.fixture(scope="module")
def keys(
    xvfb: str, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool is not installed: apt-get install xdotool")
    return drive("keys", xvfb, repository, tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def clip(
    xvfb: str, repository: Path, dome_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    return drive("clip", xvfb, repository, tmp_path_factory.mktemp("clip"), dome_model)


def scene(shown: np.ndarray) -> np.ndarray:
    """The window without the inset."""
    return shown[:, INSET_PX:]


def solid(shown: np.ndarray) -> np.ndarray:
    """(H, W) bool: where it is not background."""
    different: np.ndarray = np.abs(shown.astype(int) - BACKGROUND).max(axis=-1) > 8
    return different


def test_the_clip_s_face_is_there_and_moves(clip: dict[str, np.ndarray]) -> None:
    assert clip["ticks"] == 60
    assert not clip["open"]
    first, last = scene(clip["shown_10"]), scene(clip["shown_59"])
    for shown in (first, last):
        covered = solid(shown)
        assert covered.mean() > 0.2
        rows = np.flatnonzero(covered.any(axis=1))
        assert rows.max() - rows.min() > 0.6 * SIZE[1]  # fills the window
        blue, _, red = (shown[covered][:, k].astype(int) for k in range(3))
        assert (red > blue + 15).mean() > 0.5  # skin and hair
        count, _, boxes, _ = cv2.connectedComponentsWithStats(covered.astype(np.uint8))
        assert count > 1
        assert boxes[1:, cv2.CC_STAT_AREA].max() > 0.95 * covered.sum()
    both = solid(first) & solid(last)
    moved = np.abs(first[both].astype(int) - last[both])
    assert moved.mean() > 3


@pytest.mark.parametrize("k", [10, 59])
def test_the_clip_s_face_is_upright_and_not_mirrored(clip: dict[str, np.ndarray], k: int) -> None:
    """The picture's face is found in the window as it is, and not when it is flipped."""
    landmarks = clip[f"landmarks_{k}"]
    unit = float(np.linalg.norm(landmarks[0] - landmarks[1]))
    x, y = landmarks.mean(axis=0)
    face = clip[f"picture_{k}"][
        int(y - unit) : int(y + unit), int(x - 0.8 * unit) : int(x + 0.8 * unit)
    ]

    def likeness(part: np.ndarray) -> float:
        best = -1.0
        for width in range(100, 320, 12):
            size = (width, width * part.shape[0] // part.shape[1])
            if size[1] >= SIZE[1]:
                break
            sample = np.ascontiguousarray(cv2.resize(part, size))
            found = cv2.matchTemplate(clip[f"shown_{k}"][:, 200:], sample, cv2.TM_CCOEFF_NORMED)
            best = max(best, float(found.max()))
        return best

    as_it_is = likeness(face)
    assert as_it_is > 0.8
    assert as_it_is > likeness(face[:, ::-1]) + 0.05
    assert as_it_is > likeness(face[::-1]) + 0.2


def test_a_face_fills_the_window_the_right_way_round(still: dict[str, np.ndarray]) -> None:
    shown = still["one"]
    red, green = (np.argwhere(share_of(scene(shown), c, 60)) for c in (RED, GREEN))
    assert red[:, 1].mean() < green[:, 1].mean() - 20
    assert share_of(scene(shown), SKIN, 60).mean() > 0.15
    rows = np.flatnonzero(solid(scene(shown)).any(axis=1))
    assert rows.max() - rows.min() > 0.45 * SIZE[1]


def test_the_view_follows_a_face_that_moves_aside(still: dict[str, np.ndarray]) -> None:
    middles = [np.argwhere(solid(scene(still[n])))[:, 1].mean() for n in ("one", "aside")]
    assert abs(middles[0] - middles[1]) < 25


def test_two_faces_are_both_in_view(still: dict[str, np.ndarray]) -> None:
    shown = still["two"][220:]  # below the inset's picture
    for side in (shown[:, : SIZE[0] // 2], shown[:, SIZE[0] // 2 :]):
        assert share_of(side, SKIN, 60).mean() > 0.01
    assert not solid(still["two"])[:, -3:].any()


def test_a_face_that_is_lost_stays_dimmed_under_large_words(still: dict[str, np.ndarray]) -> None:
    before, lost = (scene(still[n]).astype(int) for n in ("again", "none"))
    high = slice(0, int(0.8 * SIZE[1]))  # above the words
    covered = solid(before)[high]
    assert (solid(lost)[high] == covered).mean() > 0.97
    left = (lost[high][covered] - BACKGROUND).sum() / (before[high][covered] - BACKGROUND).sum()
    assert 0.3 < left < 0.5
    words = (lost > 200).all(axis=-1)
    rows = np.flatnonzero(words.any(axis=1))
    assert np.ptp(rows) > 0.035 * SIZE[1]
    assert rows.min() > 0.8 * SIZE[1]
    assert solid(still["none"])[12:150, 12:208].mean() > 0.9


def test_before_the_first_face_there_is_nothing_but_words(still: dict[str, np.ndarray]) -> None:
    shown = scene(still["nobody"])
    assert not solid(shown)[: int(0.8 * SIZE[1])].any()
    assert (shown > 200).all(axis=-1).any()


def test_a_head_is_whole_from_the_side(still: dict[str, np.ndarray]) -> None:
    for name in ("from_left", "from_right"):
        # Its eyes are near to the background, and a pixel of their rim is just like it.
        away = np.abs(scene(still[name]).astype(int) - BACKGROUND).max(axis=-1)
        covered = (away > 2).astype(np.uint8)
        assert covered.mean() > 0.12
        assert cv2.connectedComponents(covered)[0] == 2
        _, _, boxes, _ = cv2.connectedComponentsWithStats(1 - covered, connectivity=4)
        areas = np.sort(boxes[1:, cv2.CC_STAT_AREA])
        assert areas[:-1].sum() <= 2  # the last one is what is around it


def test_it_sways_until_the_mouse_touches_it(keys: dict[str, np.ndarray]) -> None:
    first, later, held, resumed = (scene(keys[f"sway_{k}"]).astype(int) for k in range(4))
    assert np.abs(later - first).mean() > 1.5
    assert np.abs(resumed - held).mean() < 0.5


def test_the_inset_shows_the_picture(still: dict[str, np.ndarray]) -> None:
    inset = still["one"][10:160, 10:210]
    red, green = (np.argwhere(share_of(inset, c, 60)) for c in (RED, GREEN))
    assert len(red) > 4
    assert len(green) > 4
    assert red[:, 1].mean() < green[:, 1].mean()


def test_a_picture_on_end_leaves_room_for_the_words(still: dict[str, np.ndarray]) -> None:
    corner = still["picture_on_end"][:, :INSET_PX].astype(int)
    red = (corner[..., 2] > 200) & (corner[..., 1] < 60)
    end = int(np.flatnonzero(red.any(axis=1))[-1])
    assert 100 < end < 0.6 * SIZE[1]
    words = corner[end + 4 :].min(axis=2) > 150
    assert len(np.flatnonzero(words.any(axis=1))) > 20  # three lines of them


def test_m_changes_between_mesh_wireframe_and_points(keys: dict[str, np.ndarray]) -> None:
    covered = {n: float(solid(scene(keys[n])).mean()) for n in ("mesh", "wireframe", "points")}
    assert 0.1 * covered["mesh"] < covered["wireframe"] < 0.8 * covered["mesh"]
    assert covered["points"] > 0.8 * covered["mesh"]
    difference = np.abs(scene(keys["mesh_again"]).astype(int) - scene(keys["mesh"]))
    assert difference.mean() < 1


def test_d_colours_by_depth_and_back(keys: dict[str, np.ndarray]) -> None:
    assert share_of(scene(keys["depth"]), SKIN).mean() < 0.02
    assert share_of(scene(keys["video"]), SKIN, 60).mean() > 0.15


def test_l_lights_the_surface_and_back(keys: dict[str, np.ndarray]) -> None:
    lit = scene(keys["lit"])
    assert share_of(lit, RED).sum() == 0
    assert lit[solid(lit)].std() > 15  # shading, not one colour
    assert np.abs(scene(keys["unlit"]).astype(int) - scene(keys["video"])).mean() < 1


def test_h_lists_the_keys(keys: dict[str, np.ndarray]) -> None:
    below = (slice(250, None), slice(0, 210))
    assert solid(keys["help"][below]).sum() > solid(keys["unlit"][below]).sum() + 400
    assert {key[0] for key, _ in KEYS} >= set("mdfsvcxrhq")


def test_the_mouse_turns_the_face_and_r_resets(keys: dict[str, np.ndarray]) -> None:
    before, turned, reset = (scene(keys[n]).astype(int) for n in ("unlit", "turned", "reset"))
    assert np.abs(turned - before).mean() > 4
    assert np.abs(reset - before).mean() < 1
    # The inset does not turn with it.
    inset = np.abs(keys["turned"].astype(int) - keys["unlit"])[12:160, 12:208]
    assert inset.mean() < 2


def test_commands_reach_the_caller_once(keys: dict[str, np.ndarray]) -> None:
    assert keys["commands"].tolist() == [
        "freeze", "snapshot", "record", "calibrate", "mirror",
    ]  # fmt: skip
    assert keys["quit"].tolist() == ["quit"]


def test_open3d_s_own_keys_change_nothing(keys: dict[str, np.ndarray]) -> None:
    assert np.abs(keys["after_all"].astype(int) - keys["before_all"]).mean() < 0.5


def test_escape_closes(keys: dict[str, np.ndarray]) -> None:
    assert not keys["open"]
