from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest

from rtrecon.avatar.vrm import bone_offsets
from rtrecon.errors import UserError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.head.rig import RiggedHead
from rtrecon.head.vrm import VrmMeta, encode_vrm
from rtrecon.head.vrm_expressions import PRESETS

# What the specifications call required, and the bones that VRM 0 wants besides.
BONES = [
    "hips", "spine", "chest", "neck", "head",
    *(f"{side}{part}" for side in ("left", "right")
      for part in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")),
]  # fmt: skip
VRM1_PRESETS = [
    "happy", "angry", "sad", "relaxed", "surprised", "aa", "ih", "ou", "ee", "oh", "blink",
    "blinkLeft", "blinkRight", "lookUp", "lookDown", "lookLeft", "lookRight", "neutral",
]  # fmt: skip
VRM0_PRESETS = [
    "neutral", "a", "i", "u", "e", "o", "blink", "joy", "angry", "sorrow", "fun", "lookup",
    "lookdown", "lookleft", "lookright", "blink_l", "blink_r",
]  # fmt: skip


def document(content: bytes) -> dict[str, Any]:
    size = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[20 : 20 + size])


@pytest.fixture(scope="module")
def vrm1(rigged: RiggedHead) -> dict[str, Any]:
    return document(encode_vrm(rigged, VrmMeta("Me", "Myself")))


@pytest.fixture(scope="module")
def vrm0(rigged: RiggedHead) -> dict[str, Any]:
    return document(encode_vrm(rigged, VrmMeta("Me", "Myself"), 0))


def places(read: dict[str, Any]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def walk(index: int, above: np.ndarray) -> None:
        node = read["nodes"][index]
        found[node["name"]] = above + node.get("translation", (0.0, 0.0, 0.0))
        assert "rotation" not in node
        for child in node.get("children", ()):
            walk(child, found[node["name"]])

    for root in read["scenes"][0]["nodes"]:
        walk(root, np.zeros(3))
    return found


def test_vrm1_has_what_is_required(vrm1: dict[str, Any]) -> None:
    assert vrm1["extensionsUsed"] == ["VRMC_vrm"]
    own = vrm1["extensions"]["VRMC_vrm"]
    assert own["specVersion"] == "1.0"
    assert own["meta"]["name"] == "Me"
    assert own["meta"]["authors"] == ["Myself"]
    assert own["meta"]["licenseUrl"] == "https://vrm.dev/licenses/1.0/"
    bones = own["humanoid"]["humanBones"]
    assert set(BONES) | {"leftEye", "rightEye"} == set(bones)
    assert len({bone["node"] for bone in bones.values()}) == len(bones)
    assert set(own["expressions"]["preset"]) == set(VRM1_PRESETS)
    assert tuple(own["expressions"]["custom"]) == ARKIT_NAMES
    assert own["lookAt"]["type"] == "bone"


def test_vrm1_expressions_name_their_targets(vrm1: dict[str, Any]) -> None:
    expressions = vrm1["extensions"]["VRMC_vrm"]["expressions"]
    names = vrm1["meshes"][0]["extras"]["targetNames"]
    for name, expression in expressions["custom"].items():
        (bind,) = expression["morphTargetBinds"]
        assert names[bind["index"]] == name
        assert vrm1["nodes"][bind["node"]]["mesh"] == 0
    for name, expression in expressions["preset"].items():
        binds = {names[bind["index"]]: bind["weight"] for bind in expression["morphTargetBinds"]}
        assert binds == PRESETS[name]
        assert all(0.0 < weight <= 1.0 for weight in binds.values())
        if name not in ("neutral",):
            assert binds


def test_nothing_is_allowed_unless_it_is_said(vrm1: dict[str, Any], rigged: RiggedHead) -> None:
    meta = vrm1["extensions"]["VRMC_vrm"]["meta"]
    assert meta["avatarPermission"] == "onlyAuthor"
    assert meta["commercialUsage"] == "personalNonProfit"
    assert meta["modification"] == "prohibited"
    assert not any(value for key, value in meta.items() if key.startswith("allow"))
    free = VrmMeta("Me", "Myself", "me@here", ("use", "commercial", "modify", "redistribute"))
    meta = document(encode_vrm(rigged, free))["extensions"]["VRMC_vrm"]["meta"]
    assert meta["avatarPermission"] == "everyone"
    assert meta["commercialUsage"] == "corporation"
    assert meta["modification"] == "allowModificationRedistribution"
    assert meta["allowRedistribution"]
    assert meta["contactInformation"] == "me@here"


def test_body_is_a_person_who_stands(vrm1: dict[str, Any]) -> None:
    place = places(vrm1)
    assert place["hips"][1] < place["chest"][1] < place["Neck"][1] < place["Head"][1] < 1.6
    assert place["LeftEye"][1] == pytest.approx(1.6, abs=0.02)
    assert place["leftHand"][0] > 0.5 > -0.5 > place["rightHand"][0]
    assert place["LeftEye"][0] > 0.02
    assert place["LeftEye"][2] > place["Head"][2]  # it faces +z
    assert place["leftFoot"][1] < 0.15


def test_vrm0_faces_the_other_way(vrm0: dict[str, Any], vrm1: dict[str, Any]) -> None:
    own = vrm0["extensions"]["VRM"]
    assert {bone["bone"] for bone in own["humanoid"]["humanBones"]} >= set(BONES)
    one, other = places(vrm1), places(vrm0)
    for name, place in one.items():
        np.testing.assert_allclose(other[name], place * (-1.0, 1.0, -1.0), atol=1e-5)
    groups = own["blendShapeMaster"]["blendShapeGroups"]
    presets = [g["presetName"] for g in groups if g["presetName"] != "unknown"]
    assert sorted(presets) == sorted(VRM0_PRESETS)
    by_name = {group["name"]: group for group in groups}
    assert {"JawOpen", "EyeBlinkLeft", "TongueOut"} < set(by_name)
    names = vrm0["meshes"][0]["extras"]["targetNames"]
    (bind,) = by_name["EyeBlinkLeft"]["binds"]
    assert names[bind["index"]] == "eyeBlinkLeft"
    assert bind["weight"] == 100.0
    assert own["meta"]["allowedUserName"] == "OnlyAuthor"


@pytest.mark.parametrize("version", [0, 1])
def test_our_own_vmc_output_finds_its_bones(rigged: RiggedHead, version: int) -> None:
    content = encode_vrm(rigged, VrmMeta("Me", "Myself"), version)
    offsets = bone_offsets(io.BytesIO(content))
    assert offsets["LeftEye"][0] < -0.02 < 0.02 < offsets["RightEye"][0]  # Unity: own right is +x
    assert offsets["Head"][1] > 0.05


def test_a_name_and_an_author_there_must_be() -> None:
    with pytest.raises(UserError, match="author"):
        VrmMeta("Me", " ")
    with pytest.raises(UserError, match="redistribute"):
        VrmMeta("Me", "Myself", allowed=("everything",))
