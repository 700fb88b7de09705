"""What the window does as an output; a stand-in for Open3D's window, which has its own tests."""

from __future__ import annotations

import sys

import pytest

from rtrecon.draw.state import ViewFrame
from rtrecon.errors import UserError
from rtrecon.output import Command, Run
from rtrecon.outputs.window import output as module
from rtrecon.outputs.window.output import WindowOutput
from tests.outputs.doubles import result


class StandIn:
    """As `FaceWindow`, without a window."""

    made: list[StandIn] = []  # noqa: RUF012

    def __init__(self, width: int, height: int) -> None:
        self.size_px = (width, height)
        self.shown: list[ViewFrame] = []
        self.pressed: list[str] = []
        self.is_open = True
        StandIn.made.append(self)

    def update(self, view: ViewFrame) -> None:
        self.shown.append(view)

    def tick(self) -> bool:
        return self.is_open

    def poll_commands(self) -> list[str]:
        pressed, self.pressed = self.pressed, []
        return pressed

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_display", lambda: (True, ""))
    monkeypatch.setattr(module, "FaceWindow", StandIn)


@pytest.mark.usefixtures("displayed")
def test_results_are_shown_and_keys_passed_on() -> None:
    asked: list[Command] = []
    output = WindowOutput(width=320, height=200)
    output.open(Run(ask=asked.append))
    window = StandIn.made[-1]
    assert window.size_px == (320, 200)
    output.write(result(3))
    assert window.shown[-1].image.mean() == 3
    window.pressed = ["snapshot", "record", "quit"]
    assert output.tick()
    assert output.tick()
    assert asked == ["snapshot", "record", "quit"]
    output.close()
    assert not window.is_open
    assert not output.tick()


@pytest.mark.usefixtures("displayed")
def test_a_frozen_view_stays() -> None:
    output = WindowOutput()
    output.open(Run())
    window = StandIn.made[-1]
    output.write(result(1))
    window.pressed = ["freeze"]
    output.tick()
    output.write(result(2))
    assert len(window.shown) == 1
    window.pressed = ["freeze"]
    output.tick()
    output.write(result(3))
    assert window.shown[-1].image.mean() == 3


@pytest.mark.usefixtures("displayed")
def test_a_lost_camera_is_shown_though_no_results_come() -> None:
    state = "running"
    output = WindowOutput()
    output.open(Run(state=lambda: state))
    window = StandIn.made[-1]
    output.tick()
    assert window.shown == []
    output.write(result(1))
    output.tick()
    assert len(window.shown) == 1
    state = "reconnecting"
    output.tick()
    output.tick()
    assert len(window.shown) == 2


def test_without_a_display_it_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_display", lambda: (False, "there is none"))
    assert WindowOutput.missing() == "there is none"
    with pytest.raises(UserError, match=r"there is none.*--view none"):
        WindowOutput().open(Run())


def test_without_open3d_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    assert "pip install 'rtrecon[window]'" in WindowOutput.missing()
