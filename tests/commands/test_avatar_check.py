"""The self-check of avatars: moves that a person knows, whatever is before the camera."""

from __future__ import annotations

import socket
from collections.abc import Callable

import numpy as np
import pytest

from rtrecon.avatar.check import MOVES, frame_of
from rtrecon.avatar.frame import mirrored
from rtrecon.avatar.rotations import to_angles

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("move", MOVES)
def test_words_say_what_moves(move: object) -> None:
    assert isinstance(move, type(MOVES[0]))
    rest, most = frame_of(move, 0.0, 1.0, 1), frame_of(move, 0.5, 1.0, 1)
    assert not rest.coefficients.any()
    pitch, yaw, roll = np.degrees(to_angles(most.rotation))
    assert (pitch < -10) == ("nose goes up" in move.words)
    assert (yaw < -10) == ("turns" in move.words)  # own left
    assert (roll > 10) == ("tilts" in move.words)
    assert (most["eyeBlinkLeft"] > 0.5) == (move.words.startswith("one eye winks"))
    assert (most["eyeBlinkRight"] > 0.5) == (move.words.startswith("the other eye"))
    sided = move.words != move.mirrored
    assert sided == (yaw != 0 or roll != 0 or any("Left" in n or "Right" in n for n in move.shapes))
    if "smiles" in move.words:
        assert "own left" in move.words
        assert mirrored(most)["mouthSmileRight"] > 0.5


def test_it_is_played(run_cli: Cli) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        code, out, err = run_cli(
            "avatar-check", f"livelink:{port}?subject=me", f"vmc:{port}?mirror=1",
            "--seconds", 0.05,
        )  # fmt: skip
        receiver.settimeout(10.0)
        kinds = {receiver.recv(4096)[:1] for _ in range(5)}
    assert code == 0, err
    assert len(out.splitlines()) == len(MOVES)
    assert "the nose goes up" in out
    assert "(mirrored: " in out
    assert kinds == {b"\x06", b"#"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["record:x"], "no avatar's output"),
        (["vmc?name=x"], "no option 'name'"),
        (["vmc", "--seconds", "0"], "--seconds"),
        (["vmc", "--rounds", "0"], "--rounds"),
        (["nothing"], "no output 'nothing'"),
        ([], "OUTPUT"),
    ],
)
def test_what_cannot_be(run_cli: Cli, arguments: list[str], words: str) -> None:
    code, _, err = run_cli("avatar-check", *arguments)
    assert code == 2
    assert words in err
