from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pxr.Usd")
from pxr import Gf, Usd, UsdGeom, UsdSkel, UsdValidation, Vt

from rtrecon.errors import MissingExtraError
from rtrecon.head.rig import RiggedHead
from rtrecon.head.usdz import encode_usdz


@pytest.fixture(scope="module")
def path(rigged: RiggedHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("usd") / "me.usdz"
    path.write_bytes(encode_usdz(rigged))
    return path


def test_openusds_validators_find_nothing(path: Path) -> None:
    registry = UsdValidation.ValidationRegistry()
    validators = registry.GetOrLoadAllValidators()
    assert len(validators) > 10
    context = UsdValidation.ValidationContext(validators)
    errors = context.Validate(Usd.Stage.Open(str(path)))
    assert [error.GetMessage() for error in errors] == []


def test_pictures_are_in_the_package(path: Path) -> None:
    with zipfile.ZipFile(path) as package:
        names = package.namelist()
        assert {Path(name).name for name in names} == {"head.usdc", "head.jpg", "lashes.png"}
        assert all(info.compress_type == zipfile.ZIP_STORED for info in package.infolist())


def test_metres_and_axes(path: Path, rigged: RiggedHead) -> None:
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    points = np.array(UsdGeom.Mesh(stage.GetPrimAtPath("/Head/Mesh")).GetPointsAttr().Get())
    np.testing.assert_allclose(points, rigged.vertices * (1, -1, -1), atol=1e-7)


def test_a_shape_and_a_joint_move_what_they_should(path: Path, rigged: RiggedHead) -> None:
    """As OpenUSD itself poses it."""
    stage = Usd.Stage.Open(str(path))
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/Head/AtRest"))
    names = list(animation.GetBlendShapesAttr().Get())
    weights = np.zeros(len(names), dtype=np.float32)
    weights[names.index("jawOpen")] = 1.0
    animation.GetBlendShapeWeightsAttr().Set(Vt.FloatArray.FromNumpy(weights))
    joints = [f"Neck/Head/{name}" for name in ("LeftEye", "RightEye")]
    skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath("/Head/Skeleton"))
    known = list(skeleton.GetJointsAttr().Get())
    rest = skeleton.GetRestTransformsAttr().Get()
    assert set(joints) < set(known)
    animation.CreateJointsAttr(known)
    quarter = Gf.Rotation(Gf.Vec3d(0, 1, 0), 90.0).GetQuat()
    turns = [Gf.Quatf(quarter) if "LeftEye" in name else Gf.Quatf(1) for name in known]
    animation.CreateTranslationsAttr([Gf.Vec3f(m.ExtractTranslation()) for m in rest])
    animation.CreateRotationsAttr(turns)
    animation.CreateScalesAttr([Gf.Vec3h(1, 1, 1)] * len(known))
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetPrimAtPath("/Head")), Gf.Interval(0, 0))
    attribute = UsdGeom.Mesh(stage.GetPrimAtPath("/Head/Mesh")).GetPointsAttr()
    moved = np.array(attribute.Get(0)) - rigged.vertices * (1, -1, -1)
    jaw = rigged.shapes[rigged.shape_names.index("jawOpen")] * (1, -1, -1)
    eyes = {joint.name: rigged.weights[:, k] > 0.5 for k, joint in enumerate(rigged.joints)}
    still = ~eyes["LeftEye"]
    np.testing.assert_allclose(moved[still], jaw[still], atol=1e-5)
    assert np.linalg.norm(moved[eyes["LeftEye"]], axis=1).max() > 0.01


def test_without_the_library_the_command_is_named(
    rigged: RiggedHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pxr.Usd", None)
    with pytest.raises(MissingExtraError, match=r"rtrecon\[usd\]"):
        encode_usdz(rigged)
