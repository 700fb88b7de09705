"""Checkpoints and exported models, made once a session."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A function from a family's name to the folder of its tiny checkpoint."""
    from tests.models.checkpoints import save_checkpoint

    torch.set_num_threads(1)
    made = {}

    def make(family: str):
        if family not in made:
            folder = tmp_path_factory.mktemp("checkpoints") / f"tiny-{family}"
            folder.mkdir()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                save_checkpoint(family, folder)
            made[family] = folder
        return made[family]

    return make


@pytest.fixture(scope="session")
def crops_folder(tmp_path_factory):
    """Three frames of the bundled clip: faces, quickly found."""
    import cv2

    from rtrecon.capture import open_source

    folder = tmp_path_factory.mktemp("pictures")
    with open_source("demo") as source:
        for k, frame in enumerate(source):
            if k % 40 == 0:
                cv2.imwrite(str(folder / f"{k:03d}.png"), frame.image)
            if k == 120:
                break
    return folder


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """The user's models folder and cache, empty."""
    from rtrecon.depth import store
    from rtrecon.depth.providers import engines

    monkeypatch.setattr(store.platformdirs, "user_data_dir", lambda *a, **k: str(tmp_path / "data"))
    monkeypatch.setattr(
        engines.platformdirs, "user_cache_dir", lambda *a, **k: str(tmp_path / "cache")
    )
    return tmp_path / "data" / "models"
