"""A rigged head as USDZ, by OpenUSD's own library (extra ``usd``).

y up, z out of the face, metres, origin between the eyes. One mesh with a subset a material, the
skeleton of its joints, and 52 blend shapes named by ARKit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtrecon._version import __version__
from rtrecon.errors import MissingExtraError, OutputError
from rtrecon.gltf import JPEG_QUALITY, encode_texture
from rtrecon.head.glb import FILE_AXES
from rtrecon.head.lashes import lash_texture, lash_uv
from rtrecon.head.rig import RiggedHead

__all__ = ["check_usd", "encode_usdz"]

_JPEG, _PNG = "./head.jpg", "./lashes.png"
_HELD_BY = 4  # joints a vertex at most


def check_usd() -> None:
    """That the library is there.

    Raises:
        MissingExtraError: it is not; says what installs it.
    """
    try:
        import pxr.Usd  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("usd-core", "usd") from error


def encode_usdz(rigged: RiggedHead) -> bytes:
    """The contents of a ``.usdz``.

    Raises:
        MissingExtraError: ``usd-core`` is not installed.
        OutputError: the package cannot be written.
    """
    check_usd()
    from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdSkel, UsdUtils

    with tempfile.TemporaryDirectory(prefix="rtrecon-") as name:
        folder = Path(name)
        jpeg = encode_texture(rigged.texture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (folder / _JPEG).write_bytes(jpeg)
        png = encode_texture(lash_texture(rigged), ".png", [cv2.IMWRITE_PNG_COMPRESSION, 6])
        (folder / _PNG).write_bytes(png)
        layer = folder / "head.usdc"
        stage = Usd.Stage.CreateNew(str(layer))
        stage.SetMetadata("comment", f"rtrecon {__version__}")
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        root = UsdSkel.Root.Define(stage, "/Head")
        stage.SetDefaultPrim(root.GetPrim())
        mesh = _mesh(stage, rigged)
        _skeleton(stage, mesh, rigged)
        _shapes(stage, mesh, rigged)
        first = np.cumsum([0, *(len(piece.triangles) for piece in rigged.pieces)])
        for k, piece in enumerate(rigged.pieces):
            subset = UsdGeom.Subset.CreateGeomSubset(
                mesh,
                piece.name,
                UsdGeom.Tokens.face,
                _ints(np.arange(first[k], first[k + 1])),
                UsdShade.Tokens.materialBind,
            )
            material = _material(stage, piece.name)
            UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
        UsdShade.MaterialBindingAPI(mesh.GetPrim()).SetMaterialBindSubsetsFamilyType(
            UsdGeom.Tokens.partition
        )
        stage.Save()
        package = folder / "head.usdz"
        done = UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(package))
        if not done:
            raise OutputError("OpenUSD could not make the USDZ package")
        return package.read_bytes()


def _mesh(stage: Any, rigged: RiggedHead) -> Any:
    """Triangles in the order of the pieces."""
    from pxr import Sdf, UsdGeom

    order = np.concatenate([piece.triangles for piece in rigged.pieces])
    mesh = UsdGeom.Mesh.Define(stage, "/Head/Mesh")
    vertices = (rigged.vertices * FILE_AXES).astype(np.float32)
    mesh.CreatePointsAttr(_vectors(vertices))
    mesh.CreateExtentAttr(_vectors(np.stack([vertices.min(axis=0), vertices.max(axis=0)])))
    mesh.CreateFaceVertexCountsAttr(_ints(np.full(len(order), 3)))
    mesh.CreateFaceVertexIndicesAttr(_ints(rigged.triangles[order].reshape(-1)))
    mesh.CreateNormalsAttr(_vectors(rigged.normals * FILE_AXES))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)  # lashes are cards
    uv = rigged.uv[rigged.uv_triangles[order]].reshape(-1, 2)
    first = 0
    for piece in rigged.pieces:
        end = first + 3 * len(piece.triangles)
        if piece.name == "lashes":
            uv[first:end] = lash_uv(uv[first:end])
        first = end
    uv = np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1)
    places = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
    )
    places.Set(_pairs(uv))
    return mesh


def _skeleton(stage: Any, mesh: Any, rigged: RiggedHead) -> None:
    """The joints where they are, and which of them holds what."""
    from pxr import Gf, UsdSkel, Vt

    parents = {joint.name: joint.parent for joint in rigged.joints}

    def path(name: str) -> str:
        above = parents[name]
        return name if above is None else f"{path(above)}/{name}"

    place = {joint.name: joint.position_m * FILE_AXES for joint in rigged.joints}
    bind, rest = [], []
    for joint in rigged.joints:
        above = place[joint.parent] if joint.parent is not None else np.zeros(3)
        bind.append(_moved(Gf, place[joint.name]))
        rest.append(_moved(Gf, place[joint.name] - above))
    skeleton = UsdSkel.Skeleton.Define(stage, "/Head/Skeleton")
    skeleton.CreateJointsAttr([path(joint.name) for joint in rigged.joints])
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray(bind))
    skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray(rest))
    count = min(_HELD_BY, len(rigged.joints))
    held = np.argsort(-rigged.weights, axis=1, kind="stable")[:, :count]
    weights = np.take_along_axis(rigged.weights, held, axis=1)
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    binding.CreateJointIndicesPrimvar(False, count).Set(_ints(held.reshape(-1)))
    binding.CreateJointWeightsPrimvar(False, count).Set(_floats(weights.reshape(-1)))


def _shapes(stage: Any, mesh: Any, rigged: RiggedHead) -> None:
    """ARKit's shapes, with the vertices that each moves; all at rest."""
    from pxr import UsdSkel

    binding = UsdSkel.BindingAPI(mesh.GetPrim())
    targets = []
    for name, shape in zip(rigged.shape_names, rigged.shapes, strict=True):
        moved = np.flatnonzero(np.abs(shape).max(axis=1) > 0.0)
        blend = UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(name))
        blend.CreateOffsetsAttr(_vectors(shape[moved] * FILE_AXES))
        blend.CreatePointIndicesAttr(_ints(moved))
        targets.append(blend.GetPath())
    binding.CreateBlendShapesAttr(list(rigged.shape_names))
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
    animation = UsdSkel.Animation.Define(stage, "/Head/AtRest")
    animation.CreateBlendShapesAttr(list(rigged.shape_names))
    animation.CreateBlendShapeWeightsAttr(_floats(np.zeros(len(rigged.shape_names))))
    skeleton = stage.GetPrimAtPath("/Head/Skeleton")
    UsdSkel.BindingAPI.Apply(skeleton).CreateAnimationSourceRel().SetTargets([animation.GetPath()])


