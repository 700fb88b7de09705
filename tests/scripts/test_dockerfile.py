"""The Dockerfile copies what is there, and what its image runs is a command that works."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.timeout(300)


def test_what_it_copies_is_there_and_sent(repository: Path) -> None:
    text = (repository / "Dockerfile").read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    copied = [name for line in lines for name in line.split()[:-1]]
    rules = (repository / ".dockerignore").read_text(encoding="utf-8").split()
    assert rules[0] == "*"
    for name in copied:
        assert (repository / name).exists()
        assert any(fnmatch(name, rule[1:]) for rule in rules if rule.startswith("!"))
    # What the build needs: the readme and the licence are named by pyproject.toml.
    assert {"pyproject.toml", "README.md", "LICENSE", "models", "rtrecon"} <= set(copied)


def test_its_command_runs_the_demo(
    repository: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repository / "Dockerfile").read_text(encoding="utf-8")
    entry, command = (
        json.loads(re.findall(rf"^{word} (\[.+\])$", text, re.MULTILINE)[0])
        for word in ("ENTRYPOINT", "CMD")
    )
    assert Path(entry[0]).name == "rtrecon"
    monkeypatch.chdir(tmp_path)
    code, _, said = run_cli(*command, "--max-frames", "3")
    assert code == 0, said
    assert (tmp_path / "rtrecon-out" / "preview.mp4").stat().st_size > 0
