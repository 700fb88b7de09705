"""A short video with a face, and what is asked of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrecon.archive.units import Options
from tests.archive.films import demo_pictures, write_film

pytest.importorskip("pyarrow", reason="the extra `cluster` is not installed")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One and a half seconds, which are three segments of the options."""
    return write_film(tmp_path_factory.mktemp("clips") / "clip.mp4", demo_pictures(0, 30), rate=20)


@pytest.fixture
def options() -> Options:
    return Options(segment_s=0.5, warm_up_s=0.2, provider="cpu")
