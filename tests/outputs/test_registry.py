"""Bad outputs beside a good one, from the command line: one clear line each, the rest is whole."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtrecon import fanout
from rtrecon.errors import ArgumentError, UserError
from rtrecon.output import Run
from rtrecon.outputs.record import RecordOutput
from rtrecon.outputs.registry import OUTPUTS, make_output, make_outputs
from tests.outputs.doubles import Noted

Cli = Callable[..., tuple[int, str, str]]
ends = threading.Event()


class Bad(Noted):
    """Fails where its target says, or blocks there until the test ends."""

    name = "bad"

    def __init__(self, target: str) -> None:
        where, _, how = target.partition("-")
        super().__init__(target, fails_at="" if how == "blocks" else where)
        self.close_timeout_s = 0.2
        if how == "blocks":
            setattr(self, where, lambda *_: ends.wait(60))


@pytest.fixture
def bad_output(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ends.clear()
    monkeypatch.setitem(OUTPUTS._own, "bad", f"{__name__}:Bad")
    monkeypatch.setattr(fanout, "_OPEN_TIMEOUT_S", 2.0)
    yield
    ends.set()


@pytest.mark.usefixtures("bad_output")
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("open", "open of open failed"),
        ("write", "write of write failed"),
        ("close", "close of close failed"),
        ("open-blocks", "it does not open"),
        ("write-blocks", "it does not end"),
        ("close-blocks", "it does not end"),
    ],
)
def test_a_bad_output_beside_a_good_one(
    run_cli: Cli, dome_model: Path, tmp_path: Path, bad: str, words: str
) -> None:
    good, stats = tmp_path / "good", tmp_path / "stats.json"
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--out", f"bad:{bad}",
        "--out", f"record:{good}", "--max-frames", 25, "--stats", stats,
    )  # fmt: skip
    assert code == 1, err
    lines = [line for line in err.splitlines() if "error" in line]
    assert len(lines) == 1, err
    assert f"output bad:{bad}: " in lines[0]
    assert words in lines[0]
    assert {p.name for p in good.iterdir()} == {"face0.ply", "poses.jsonl", "preview.mp4"}
    outputs = json.loads(stats.read_text(encoding="utf-8"))["outputs"]
    assert [(o["name"], o["errors"]) for o in outputs] == [("bad", 1), ("record", 0)]


@pytest.mark.usefixtures("bad_output")
def test_a_run_ends_with_its_last_output(run_cli: Cli, dome_model: Path, tmp_path: Path) -> None:
    code, _, err = run_cli(
        "run", "demo", "--loop", "--model", dome_model, "--view", "none", "--out", "bad:write"
    )
    assert code == 1
    assert "write of write failed" in err


def test_objects_and_texts_become_outputs(tmp_path: Path) -> None:
    noted = Noted()
    record, same = make_outputs([f"record:{tmp_path}?rate-hz=12.5", noted])
    assert isinstance(record, RecordOutput)
    assert record.folder == tmp_path
    assert same is noted


def test_what_cannot_be_made_says_so_when_it_is_opened(tmp_path: Path) -> None:
    texts = ["record:a", "record:a", "nowhere:x", "record:b?colour=red", "?"]
    good, *refused = make_outputs(texts)
    assert isinstance(good, RecordOutput)
    for output, words in zip(refused, ["twice", "no output", "no option", "form"], strict=True):
        with pytest.raises(UserError, match=words):
            output.open(Run())
    assert (refused[1].name, refused[1].target) == ("nowhere", "x")


def test_what_is_no_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTPUTS._own, "folder", "pathlib:Path")
    monkeypatch.setitem(OUTPUTS._own, "list", f"{__name__}:not_an_output")
    with pytest.raises(UserError, match=r"makes a list, not an rtrecon\.Output"):
        make_output("list")
    with pytest.raises(ArgumentError, match="no option"):
        make_output("list?x=1")


def not_an_output() -> list[str]:
    return []


def test_outputs_need_no_open3d() -> None:
    script = (
        "import sys, rtrecon.outputs, rtrecon.outputs.registry, rtrecon.session; "
        "from rtrecon.commands import outputs; print('open3d' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
