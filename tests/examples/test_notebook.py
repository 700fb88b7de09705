"""The notebook is as its tool makes it, small, with its pictures, and runs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def code_of(notebook: dict[str, Any]) -> list[str]:
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def pictures_in(notebook: dict[str, Any]) -> list[str]:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    kinds = [kind for output in outputs for kind in output.get("data", ())]
    return [kind for kind in kinds if kind.startswith("image/")]


@pytest.fixture(scope="module")
def stored(repository: Path) -> Path:
    return repository / "examples" / "first_face.ipynb"


def test_it_is_small_and_has_its_pictures(stored: Path) -> None:
    assert stored.stat().st_size < 1_000_000
    notebook = json.loads(stored.read_text(encoding="utf-8"))
    assert len(pictures_in(notebook)) == 4
    assert str(Path.home()) not in stored.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_runs(stored: Path, repository: Path, tmp_path: Path) -> None:
    for needed in ("nbclient", "ipykernel"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install '.[examples]'")
    made = tmp_path / "made.ipynb"
    done = subprocess.run(
        [sys.executable, repository / "tools" / "make_notebook.py", "--out", made],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (stored, made))
    remedy = "run tools/make_notebook.py"
    assert code_of(new) == code_of(old), remedy
    assert pictures_in(new) == pictures_in(old), remedy
