"""The docs say what is so: public names, fields of files, links; and the site can be built."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import rtrecon

pytestmark = pytest.mark.timeout(600)

Cli = Callable[..., tuple[int, str, str]]

# What a page loads of itself: scripts, styles, pictures, fonts. Links for people are none of it.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=[\"']?(?P<src>[^\"'\s>]+)"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon|dns-prefetch))"
    r"[^>]*\bhref=[\"']?(?P<href>[^\"'\s>]+)"
)
IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?(https?:)?//")


def fields_in(page: str, title: str) -> set[str]:
    """Names in the first column of the tables below a heading."""
    section = page.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.fixture(scope="module")
def formats(repository: Path) -> str:
    return (repository / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_public_name_is_on_the_page(repository: Path) -> None:
    page = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^::: rtrecon\.(\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(set(rtrecon.__all__) - {"__version__"})


def test_figures_of_a_run_are_as_documented(formats: str, run_cli: Cli, tmp_path: Path) -> None:
    stats, folder = tmp_path / "stats.json", tmp_path / "recording"
    options = ["--view", "none", "--every-frame", "--max-frames", "3", "--quiet"]
    code, _, said = run_cli("run", "demo", *options, "--record", folder, "--stats", stats)
    assert code == 0, said
    written = json.loads(stats.read_text(encoding="utf-8"))
    assert fields_in(formats, "Figures of a run") == set(written)
    row = json.loads((folder / "poses.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert fields_in(formats, "A recording") == set(row)
    assert all(f"`{name}`" in formats for name in row["faces"][0])


def test_a_face_in_a_file_is_as_documented(formats: str, repository: Path, tmp_path: Path) -> None:
    (face,) = rtrecon.reconstruct(repository / "tests/data/faces/portrait.jpg", faces=1)
    rtrecon.save(face, tmp_path / "face.npz")
    with np.load(tmp_path / "face.npz", allow_pickle=False) as data:
        assert fields_in(formats, "A face: NPZ") == set(data)
        for name in data:
            kind = {"U": "text"}.get(data[name].dtype.kind, data[name].dtype.name)
            assert f"| `{name}` | {kind} (" in formats


def pages(repository: Path) -> Iterator[Path]:
    yield from repository.glob("*.md")
    yield from (repository / "docs").rglob("*.md")
    yield from (repository / "examples").glob("*.md")


def test_links_lead_to_files_that_are_there(repository: Path) -> None:
    broken = []
    for page in pages(repository):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(repository)}: {target}")
    assert broken == []


@pytest.mark.slow
def test_the_site_is_built_and_fetches_nothing(repository: Path, tmp_path: Path) -> None:
    if find_spec("mkdocs") is None or find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: pip install '.[docs]'")
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=repository,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = sorted(site.rglob("*.html"))
    assert len(made) > 20
    for page in made:
        for match in LOADED.finditer(page.read_text(encoding="utf-8")):
            assert "//" not in (match["src"] or match["href"]), f"{page}: {match[0]}"
    for style in site.rglob("*.css"):
        assert not IN_STYLES.search(style.read_text(encoding="utf-8")), style
    assert "points_camera" in (site / "api.html").read_text(encoding="utf-8")
