from __future__ import annotations

import numpy as np

from rtrecon.draw.raster import render_views
from rtrecon.draw.sheet import draw_preview
from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.portrait import depth_colors
from rtrecon.geometry.rasterize import rasterize
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.face_mesh import face_mesh


def test_raster_covers_the_triangle_and_no_more() -> None:
    points = np.array([[2.0, 2.0], [2.0, 12.0], [12.0, 2.0]], dtype=np.float32)
    hit = rasterize(points, np.zeros(3, np.float32), np.array([[0, 1, 2]], np.int32), 20, 16)
    rows, columns = np.divmod(hit.pixel, 20)
    assert len(hit.pixel) == 66  # (x, y) with x, y >= 2 and x + y <= 14
    assert (columns + rows <= 14).all()
    at = (points[None] * hit.weights[:, :, None]).sum(axis=1)
    np.testing.assert_allclose(at, np.stack([columns, rows], axis=1), atol=1e-4)


def test_raster_nearer_triangle_wins() -> None:
    square = np.array([[0, 0], [0, 9], [9, 0], [9, 9]], dtype=np.float32)
    points = np.concatenate([square, square])
    depth = np.array([2.0] * 4 + [1.0] * 4, dtype=np.float32)
    triangles = np.array([[0, 1, 2], [2, 1, 3], [4, 5, 6], [6, 5, 7]], dtype=np.int32)
    hit = rasterize(points, depth, triangles, 10, 10)
    assert len(hit.pixel) == 100
    assert (hit.triangle >= 2).all()


def test_raster_off_the_picture_is_nothing() -> None:
    points = np.array([[-9, -9], [-9, -2], [-2, -9]], dtype=np.float32)
    hit = rasterize(points, np.zeros(3, np.float32), np.array([[0, 1, 2]], np.int32), 8, 8)
    assert len(hit.pixel) == 0


def test_views_turn_the_right_way() -> None:
    # A red wall at the picture's left and a green one at its right, seen edge on.
    vertices = np.array(
        [[side, y, z] for side in (-0.1, 0.1) for z in (0.5, 0.7) for y in (-0.1, 0.1)],
        dtype=np.float32,
    )
    triangles = np.array([[0, 1, 2], [2, 1, 3], [4, 5, 6], [6, 5, 7]], dtype=np.int32)
    front = np.array(
        [[-0.1, -0.1, 0.5], [-0.1, 0.1, 0.5], [0.1, -0.1, 0.5], [0.1, 0.1, 0.5]], np.float32
    )
    vertices = np.concatenate([vertices, front])
    triangles = np.concatenate([triangles, np.array([[8, 9, 10], [10, 9, 11]], np.int32)])
    colors = np.array([[255, 0, 0]] * 4 + [[0, 255, 0]] * 4 + [[0, 0, 255]] * 4, np.uint8)
    normals = np.tile(np.array([0, 0, -1], np.float32), (12, 1))
    mesh = Mesh(vertices, triangles, normals, colors)
    center = np.array([0.0, 0.0, 0.6])
    _, left = render_views(mesh, -35, 80, 80, span_m=0.5, center_camera=center)
    _, right = render_views(mesh, 35, 80, 80, span_m=0.5, center_camera=center)
    paper = (left.astype(int) > 240).all(axis=2)
    assert ((left[..., 2] > 60) & (left[..., 1] < 40) & ~paper).sum() > 200  # red wall seen
    assert ((left[..., 1] > 60) & (left[..., 2] < 40)).sum() == 0
    assert ((right[..., 1] > 60) & (right[..., 2] < 40)).sum() > 200
    assert ((right[..., 2] > 60) & (right[..., 1] < 40)).sum() == 0


def test_color_depth_is_dark_to_bright_and_marks_nothing() -> None:
    ramp = np.array([[0.0, 5.0, 10.0, np.nan]], dtype=np.float32)
    colored = depth_colors(ramp, 0.0, 10.0).astype(int)
    brightness = colored.sum(axis=2)[0]
    assert brightness[0] < brightness[1] < brightness[2]
    np.testing.assert_array_equal(colored[0, 3], (32, 32, 32))


def test_preview_shows_all_panels(face: FaceReconstruction) -> None:
    image = np.full((96, 96, 3), 200, dtype=np.uint8)
    preview = draw_preview(image, face)
    assert preview.dtype == np.uint8
    assert preview.shape[0] > 600
    assert preview.shape[1] > 1500
    again = draw_preview(image, face, face_mesh(face))
    np.testing.assert_array_equal(preview, again)
    assert (image == 200).all()
    views = preview[:, -690:]
    assert (views.min(axis=2) < 200).mean() > 0.1
