"""The wheel and the sdist: whole, and the demo runs on the wheel in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_wheel_and_sdist(repository: Path, tmp_path: Path) -> None:
    for needed in ("build", "twine", "hatchling"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install '.[dev]'")
    tool = [sys.executable, repository / "tools" / "check_dist.py"]
    done = subprocess.run(
        [*tool, "--offline", "--out", tmp_path / "dist"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as it should be") == 2
