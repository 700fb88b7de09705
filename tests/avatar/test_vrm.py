"""Bones of VRM models, and files that are none."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from rtrecon.avatar.vrm import bone_offsets
from rtrecon.errors import DataError
from rtrecon.output import Run
from rtrecon.outputs.avatars import VmcOutput
from rtrecon.outputs.registry import make_output
from tests.avatar.faces import sample
from tests.avatar.test_osc import read

NODES = [
    {"name": "neck"},
    {"name": "head", "translation": [0.0, 0.11, 0.02]},
    {"name": "eye", "translation": [0.03, 0.05, 0.04]},
]
ONE = {
    "nodes": NODES,
    "extensions": {
        "VRMC_vrm": {
            "humanoid": {
                "humanBones": {"neck": {"node": 0}, "head": {"node": 1}, "leftEye": {"node": 2}}
            }
        }
    },
}
ZERO = {
    "nodes": [*NODES[:2], {"translation": [-0.03, 0.05, -0.04]}],
    "extensions": {
        "VRM": {
            "humanoid": {
                "humanBones": [{"bone": "head", "node": 1}, {"bone": "leftEye", "node": 2}]
            }
        }
    },
}


def glb(model: Any, kind: int = 0x4E4F534A) -> bytes:
    data = model if isinstance(model, bytes) else json.dumps(model).encode()
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(data), len(data), kind) + data


def test_version_1() -> None:
    found = bone_offsets(io.BytesIO(glb(ONE)))
    assert found == {"Head": (0.0, 0.11, 0.02), "LeftEye": (-0.03, 0.05, 0.04)}


def test_version_0_looks_the_other_way() -> None:
    found = bone_offsets(io.BytesIO(glb(ZERO)))
    assert found == {"Head": (0.0, 0.11, -0.02), "LeftEye": (-0.03, 0.05, 0.04)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK" + bytes(40),
        glb(ONE, kind=0x004E4942),
        glb(b"{"),
        glb(b"[1, 2]"),
        glb(b"[" * 100_000),
        glb({"nodes": [], "extensions": {}}),
        glb({**ONE, "nodes": NODES[:1]}),
        glb({**ONE, "nodes": [NODES[0], {"translation": [0, "x", 0]}, NODES[2]]}),
        glb({**ONE, "nodes": [NODES[0], {"translation": [0, float("nan"), 0]}, NODES[2]]}),
        glb({"nodes": NODES, "extensions": {"VRM": {"humanoid": {"humanBones": []}}}}),
        glb(ONE)[:60],
    ],
    ids=[
        "empty",
        "zip",
        "binary",
        "cut",
        "list",
        "deep",
        "no vrm",
        "no node",
        "text",
        "nan",
        "headless",
        "short",
    ],
)
def test_files_that_are_none(data: bytes) -> None:
    with pytest.raises(DataError, match="it is no VRM"):
        bone_offsets(io.BytesIO(data))


def test_another_model_is_told_from_a_broken_one() -> None:
    for model in ({"nodes": NODES}, {"nodes": NODES, "extensions": {}}):
        with pytest.raises(DataError, match="it is no VRM but another binary glTF"):
            bone_offsets(io.BytesIO(glb(model)))


def test_a_models_own_bones_are_sent(tmp_path: Path) -> None:
    path = tmp_path / "me.vrm"
    path.write_bytes(glb(ONE))
    output = make_output(f"vmc?avatar={path}")
    assert isinstance(output, VmcOutput)
    output.open(Run())
    bones = {str(a[0]): a for address, a in read(output._encode(sample())) if "Bone" in address}
    output.close()
    assert bones["Head"][1:4] == pytest.approx((0.0, 0.11, 0.02))
    assert bones["LeftEye"][1:4] == pytest.approx((-0.03, 0.05, 0.04))
    assert bones["RightEye"][1:4] == pytest.approx((0.02, 0.06, 0.02))


def test_a_model_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "me.vrm").write_bytes(b"no")
    for name, words in {"me.vrm": "it is no VRM", "you.vrm": "No such file"}.items():
        with pytest.raises(DataError, match=words) as caught:
            make_output(f"vmc?avatar={tmp_path / name}").open(Run())
        assert name in str(caught.value)
