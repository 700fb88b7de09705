"""The head that is drawn: whole from every side, smooth, of what was seen and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from rtrecon.draw.head_shell import head_shell
from rtrecon.draw.live_head import HeadView, LiveHead, _Memory
from rtrecon.draw.raster import BACKGROUND, Painted, orbit, paint
from rtrecon.draw.turning import TurningHead
from rtrecon.geometry.reconstruction import FaceReconstruction, Texture
from tests.draw.heads import GREEN, RED, SKIN, head, share_of

SIZE = (320, 320)
WALL = (20, 60, 250)  # RGB of what is behind the head in the picture


def seen_head(noise_m: float = 0.003) -> FaceReconstruction:
    """The painted head as a network would see it: the steeper, the noisier; a wall behind it."""
    face = head()
    grid = face.grid
    steep = 1.0 - np.clip(-grid.normals[..., 2], 0.0, 1.0)
    noise = np.random.default_rng(3).normal(size=steep.shape) * noise_m * (0.1 + 4.0 * steep**2)
    scale = (1.0 + noise / grid.points_camera[..., 2]).astype(np.float32)
    colors = np.where(grid.valid[..., None], grid.colors, np.uint8(WALL))
    face.grid = replace(grid, points_camera=grid.points_camera * scale[..., None], colors=colors)
    face.texture = Texture(np.ascontiguousarray(colors[..., ::-1]), np.eye(2, 3))
    return face


@pytest.fixture(scope="module")
def view() -> HeadView:
    heads, face = LiveHead(), seen_head()
    return [heads(face, 33_000_000 * k) for k in range(4)][-1]


def seen_from(
    surface: Painted, center: np.ndarray, yaw: float, pitch: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    return paint(surface, orbit(yaw, pitch), SIZE, center=center, extent_m=0.36)


def raggedness(alpha: np.ndarray) -> float:
    """Length of the largest outline over its length once smoothed, less one."""
    outlines, _ = cv2.findContours(
        (alpha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    outline = max(outlines, key=len)[:, 0].astype(np.float64)
    if len(outline) < 50:
        return np.inf

    def smoothed(sigma: float) -> float:
        kernel = np.exp(-0.5 * (np.arange(-30, 31) / sigma) ** 2)
        kernel /= kernel.sum()
        line = np.stack(
            [np.convolve(np.pad(outline[:, k], 30, mode="wrap"), kernel, "valid") for k in (0, 1)]
        )
        return float(np.hypot(*np.diff(line, axis=1)).sum())

    return smoothed(1.5) / smoothed(6.0) - 1.0


@pytest.mark.parametrize("pitch", [-20.0, 0.0, 25.0])
@pytest.mark.parametrize("yaw", [-60.0, -45.0, -20.0, 0.0, 30.0, 45.0, 60.0])
def test_from_every_side_it_is_one_piece_without_a_hole(
    view: HeadView, yaw: float, pitch: float
) -> None:
    _, alpha = seen_from(view.surface, view.center, yaw, pitch)
    solid = (alpha > 0).astype(np.uint8)
    assert solid.mean() > 0.1
    assert cv2.connectedComponents(solid)[0] == 2
    assert cv2.connectedComponents(1 - solid, connectivity=8)[0] == 2


@pytest.mark.parametrize("yaw", [-45.0, 0.0, 45.0])
def test_its_outline_is_smooth_where_the_network_s_is_not(view: HeadView, yaw: float) -> None:
    _, alpha = seen_from(view.surface, view.center, yaw)
    assert raggedness(alpha) < 0.04
    mesh = seen_head().mesh()
    count = len(mesh.vertices)
    torn = Painted(
        mesh.vertices,
        mesh.normals,
        mesh.triangles,
        mesh.colors.astype(np.float32),
        np.zeros((count, 2), np.float32),
        np.zeros(count, np.float32),
        np.zeros((1, 1, 3), np.uint8),
    )
    if yaw:
        assert raggedness(seen_from(torn, view.center, yaw)[1]) > 0.08


@pytest.mark.parametrize("yaw", [-60.0, 0.0, 60.0])
def test_nothing_of_the_background_is_on_it(view: HeadView, yaw: float) -> None:
    image, alpha = seen_from(view.surface, view.center, yaw)
    b, _, r = (image[..., k].astype(int) for k in range(3))
    assert not ((alpha > 0) & (b > r) & (b > 60)).any()


def test_from_the_front_it_is_the_picture(view: HeadView) -> None:
    image, _ = seen_from(view.surface, view.center, 0.0)
    red, green = (np.argwhere(share_of(image, c, 60)) for c in (RED, GREEN))
    assert len(red) > 100
    assert len(green) > 100
    assert red[:, 1].mean() < SIZE[0] / 2 < green[:, 1].mean()
    assert share_of(image, SKIN, 60).mean() > 0.1


def test_it_lies_on_the_depth_that_is_seen(view: HeadView) -> None:
    """The ellipsoid's front, which is no face's at all."""
    face = head()
    points = view.surface.vertices
    center = np.array([0.0, 0.0, 0.6 + 0.09])
    radii = np.array([0.075, 0.105, 0.09])
    front = (head_shell().trusting > 0.9) & (view.surface.normals[:, 2] < -0.85)
    front &= np.abs(points[:, 0]) < 0.045
    outside = np.linalg.norm((points[front] - center) / radii, axis=1) - 1.0
    assert front.sum() > 300
    assert np.median(np.abs(outside)) * 0.09 < 0.002
    assert face.id == 0


def test_topology_is_the_same_for_all_and_closed(view: HeadView) -> None:
    shell = head_shell()
    assert view.surface.triangles is shell.triangles
    edges = np.concatenate([shell.triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    there = {tuple(e) for e in edges.tolist()}
    assert len(there) == len(edges)
    assert all((b, a) in there for a, b in there)


def test_each_face_has_a_memory_of_its_own_and_few_are_kept() -> None:
    heads = LiveHead()
    views = [heads(head(face_id=k)) for k in range(20)]
    assert len(heads._memory) == 16
    assert np.isfinite(views[-1].surface.vertices).all()


def test_without_depth_it_is_the_mean_head() -> None:
    face = head()
    face.grid = replace(face.grid, valid=np.zeros_like(face.grid.valid))
    view = LiveHead()(face)
    assert np.isfinite(view.surface.vertices).all()
    assert (view.surface.seen == 0).all()


def test_a_lost_face_s_head_stays_dimmed_under_large_words() -> None:
    turning = TurningHead()
    empty = turning.draw([], SIZE, 0.0)
    shown = turning.draw([head()], SIZE, 0.0).astype(int)
    lost = turning.draw([], SIZE, 0.0).astype(int)
    covered = np.abs(shown - BACKGROUND).max(axis=-1) > 60
    words = lost.min(axis=-1) > 200
    assert words.any(axis=0).sum() > 0.4 * SIZE[0]
    assert (empty.min(axis=-1) > 200).sum() == pytest.approx(words.sum(), rel=0.05)
    under = covered & ~cv2.dilate(words.astype(np.uint8), np.ones((9, 9))).astype(bool)
    left = (lost[under] - BACKGROUND).sum() / (shown[under] - BACKGROUND).sum()
    assert 0.3 < left < 0.5


def test_the_picture_fades_in_at_the_outline_without_a_seam() -> None:
    surface = LiveHead()(head()).surface
    a, b, _ = surface.triangles.T
    assert np.mean(np.abs(surface.seen[a] - surface.seen[b]) > 0.5) < 0.008


@pytest.mark.parametrize(
    ("ear", "covered"), [((120, 90, 50), 1.0), ((60, 45, 25), 1.0), ((150, 120, 105), 0.0)]
)
def test_an_ear_of_the_hairs_colour_is_under_hair(
    ear: tuple[int, int, int], covered: float
) -> None:
    shell = head_shell()
    skin, hair = np.float32([200, 160, 140]), np.float32([120, 90, 50])
    sampled = np.where((shell.ears.max(axis=0) > 0.0)[:, None], np.float32(ear), skin).astype(
        np.float32
    )
    memory = _Memory(shell)
    memory._look_at_ears(np.ones(len(sampled), np.float32), sampled, skin, hair, True)
    assert memory._covered == pytest.approx([covered] * 2)
    laid = memory._head(shell.model.vertices.take(shell.skin, axis=0), 1.0)
    out = _Memory(shell)._head(shell.model.vertices.take(shell.skin, axis=0), 1.0)
    moved = np.linalg.norm(laid - out, axis=1) > 0.002
    assert moved.any() == (covered > 0.0)
    assert not moved[shell.ears.max(axis=0) == 0.0].any()
