"""What `pip install rtrecon[cpu]` alone can do, and what it says where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rtrecon.errors import MissingExtraError
from rtrecon.host import has_open3d, import_open3d

Cli = Callable[..., tuple[int, str, str]]

# None in sys.modules makes every import of that name fail, as if it were not installed.
BLOCK = "import sys; sys.modules['open3d'] = None; "


def python(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + script],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_base_does_not_ask_for_what_the_window_needs(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [line for line in project["dependencies"] if "open3d" in line or "torch" in line]
    extras = project["optional-dependencies"]
    assert [line.partition(">")[0] for line in extras["window"]] == ["open3d-cpu", "open3d"]
    assert all(extras.values()), "an extra that brings nothing"


def test_everything_public_is_there_without_open3d(tmp_path: Path) -> None:
    script = (
        "import rtrecon, rtrecon.outputs; from rtrecon.outputs.registry import OUTPUTS; "
        "[getattr(rtrecon, name) for name in rtrecon.__all__]; "
        "[OUTPUTS.load(name) for name in OUTPUTS.names()]; print('whole')"
    )
    assert python(script, tmp_path) == "whole\n"


def test_a_run_without_open3d(tmp_path: Path) -> None:
    script = (
        "from rtrecon.cli import main; "
        "sys.exit(main('run demo --view none --max-frames 5 --stats s.json --quiet'.split()))"
    )
    python(script, tmp_path)
    stats = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert stats["frames_processed"] == 5


def test_pictures_without_open3d(tmp_path: Path, repository: Path) -> None:
    picture = repository / "tests/data/faces/portrait.jpg"
    script = f"from rtrecon.cli import main; sys.exit(main(['image', {str(picture)!r}, '--all']))"
    python(script, tmp_path)
    assert len(list((tmp_path / "rtrecon-out").iterdir())) >= 5


def test_what_needs_it_names_the_command(
    monkeypatch: pytest.MonkeyPatch, run_cli: Cli, repository: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    assert not has_open3d()
    with pytest.raises(MissingExtraError, match=r"pip install 'rtrecon\[window\]'"):
        import_open3d()
    picture = repository / "tests/data/faces/portrait.jpg"
    for option in (["--poisson"], ["--decimate", "500"]):
        code, _, err = run_cli("image", picture, "--out", tmp_path / "out", *option)
        assert code == 2
        assert "pip install 'rtrecon[window]'" in err
    assert not (tmp_path / "out").exists()
