from __future__ import annotations

import numpy as np

from rtrecon.geometry.mesh import piece_labels
from rtrecon.mesh.grid_mesh import (
    calm_border,
    calm_sides,
    clean_grid_mesh,
    close_holes,
    trim_border,
)
from tests.mesh.faces import make_face


def test_small_hole_is_closed_with_the_surface_around_it() -> None:
    face = make_face()
    truth = face.grid.points_camera.copy()
    face.grid.valid[60:63, 50:53] = False
    face.grid.points_camera[60:63, 50:53] = 7.0  # without meaning
    mesh = clean_grid_mesh(face.grid)
    distance = np.linalg.norm(mesh.vertices - truth[61, 51], axis=1)
    assert distance.min() < 0.0005


def test_large_hole_stays_open() -> None:
    valid = np.ones((64, 64), dtype=bool)
    valid[20:40, 20:40] = False
    valid[5:7, 5:7] = False
    closed = close_holes(valid)
    assert not closed[30, 30]
    assert closed[5:7, 5:7].all()


def test_gap_at_the_edge_is_no_hole() -> None:
    valid = np.ones((64, 64), dtype=bool)
    valid[:2, 30] = False
    assert not close_holes(valid)[0, 30]


def test_threads_on_the_border_go() -> None:
    y, x = np.mgrid[0:96, 0:96]
    valid = (x - 48) ** 2 + (y - 48) ** 2 < 30**2
    disc = valid.copy()
    valid[48, 78:95] = True
    valid[2:5, 2:5] = True
    trimmed = trim_border(valid)
    assert not trimmed[48, 84:].any()
    assert not trimmed[:6, :6].any()
    assert (trimmed & disc).sum() > 0.98 * disc.sum()


def test_straps_on_the_border_go_and_ears_stay() -> None:
    y, x = np.mgrid[0:192, 0:192]
    head = (x - 96) ** 2 + (y - 96) ** 2 < 50**2
    ear = (abs(x - 150) < 12) & (abs(y - 96) < 12)
    strap = (abs(x - 60) < 4) & (y > 120) & (y < 190)
    trimmed = trim_border(head | ear | strap)
    assert not trimmed[155:].any()
    assert trimmed[90:102, 159].all()


def test_no_triangle_bridges_a_depth_jump() -> None:
    face = make_face()
    face.grid.points_camera[:, 48:] *= 1.3  # the right half 13 cm behind
    mesh = clean_grid_mesh(face.grid)
    corners = mesh.vertices[mesh.triangles]
    assert np.ptp(corners[:, :, 2], axis=1).max() < 0.03
    # One piece is left: the other half hangs in the air.
    assert (mesh.vertices[:, 2].max() < 0.5) or (mesh.vertices[:, 2].min() > 0.5)


def test_grazing_border_is_cut_back() -> None:
    face = make_face()
    valid = face.grid.valid
    rim = valid & ~trim_border(np.pad(valid[2:-2, 2:-2], 2))
    before = face.grid.points_camera.copy()
    face.grid.points_camera[:, 80:] *= 1 + 0.05 * np.arange(16)[:, None]
    mesh = clean_grid_mesh(face.grid)
    assert mesh.vertices[:, 2].max() < before[valid][:, 2].max() + 0.02
    assert rim.sum() < valid.sum()


def test_piece_labels() -> None:
    triangles = np.array([[0, 1, 2], [2, 1, 5], [3, 4, 6]], dtype=np.int32)
    np.testing.assert_array_equal(piece_labels(triangles, 8), [0, 0, 0, 3, 3, 0, 3, 7])


def test_uv_are_pixel_centres() -> None:
    face = make_face()
    mesh = clean_grid_mesh(face.grid)
    assert mesh.uv is not None
    assert mesh.texture is not None
    column, row = (mesh.uv * 96 - 0.5).round().astype(int).T
    np.testing.assert_array_equal(mesh.texture[row, column], mesh.colors)


def test_streaks_on_a_steep_side_are_calmed_and_the_front_stays() -> None:
    rows, columns = np.mgrid[0:30, 0:30].astype(np.float32)
    z = 0.5 + 0.006 * np.maximum(columns - 12, 0)  # 6 mm a pixel of 0.5 mm: steep
    z[::2, 16:] += 0.004
    points = np.stack([columns * 1e-3 * z, rows * 1e-3 * z, z], axis=-1).astype(np.float32)
    a = (np.arange(29)[:, None] * 30 + np.arange(29)).ravel()
    triangles = np.concatenate(
        [np.stack([a, a + 30, a + 1], 1), np.stack([a + 1, a + 30, a + 31], 1)]
    ).astype(np.int32)
    calm = calm_sides(points.reshape(-1, 3), triangles).reshape(30, 30, 3)
    rough = np.abs(np.diff(calm[8:-8, 20:25, 2], axis=0)).mean()
    assert rough < 0.4 * np.abs(np.diff(points[8:-8, 20:25, 2], axis=0)).mean()
    np.testing.assert_array_equal(calm[:, :10], points[:, :10])
    np.testing.assert_array_equal(calm[0], points[0])
    np.testing.assert_allclose(
        calm[..., :2] / calm[..., 2:], points[..., :2] / points[..., 2:], rtol=1e-5
    )


def test_comb_on_the_border_is_calmed_along_the_rays() -> None:
    rows, columns = np.mgrid[0:30, 0:12].astype(np.float32)
    z = np.full((30, 12), 0.5, dtype=np.float32)
    z[::2, -1] += 0.02  # every other row reaches 20 mm further round the side
    points = np.stack([columns * 1e-3 * z, rows * 1e-3 * z, z], axis=-1).reshape(-1, 3)
    a = (np.arange(29)[:, None] * 12 + np.arange(11)).ravel()
    triangles = np.concatenate(
        [np.stack([a, a + 12, a + 1], 1), np.stack([a + 1, a + 12, a + 13], 1)]
    ).astype(np.int32)
    calm = calm_border(points, triangles)
    side = calm[:, 2].reshape(30, 12)[3:-3, -1]
    assert np.ptp(side) < 0.002
    assert abs(float(side.mean()) - 0.51) < 0.002
    np.testing.assert_allclose(calm[:, :2] / calm[:, 2:], points[:, :2] / points[:, 2:], rtol=1e-5)
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_array_equal(calm.reshape(30, 12, 3)[inner], points.reshape(30, 12, 3)[inner])
