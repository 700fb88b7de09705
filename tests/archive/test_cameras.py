"""A camera's actor, and the shared depth model, without Ray: it alone carries calls to and fro."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtrecon.archive.cameras import Cameras, CameraWorker, DepthServer, SharedDepthModel
from rtrecon.errors import ArgumentError, SourceError
from rtrecon.pipeline import Reconstructor, ReconstructorConfig
from rtrecon.types import Frame
from tests.archive.films import demo_pictures

CONFIG = ReconstructorConfig(provider="cpu", threads=1)


class Handle:
    """As Ray's of an actor, in this process."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        return types.SimpleNamespace(remote=getattr(self._actor, name))


def test_a_shared_depth_model_gives_what_ones_own_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(get=lambda value: value))
    own, shared = Reconstructor.from_config(CONFIG), Reconstructor.from_config(CONFIG)
    shared.depth_model = SharedDepthModel(Handle(DepthServer(CONFIG)))
    assert shared.model_facts == own.model_facts
    assert shared.depth_model.warmup(1) > 0.0
    for k, picture in enumerate(demo_pictures(0, 6)):
        frame = Frame(picture, k, k * 33_000_000)
        (a,), (b,) = own(frame), shared(frame)
        np.testing.assert_array_equal(a.T_camera_face, b.T_camera_face)
        np.testing.assert_array_equal(a.depth_m, b.depth_m)
        np.testing.assert_array_equal(a.colors, b.colors)
        np.testing.assert_array_equal(np.asarray(a.expression), np.asarray(b.expression))


def test_a_worker_gives_the_newest_result(clip: Path) -> None:
    worker = CameraWorker(str(clip), CONFIG, loop=True)
    try:
        result = None
        while result is None or not result.faces:
            result = worker.newest()
        assert result.state == "running"
        assert result.age_ms >= 0.0
        assert result.faces[0].expression is not None
    finally:
        worker.close()


def test_a_camera_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.mp4"):
        CameraWorker(str(tmp_path / "none.mp4"), CONFIG)


@pytest.mark.parametrize("sources", [[], [0, 0], ["a", "b", "a"]])
def test_each_camera_once(sources: list[Any]) -> None:
    with pytest.raises(ArgumentError, match="each once"):
        Cameras(sources)