def _material(stage: Any, name: str) -> Any:
    from pxr import Sdf, UsdShade

    types = Sdf.ValueTypeNames
    material = UsdShade.Material.Define(stage, f"/Head/Materials/{name}")
    at = material.GetPath()
    surface = UsdShade.Shader.Define(stage, at.AppendChild("Surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", types.Float).Set(0.65)
    surface.CreateInput("metallic", types.Float).Set(0.0)
    reader = UsdShade.Shader.Define(stage, at.AppendChild("Places"))
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", types.String).Set("st")
    picture = UsdShade.Shader.Define(stage, at.AppendChild("Picture"))
    picture.CreateIdAttr("UsdUVTexture")
    is_lash = name == "lashes"
    picture.CreateInput("file", types.Asset).Set(Sdf.AssetPath(_PNG if is_lash else _JPEG))
    picture.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    picture.CreateInput("st", types.Float2).ConnectToSource(
        reader.CreateOutput("result", types.Float2)
    )
    color = picture.CreateOutput("rgb", types.Float3)
    surface.CreateInput("diffuseColor", types.Color3f).ConnectToSource(color)
    if is_lash:
        surface.CreateInput("opacity", types.Float).ConnectToSource(
            picture.CreateOutput("a", types.Float)
        )
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", types.Token))
    return material


def _moved(Gf: Any, by: Any) -> Any:
    x, y, z = (float(value) for value in by)
    return Gf.Matrix4d(1.0).SetTranslate(Gf.Vec3d(x, y, z))


def _vectors(rows: Any) -> Any:
    from pxr import Vt

    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(rows, dtype=np.float32))


def _pairs(rows: Any) -> Any:
    from pxr import Vt

    return Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(rows, dtype=np.float32))


def _ints(values: Any) -> Any:
    from pxr import Vt

    return Vt.IntArray.FromNumpy(np.ascontiguousarray(values, dtype=np.int32))


def _floats(values: Any) -> Any:
    from pxr import Vt

    return Vt.FloatArray.FromNumpy(np.ascontiguousarray(values, dtype=np.float32))
