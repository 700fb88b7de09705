"""Triangles and the mesh made of them."""

from __future__ import annotations

import numpy as np

from rtrecon.geometry.surface import grid_triangles
from tests.geometry import scenes
from tests.geometry.scenes import rotation


def test_triangles_are_outward_and_cover_the_face() -> None:
    mesh = scenes.ellipsoid(0.6, rotation(20, 10)).reconstruct().mesh()
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    normals = mesh.normals[mesh.triangles[:, 0]]
    assert ((flat * normals).sum(axis=1) > 0.0).all()
    assert ((flat * a).sum(axis=1) < 0.0).all()  # toward the camera
    assert len(mesh.triangles) > 1.8 * len(mesh.vertices)
    assert mesh.triangles.min() >= 0
    assert mesh.triangles.max() < len(mesh.vertices)


def test_no_triangle_across_a_jump_or_off_the_mask() -> None:
    z = np.full((20, 30), 0.5, dtype=np.float32)
    z[:, 15:] = 0.6
    valid = np.ones(z.shape, dtype=np.bool_)
    valid[8:12, 3:7] = False
    triangles = grid_triangles(z, valid, 0.01)
    assert valid.reshape(-1)[triangles].all()
    assert (np.ptp(z.reshape(-1)[triangles], axis=1) == 0.0).all()
    quads = 2 * (19 * 14 + 19 * 14)
    off_mask = 2 * 25  # 5 x 5 quads touch the 4 x 4 hole
    corners_left = 2  # of which two still have a whole triangle
    assert len(triangles) == quads - off_mask + corners_left


def test_slope_within_the_limit_is_bridged() -> None:
    z = np.tile(np.arange(10, dtype=np.float32) * 0.005, (10, 1)) + 0.5
    valid = np.ones(z.shape, dtype=np.bool_)
    assert len(grid_triangles(z, valid, 0.006)) == 2 * 81
    assert len(grid_triangles(z, valid, 0.004)) == 0


def test_texture_shows_what_the_picture_shows() -> None:
    """Each vertex's texture coordinate leads to the colour of the pixel it projects to."""
    rows, columns = np.mgrid[0:480, 0:640]
    image = np.stack([columns // 4, rows // 4, (columns + rows) // 8], axis=-1).astype(np.uint8)
    for temporal in (True, False):
        for distance_m in (0.7, 0.25):  # texture as it is, and shrunk
            from rtrecon.geometry.stage import GeometryStage

            scene = scenes.ellipsoid(distance_m, rotation(10, 0, 15), at=(0.0, 0.0))
            crop = scene.crop()
            stage = GeometryStage(temporal=temporal, texture_px=300)
            face = stage.reconstruct(
                image, scene.camera, scene.tracked(), crop, scene.relief(crop), 0
            )
            mesh = face.mesh()
            height, width = mesh.texture.shape[:2]
            assert max(height, width) <= 300
            at = np.floor(mesh.uv * (width, height)).astype(int)
            at = np.clip(at, 0, (width - 1, height - 1))
            pixels = scenes.project(mesh.vertices.astype(np.float64), scene.camera)
            shown = mesh.texture[at[:, 1], at[:, 0]].astype(float)
            expected = np.stack([pixels.sum(axis=1) / 8, pixels[:, 1] / 4, pixels[:, 0] / 4], 1)
            assert np.abs(shown - expected).max() < 2.5


def test_the_texture_says_where_the_crop_lies_on_it() -> None:
    """The public matrix leads to the coordinates that the mesh has."""
    face = scenes.ellipsoid(0.6, rotation(15, 5)).reconstruct()
    rows, columns = np.nonzero(face.grid.valid)
    M = face.texture.M_uv_crop
    uv = np.column_stack([columns, rows]) @ M[:, :2].T + M[:, 2]
    mesh = face.mesh()
    assert mesh.uv is not None
    np.testing.assert_allclose(mesh.uv, uv, atol=1e-6)
    height, width = face.texture.image_bgr.shape[:2]
    # The centre of a pixel of the texture, and its place as a coordinate.
    center = face.texture.M_texture_crop @ (50.0, 60.0, 1.0)
    np.testing.assert_allclose(M @ (50.0, 60.0, 1.0), (center + 0.5) / (width, height))


def test_a_meshs_texture_is_the_callers_own() -> None:
    face = scenes.ellipsoid(0.6, rotation(0, 0)).reconstruct()
    before = face.texture.image_bgr.copy()
    mesh = face.mesh()
    assert mesh.texture is not None
    mesh.texture[:] = 7
    np.testing.assert_array_equal(face.texture.image_bgr, before)
    np.testing.assert_array_equal(face.texture.rgb(), before[:, :, ::-1])
