"""Fixtures that many tests share."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import platformdirs
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent

# A shell starts what runs in its background with Ctrl-C ignored, which programs respect: then the
# tests of Ctrl-C, here and in processes of their own, would have nothing to see.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Material beside the checkout that is not in the repository; skips where it is not."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no {path}")
    return path


@pytest.fixture(scope="session")
def face_model_path() -> Path:
    """The parametric face model; skips where it is not, and says in a line where it is."""
    from rtrecon.train.face_model import FACE_MODEL_VARIABLE, WHERE

    named = os.environ.get(FACE_MODEL_VARIABLE)
    path = Path(named) if named else ROOT.parent / "shared/data/ict_facekit/ict_facekit_light.npz"
    if not path.exists():
        (pytest.fail if named else pytest.skip)(f"no face model {path}: {WHERE}")
    return path


@pytest.fixture(scope="session")
def dome_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose network ignores the picture and answers with a dome of relief.

    A real ONNX graph of kind ``relief``: 1 at the middle of the crop, falling to the rim,
    mask on within it. Enough for everything around the network.
    """
    folder = tmp_path_factory.mktemp("models") / "dome"
    folder.mkdir()
    size = 96
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / (size - 1) * 2 - 1
    radius2 = x**2 + y**2
    relief = (0.25 * (1 - radius2))[None, None].astype(np.float32)
    mask = (4 * (0.8 - radius2))[None, None].astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "relief_values"], ["relief"]),
        helper.make_node("Add", ["nothing", "mask_values"], ["mask"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dome",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size, size])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, size, size])
            for name in ("relief", "mask")
        ],
        [
            numpy_helper.from_array(np.zeros((1,), np.float32), "zero"),
            numpy_helper.from_array(relief, "relief_values"),
            numpy_helper.from_array(mask, "mask_values"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    manifest = {
        "name": "dome",
        "kind": "relief",
        "input": {
            "name": "image",
            "size": [size, size],
            "layout": "NCHW",
            "color": "RGB",
            "range": [0, 1],
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
        },
        "outputs": {"relief": "relief", "mask": "mask"},
        "crop": {"kind": "landmarks", "side": 3.8},
        "licence": "Apache-2.0",
        "source": "made by a test",
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def config_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The user's configuration, for this test alone; it is not there yet."""
    folder = tmp_path_factory.getbasetemp() / f"config-{uuid.uuid4().hex}" / "rtrecon"
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(folder))
    return folder


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run ``rtrecon ARGUMENTS``; gives exit code, standard output and standard error."""
    import logging

    from rtrecon.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        logger = logging.getLogger("rtrecon")
        logger.handlers.clear()  # a handler keeps the stream of the test before
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            logger.setLevel(logging.NOTSET)  # --quiet is for that command alone
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
