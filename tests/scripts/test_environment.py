"""What scripts/run.sh and scripts/test.sh install, and what they leave alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="there is no bash"
)

# Stands in for the environment's python: notes what pip is told.
PYTHON = """#!/bin/sh
case "$1" in
  --version) echo "Python 3.12.1" ;;
  *) echo "$*" >>"$(dirname "$0")/../../calls" ;;
esac
"""


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(repository / "scripts" / "environment.sh", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    return tmp_path


def installed(checkout: Path, *extras: str) -> list[str]:
    """What one script that needs ``extras`` gives to pip."""
    calls = checkout / "calls"
    calls.unlink(missing_ok=True)
    script = ". scripts/environment.sh; check_system_libraries() { :; }; set_up_environment "
    script += " ".join(extras)
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=checkout, check=True)
    return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def extras_of(calls: list[str]) -> list[str]:
    return [call.partition("[")[2].rstrip("]") for call in calls if " install " in f" {call} "]


def test_run_after_test_and_back_installs_nothing_twice(checkout: Path) -> None:
    for_tests = ("cpu", "window", "dev", "train")
    assert extras_of(installed(checkout, *for_tests)) == ["cpu,window,dev,train"]
    assert installed(checkout, "cpu", "window") == []
    assert installed(checkout, *for_tests) == []


def test_test_after_run_installs_what_is_missing(checkout: Path) -> None:
    assert extras_of(installed(checkout, "cpu", "window")) == ["cpu,window"]
    assert extras_of(installed(checkout, "cpu", "window", "dev")) == ["dev"]
    assert installed(checkout, "cpu", "window") == []


def test_what_changed_is_installed_again(checkout: Path) -> None:
    installed(checkout, "cpu", "dev")
    (checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert extras_of(installed(checkout, "cpu")) == ["cpu"]
    assert extras_of(installed(checkout, "cpu", "dev")) == ["dev"]


def test_a_card_that_came_changes_the_runtime(checkout: Path) -> None:
    installed(checkout, "cpu", "window")
    calls = installed(checkout, "cuda", "window")
    assert "-m pip uninstall -y -q onnxruntime" in calls
    assert extras_of(calls) == ["cuda"]
    assert extras_of(installed(checkout, "cpu", "window")) == ["cpu"]


def test_a_failed_install_is_tried_again(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(PYTHON.replace(";;\nesac", "; exit 1 ;;\nesac"), encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        installed(checkout, "cpu")
    python.write_text(PYTHON, encoding="utf-8")
    assert extras_of(installed(checkout, "cpu")) == ["cpu"]
