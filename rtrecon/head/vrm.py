"""A rigged head as VRM 1.0, or 0.x for the programs that know no other.

https://github.com/vrm-c/vrm-specification: a GLB with a humanoid, of which here there is a head
on a body of empty nodes in T-pose, expressions by name, and a licence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rtrecon._version import __version__
from rtrecon.errors import UserError
from rtrecon.head.glb import FILE_AXES, HeadScene
from rtrecon.head.rig import RiggedHead
from rtrecon.head.vrm_expressions import PRESETS, PRESETS_OF_VRM0

__all__ = ["PERMISSIONS", "VrmMeta", "encode_vrm"]

PERMISSIONS = ("use", "commercial", "modify", "redistribute")
"""What others may be allowed: to act as the avatar, to earn by it, to change it, to pass it on."""

_EYE_LEVEL_M, _EYES_AHEAD_M = 1.60, 0.085
_LOOK_DEG = {"horizontal": 32.0, "vertical": 25.0}  # as the eyes turn for all our outputs
# Parent and place (x to the own left, y up, z ahead) of the bones that are only nodes.
_BODY: dict[str, tuple[str | None, tuple[float, float, float]]] = {
    "hips": (None, (0.0, 0.95, 0.0)),
    "spine": ("hips", (0.0, 1.06, 0.0)),
    "chest": ("spine", (0.0, 1.20, -0.01)),
    "leftUpperArm": ("chest", (0.17, 1.38, -0.02)),
    "leftLowerArm": ("leftUpperArm", (0.44, 1.38, -0.02)),
    "leftHand": ("leftLowerArm", (0.69, 1.38, -0.02)),
    "rightUpperArm": ("chest", (-0.17, 1.38, -0.02)),
    "rightLowerArm": ("rightUpperArm", (-0.44, 1.38, -0.02)),
    "rightHand": ("rightLowerArm", (-0.69, 1.38, -0.02)),
    "leftUpperLeg": ("hips", (0.09, 0.90, 0.0)),
    "leftLowerLeg": ("leftUpperLeg", (0.09, 0.49, 0.0)),
    "leftFoot": ("leftLowerLeg", (0.09, 0.08, -0.02)),
    "rightUpperLeg": ("hips", (-0.09, 0.90, 0.0)),
    "rightLowerLeg": ("rightUpperLeg", (-0.09, 0.49, 0.0)),
    "rightFoot": ("rightLowerLeg", (-0.09, 0.08, -0.02)),
}
_BONE_OF_JOINT = {"Neck": "neck", "Head": "head", "LeftEye": "leftEye", "RightEye": "rightEye"}
_MODEL_LICENCE = (
    "Head model: ICT-FaceKit Light, (c) 2020 USC Institute for Creative Technologies, MIT"
)


@dataclass(frozen=True, slots=True)
class VrmMeta:
    """Whose avatar it is and what others may do with it: nothing, unless it is said.

    Attributes:
        name: of the avatar.
        author: of it; a VRM must name one.
        contact: how to reach them.
        allowed: of `PERMISSIONS`.

    Raises:
        UserError: name or author is empty, or a permission is unknown.
    """

    name: str
    author: str
    contact: str = ""
    allowed: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.author.strip():
            raise UserError("an avatar has a name and an author")
        unknown = [name for name in self.allowed if name not in PERMISSIONS]
        if unknown:
            raise UserError(f"what is allowed is of {', '.join(PERMISSIONS)}, not {unknown[0]!r}")


def encode_vrm(rigged: RiggedHead, meta: VrmMeta, version: Literal[0, 1] = 1) -> bytes:
    """The contents of a ``.vrm``.

    Args:
        rigged: the head.
        meta: name and licence.
        version: 1 is VRM 1.0, whose avatars face +z; 0 is 0.x, whose avatars face -z.

    Raises:
        OutputError: the texture cannot be encoded.
    """
    turn = np.array([1.0, 1.0, 1.0] if version == 1 else [-1.0, 1.0, -1.0])
    x, y, z = np.array(FILE_AXES) * turn
    scene = HeadScene.of(
        rigged, axes=(x, y, z), origin_m=(0.0, _EYE_LEVEL_M, _EYES_AHEAD_M * float(turn[2]))
    )
    bones = _add_body(scene, turn)
    document = scene.document
    if version == 1:
        document["extensionsUsed"] = ["VRMC_vrm"]
        document["extensions"] = {"VRMC_vrm": _vrm1(scene, rigged, meta, bones)}
    else:
        document["extensionsUsed"] = ["VRM"]
        document["extensions"] = {"VRM": _vrm0(scene, rigged, meta, bones)}
    return scene.assemble()


def _add_body(scene: HeadScene, turn: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, int]:
    """Put the head on a body of nodes; returns the node of each bone."""
    nodes = scene.document["nodes"]
    bones = {bone: scene.joint_nodes[joint] for joint, bone in _BONE_OF_JOINT.items()}
    for bone, (parent, place) in _BODY.items():
        above = np.array(_BODY[parent][1]) if parent is not None else np.zeros(3)
        bones[bone] = len(nodes)
        offset = (np.array(place) - above) * turn
        nodes.append({"name": bone, "translation": [round(float(v), 6) for v in offset]})
        if parent is not None:
            nodes[bones[parent]].setdefault("children", []).append(bones[bone])
    neck, chest = nodes[bones["neck"]], np.array(_BODY["chest"][1]) * turn
    neck["translation"] = [round(float(v), 6) for v in np.array(neck["translation"]) - chest]
    nodes[bones["chest"]]["children"].insert(0, bones["neck"])
    scene.document["scenes"][0]["nodes"] = [scene.mesh_node, bones["hips"]]
    return bones


def _eyes_from_head(scene: HeadScene, rigged: RiggedHead) -> list[float]:
    place = {joint.name: joint.position_m for joint in rigged.joints}
    offset = ((place["LeftEye"] + place["RightEye"]) / 2.0 - place["Head"]) * scene.axes
    return [round(float(v), 6) for v in offset]


def _vrm1(
    scene: HeadScene, rigged: RiggedHead, meta: VrmMeta, bones: dict[str, int]
) -> dict[str, Any]:
    index = {name: k for k, name in enumerate(rigged.shape_names)}

    def expression(weights: dict[str, float]) -> dict[str, Any]:
        binds = [
            {"node": scene.mesh_node, "index": index[name], "weight": weight}
            for name, weight in weights.items()
        ]
        return {"isBinary": False, "morphTargetBinds": binds}

    def look(degrees: float) -> dict[str, float]:
        return {"inputMaxValue": degrees, "outputScale": degrees}

    changes = "prohibited"
    if "modify" in meta.allowed:
        shares = "redistribute" in meta.allowed
        changes = "allowModificationRedistribution" if shares else "allowModification"
    licence = {
        "name": meta.name,
        "version": __version__,
        "authors": [meta.author],
        "licenseUrl": "https://vrm.dev/licenses/1.0/",
        "thirdPartyLicenses": _MODEL_LICENCE,
        "avatarPermission": "everyone" if "use" in meta.allowed else "onlyAuthor",
        "commercialUsage": "corporation" if "commercial" in meta.allowed else "personalNonProfit",
        "creditNotation": "required",
        "allowRedistribution": "redistribute" in meta.allowed,
        "modification": changes,
        "allowExcessivelyViolentUsage": False,
        "allowExcessivelySexualUsage": False,
        "allowPoliticalOrReligiousUsage": False,
        "allowAntisocialOrHateUsage": False,
    }
    if meta.contact:
        licence["contactInformation"] = meta.contact
    return {
        "specVersion": "1.0",
        "meta": licence,
        "humanoid": {"humanBones": {bone: {"node": node} for bone, node in bones.items()}},
        "firstPerson": {"meshAnnotations": [{"node": scene.mesh_node, "type": "thirdPersonOnly"}]},
        "lookAt": {
            "type": "bone",
            "offsetFromHeadBone": _eyes_from_head(scene, rigged),
            "rangeMapHorizontalInner": look(_LOOK_DEG["horizontal"]),
            "rangeMapHorizontalOuter": look(_LOOK_DEG["horizontal"]),
            "rangeMapVerticalDown": look(_LOOK_DEG["vertical"]),
            "rangeMapVerticalUp": look(_LOOK_DEG["vertical"]),
        },
        "expressions": {
            "preset": {name: expression(weights) for name, weights in PRESETS.items()},
            "custom": {name: expression({name: 1.0}) for name in rigged.shape_names},
        },
    }


def _vrm0(
    scene: HeadScene, rigged: RiggedHead, meta: VrmMeta, bones: dict[str, int]
) -> dict[str, Any]:
    index = {name: k for k, name in enumerate(rigged.shape_names)}

    def group(name: str, preset: str, weights: dict[str, float]) -> dict[str, Any]:
        binds = [
            {"mesh": 0, "index": index[shape], "weight": 100.0 * weight}
            for shape, weight in weights.items()
        ]
        return {
            "name": name,
            "presetName": preset,
            "isBinary": False,
            "binds": binds,
            "materialValues": [],
        }

    def look(degrees: float) -> dict[str, Any]:
        return {"curve": [0, 0, 0, 1, 1, 1, 1, 0], "xRange": degrees, "yRange": degrees}

    presets = [
        group(name, preset, PRESETS[of_vrm1]) for name, (preset, of_vrm1) in PRESETS_OF_VRM0.items()
    ]
    # "Perfect sync" clips are ARKit's names with a capital.
    arkit = [group(name[0].upper() + name[1:], "unknown", {name: 1.0}) for name in index]
    x, y, z = _eyes_from_head(scene, rigged)
    shares = "redistribute" in meta.allowed
    return {
        "exporterVersion": f"rtrecon {__version__}",
        "specVersion": "0.0",
        "meta": {
            "title": meta.name,
            "version": __version__,
            "author": meta.author,
            "contactInformation": meta.contact,
            "reference": _MODEL_LICENCE,
            "allowedUserName": "Everyone" if "use" in meta.allowed else "OnlyAuthor",
            "violentUssageName": "Disallow",
            "sexualUssageName": "Disallow",
            "commercialUssageName": "Allow" if "commercial" in meta.allowed else "Disallow",
            "licenseName": "Other" if shares else "Redistribution_Prohibited",
            "otherPermissionUrl": "",
            "otherLicenseUrl": "",
        },
        "humanoid": {
            "humanBones": [
                {"bone": bone, "node": node, "useDefaultValues": True}
                for bone, node in bones.items()
            ]
        },
        "firstPerson": {
            "firstPersonBone": bones["head"],
            "firstPersonBoneOffset": {"x": x, "y": y, "z": z},
            "meshAnnotations": [{"mesh": 0, "firstPersonFlag": "ThirdPersonOnly"}],
            "lookAtTypeName": "Bone",
            "lookAtHorizontalInner": look(_LOOK_DEG["horizontal"]),
            "lookAtHorizontalOuter": look(_LOOK_DEG["horizontal"]),
            "lookAtVerticalDown": look(_LOOK_DEG["vertical"]),
            "lookAtVerticalUp": look(_LOOK_DEG["vertical"]),
        },
        "blendShapeMaster": {"blendShapeGroups": presets + arkit},
        "secondaryAnimation": {"boneGroups": [], "colliderGroups": []},
        "materialProperties": [
            {"name": piece.name, "shader": "VRM_USE_GLTFSHADER", "renderQueue": 2000}
            | {"floatProperties": {}, "vectorProperties": {}, "textureProperties": {}}
            | {"keywordMap": {}, "tagMap": {}}
            for piece in rigged.pieces
        ],
    }
