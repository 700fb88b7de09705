from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]


def test_help_and_version(run_cli: Cli) -> None:
    code, out, _ = run_cli("--help")
    assert code == 0
    assert "run " in out
    assert "doctor" in out
    code, out, _ = run_cli("--version")
    assert (code, out.startswith("rtrecon ")) == (0, True)
    assert run_cli()[0] == 2


def test_unknown_command_is_a_users_mistake(run_cli: Cli) -> None:
    code, _, err = run_cli("rnu")
    assert code == 2
    assert "rnu" in err
    assert "run" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faces", "0"], "--faces"),
        (["--ipd-mm", "6"], "--ipd-mm"),
        (["--fov", "500"], "--fov"),
        (["--size", "big"], "1280x720"),
        (["--max-frames", "0"], "--max-frames"),
        (["--fov", "60", "--intrinsics", "k.json"], "not both"),
        (["--view", "television"], "television"),
    ],
)
def test_wrong_options_are_explained(run_cli: Cli, arguments: list[str], words: str) -> None:
    code, _, err = run_cli("run", "demo", *arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_a_missing_model_lists_what_there_is(run_cli: Cli) -> None:
    code, _, err = run_cli("run", "demo", "--view", "none", "--model", "no-such-model")
    assert code == 2
    assert "no-such-model" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(run_cli: Cli) -> None:
    code, _, err = run_cli("run", "demo", "--view", "none", "--model", "no-such-model", "--debug")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("", {"info"}),
        ("-v", {"info", "debug"}),
        ("--verbose", {"info", "debug"}),
        ("--debug", {"info", "debug", "Traceback"}),
        ("-q", set()),
        ("--quiet", set()),
    ],
)
def test_how_much_is_said(
    run_cli: Cli, option: str, said: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(_: object) -> int:
        logger = logging.getLogger("rtrecon.test")
        logger.info("info")
        logger.debug("debug", exc_info=ValueError("why"))
        return 0

    monkeypatch.setattr("rtrecon.commands.outputs.run_outputs", command)
    code, out, err = run_cli("outputs", *filter(None, [option]))
    assert (code, out) == (0, "")
    if "Traceback" not in said:
        assert "why" not in err
        assert {line.removeprefix("rtrecon: ") for line in err.splitlines()} == said
    assert all(word in err for word in said - {"Traceback"})
    assert ("ValueError: why" in err) == ("Traceback" in said)


@pytest.mark.parametrize(
    "command", ["run", "serve", "image", "archive", "avatar", "calibrate-camera"]
)
def test_out_is_short_everywhere(run_cli: Cli, command: str) -> None:
    out = run_cli(command, "--help")[1]
    assert "-o " in out
    assert "-q, --quiet" in out
    assert "-v, --verbose" in out


def test_help_needs_no_heavy_import() -> None:
    heavy = "cv2,open3d,onnxruntime,torch,numpy"
    script = (
        "import sys; from rtrecon.cli import main; main(['--help']); "
        f"print([m for m in '{heavy}'.split(',') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("[]")


def test_a_run_without_window_or_pictures_imports_no_library_for_them(
    dome_model: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from rtrecon.cli import main; "
        f"code = main(['run', 'demo', '--model', {str(dome_model)!r}, '--view', 'none', "
        "'--every-frame', '--max-frames', '3', '--quiet']); "
        "print(code, 'open3d' in sys.modules, 'PIL' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["0", "False", "False"], done.stderr


def test_a_ctrl_c_within_an_import_is_no_missing_library(
    run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As libraries in C have it: the KeyboardInterrupt becomes an ImportError's cause."""
    (tmp_path / "onnxruntime.py").write_text(
        "try:\n    raise KeyboardInterrupt\n"
        "except KeyboardInterrupt as error:\n"
        "    raise ImportError('initialization failed') from error\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    code, _, err = run_cli("run", "demo", "--view", "none", "--max-frames", "1")
    assert code == 130
    assert "interrupted" in err
    assert "not installed" not in err
