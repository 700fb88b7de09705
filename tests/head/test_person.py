"""A whole head of a person, of one picture or more."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.geometry.rasterize import rasterize
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head import texture
from rtrecon.head.fit import fit_head
from rtrecon.head.fitted import FittedHead
from rtrecon.head.layout import layout_of
from rtrecon.head.membrane import membrane_of
from rtrecon.head.model import head_model
from rtrecon.head.person import PersonHead, person_head
from rtrecon.head.regions import regions_of
from rtrecon.head.view import project, toward_camera
from rtrecon.pipeline import reconstruct
from rtrecon.types import BgrImage
from tests.head.seen_heads import CAMERA, CROP, head_of, person, seen

SKIN, HAIR, WALL = (205, 150, 120), (60, 42, 30), (120, 140, 165)
LEFT_CHEEK = (150, 80, 190)  # the person's own left, RGB
TEXTURE_PX = 512


def colors_of(head: FittedHead) -> np.ndarray:
    """(n, 3) RGB of a head's vertices: skin, hair, and a mark on the left cheek."""
    colors = np.full((len(head.model.vertices), 3), SKIN, dtype=np.float32)
    scalp = regions_of(head.model).scalp
    colors[: len(scalp)][scalp > 0.5] = HAIR
    at = head.model.vertices
    cheek = np.linalg.norm(at - at[cheek_vertex()], axis=1) < 0.014
    colors[cheek] = LEFT_CHEEK
    return colors


def cheek_vertex(*, left: bool = True) -> int:
    """In the middle of a cheek."""
    model = head_model()
    at = model.vertices[: model.parts["face"].stop]
    return int(np.linalg.norm(at - (0.033 if left else -0.033, 0.045, -0.005), axis=1).argmin())


def picture_of(head: FittedHead, colors: np.ndarray, clothes: bool = False) -> BgrImage:
    X, model = head.vertices_camera(), head.model
    pixels = project(X, CAMERA).astype(np.float32)
    found = rasterize(pixels, X[:, 2], model.triangles, CAMERA.width, CAMERA.height)
    image = np.full((CAMERA.height * CAMERA.width, 3), WALL, dtype=np.float32)
    image += np.random.default_rng(0).normal(0, 4, image.shape)
    corners = model.triangles[found.triangle]
    image[found.pixel] = (colors[corners] * found.weights[:, :, None]).sum(axis=1)
    if clothes:
        low = (model.vertices[corners, 1] > 0.15).all(axis=1)
        image[found.pixel[low]] = (30, 40, 160)
    image = image.reshape(CAMERA.height, CAMERA.width, 3)[:, :, ::-1]
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))


def with_texture(face: FaceReconstruction, picture: BgrImage) -> FaceReconstruction:
    M = CROP.M_picture_crop
    side = 288
    region = cv2.warpAffine(
        picture, M @ np.diag([2 / 3, 2 / 3, 1.0]), (side, side), flags=cv2.WARP_INVERSE_MAP
    )
    face.texture = dataclasses.replace(
        face.texture,
        image_bgr=np.asarray(region, dtype=np.uint8),
        M_texture_crop=np.array([[1.5, 0, 0], [0, 1.5, 0]]),
    )
    return face


def made(truth: FittedHead, *, clothes: bool = False, **options: bool) -> PersonHead:
    picture = picture_of(truth, colors_of(truth), clothes)
    face = with_texture(seen(truth, **options), picture)
    return person_head(face, fit_head(face), picture, texture_px=TEXTURE_PX)


def texture_at(head: PersonHead, vertex: int) -> np.ndarray:
    triangle, corner = np.argwhere(head.model.triangles == vertex)[0]
    uv = head.model.uv[head.model.uv_triangles[triangle, corner]]
    x, y = np.floor(uv * len(head.texture)).astype(int)
    return np.asarray(head.texture[y, x].astype(float))


@pytest.fixture(scope="module")
def front() -> PersonHead:
    return made(head_of(person(1)))


def test_a_bump_that_the_model_has_not_is_followed() -> None:
    truth = head_of(person(1, 0.5))
    face = with_texture(seen(truth), picture_of(truth, colors_of(truth)))
    grid = face.grid
    spot = face.crop.to_crop(project(truth.vertices_camera()[[cheek_vertex()]], CAMERA))[0]
    rows, columns = np.mgrid[: face.crop.size_px, : face.crop.size_px]
    bump = 0.006 * np.exp(-((columns - spot[0]) ** 2 + (rows - spot[1]) ** 2) / 2 / 12.0**2)
    grid.points_camera[:] *= (
        (grid.points_camera[..., 2:] - bump[..., None]) / grid.points_camera[..., 2:]
    ).astype(np.float32)
    fitted = fit_head(face)
    head = person_head(face, fitted, texture_px=256)
    narrow = np.arange(6706)[regions_of(head.model).coarse[:6706] > 0.9]
    at = face.crop.to_crop(project(head.vertices_camera[narrow], CAMERA).astype(np.float32))
    x, y = np.rint(at).astype(int).T
    facing = toward_camera(head.vertices_camera, head.model.triangles)[narrow] > 0.6
    facing &= grid.normals[y, x, 2] < -0.6
    apart = np.abs(head.vertices_camera[narrow, 2] - grid.points_camera[y, x, 2])[facing]
    assert np.quantile(apart, 0.9) < 0.0015
    bare = np.abs(fitted.vertices_camera()[narrow, 2] - grid.points_camera[y, x, 2])[facing]
    near = np.hypot(*(at[facing] - spot).T) < 12
    assert apart[near].mean() < 0.001 < 0.5 * bare[near].mean()


def test_what_is_not_seen_stays_near_the_model(front: PersonHead) -> None:
    apart = np.linalg.norm(front.vertices - front.fitted.at_rest(), axis=1)
    assert np.isfinite(front.vertices).all()
    behind = front.model.vertices[:, 2] > 0.1
    lashes = np.arange(len(apart)) >= front.model.parts["lashes"].start
    assert apart[behind & ~lashes].max() < 0.012
    assert apart[~lashes].max() < 0.030


def test_picture_is_on_the_face_and_hair_behind(front: PersonHead) -> None:
    np.testing.assert_allclose(texture_at(front, cheek_vertex()), LEFT_CHEEK, atol=30)
    np.testing.assert_allclose(texture_at(front, cheek_vertex(left=False)), SKIN, atol=30)
    at = front.model.vertices
    back = int(np.linalg.norm(at[:14062] - (0.0, -0.03, 0.177), axis=1).argmin())
    nape = int(np.linalg.norm(at[:14062] - (0.0, 0.12, 0.13), axis=1).argmin())
    np.testing.assert_allclose(texture_at(front, back), HAIR, atol=30)
    np.testing.assert_allclose(texture_at(front, nape), SKIN, atol=30)


def test_side_that_was_not_seen_is_the_other_mirrored() -> None:
    head = made(head_of(person(2, 0.6), (55, 0, 0)))
    sides = [texture_at(head, cheek_vertex(left=left)) for left in (True, False)]
    facing = head.fitted.R[2, 0]  # of the left side, away from the camera
    assert abs(facing) > 0.7
    unseen = sides[0] if facing > 0 else sides[1]
    np.testing.assert_allclose(unseen, sides[1] if facing > 0 else sides[0], atol=25)


def test_clothes_are_not_on_the_neck() -> None:
    head = made(head_of(person(1)), clothes=True)
    at = head.model.vertices
    chest = int(np.linalg.norm(at[:9409] - (0.0, 0.19, 0.04), axis=1).argmin())
    np.testing.assert_allclose(texture_at(head, chest), SKIN, atol=45)


def test_an_open_mouth_is_shut_at_rest() -> None:
    head = made(head_of(person(3, 0.6), jawOpen=0.5, mouthSmileLeft=0.6, mouthSmileRight=0.6))
    marks = head.model.landmarks
    inner = head.vertices[marks[[61, 62, 63]], 1], head.vertices[marks[[67, 66, 65]], 1]
    assert np.abs(inner[1] - inner[0]).max() < 0.0015
    seen_gap = head.vertices_camera[marks[66], 1] - head.vertices_camera[marks[62], 1]
    assert seen_gap > 0.006


def test_eyes_are_as_open_as_they_were_seen_unless_shut() -> None:
    model = head_model()
    upper, lower = model.landmarks[[43, 44]], model.landmarks[[47, 46]]

    def opening(blink: float) -> float:
        head = made(head_of(person(3, 0.5), eyeBlinkLeft=blink, eyeBlinkRight=blink))
        return float((head.vertices[lower] - head.vertices[upper])[:, 1].mean())

    wide, narrow, shut = opening(0.0), opening(0.3), opening(0.95)
    assert 0.55 * wide < narrow < 0.95 * wide
    assert shut > 0.8 * wide


def test_eyes_move_with_their_lids(front: PersonHead) -> None:
    model = front.model
    for name, lids in (("eye_right", slice(36, 42)), ("eye_left", slice(42, 48))):
        shift = front.vertices - front.fitted.at_rest()
        apart = shift[model.parts[name]].mean(axis=0) - shift[model.landmarks[lids]].mean(axis=0)
        assert np.linalg.norm(apart) < 0.002


@pytest.mark.parametrize(
    ("turn", "options"),
    [((75, 0, 0), {}), ((0, 0, 0), {"landmarks": False}), ((-40, 30, 20), {})],
)
def test_what_is_seen_badly_gives_a_head(turn, options) -> None:
    head = made(head_of(person(4, 0.6), turn), **options)
    assert np.isfinite(head.vertices).all()
    assert np.abs(head.vertices).max() < 0.3
    assert (head.texture.std(axis=(0, 1)) > 3).all()


def test_half_a_face_and_no_surface_at_all_give_a_head() -> None:
    truth = head_of(person(4, 0.6))
    face = with_texture(seen(truth), picture_of(truth, colors_of(truth)))
    for first in (96, 0):
        face.grid.valid[:, first:] = False
        head = person_head(face, fit_head(face), texture_px=256)
        assert np.isfinite(head.vertices).all()


def test_several_frames_are_blended() -> None:
    heads = [head_of(person(1, 0.6), (yaw, 0, 0)) for yaw in (-50, 0, 50)]
    pictures = [picture_of(head, colors_of(head)) for head in heads]
    faces = [with_texture(seen(h), p) for h, p in zip(heads, pictures, strict=True)]
    head = person_head(faces, heads, pictures, texture_px=TEXTURE_PX)
    np.testing.assert_allclose(texture_at(head, cheek_vertex()), LEFT_CHEEK, atol=25)
    np.testing.assert_allclose(texture_at(head, cheek_vertex(left=False)), SKIN, atol=25)
    assert np.linalg.norm(head.vertices[:6706] - heads[1].at_rest()[:6706], axis=1).mean() < 1e-3


def test_membrane_spreads_and_fades() -> None:
    model = head_model()
    membrane = membrane_of(model)
    at = model.vertices[: membrane.count]
    nose = int(model.landmarks[30])
    weight, target = np.zeros(membrane.count), np.zeros((membrane.count, 1))
    weight[np.linalg.norm(at - at[nose], axis=1) < 0.01] = 1.0
    target[:] = 0.005
    d = membrane.solve(weight, target, 0.002, 0.03)[:, 0]
    assert d[nose] == pytest.approx(0.005, rel=0.1)
    assert d.min() + 1e-5 >= 0.0
    assert d[at[:, 2] > 0.12].max() < 0.0005


def test_every_pixel_of_the_layout_shows_its_vertices() -> None:
    model = head_model()
    layout = layout_of(model, 256)
    shown = layout.spread(model.vertices)
    vertex = int(model.landmarks[30])
    triangle, corner = np.argwhere(model.triangles == vertex)[0]
    x, y = np.floor(model.uv[model.uv_triangles[triangle, corner]] * 256).astype(int)
    assert np.linalg.norm(shown[y, x] - model.vertices[vertex]) < 0.003
    assert np.abs(layout.weights.sum(axis=1) - 1.0).max() < 1e-3


def test_a_fine_picture_is_baked_finely_and_looks_the_same(monkeypatch) -> None:
    truth = head_of(person(1))
    face = with_texture(seen(truth), picture_of(truth, colors_of(truth)))
    coarse = person_head(face, truth, texture_px=2048).texture
    monkeypatch.setattr(texture, "_FINE_PX_PER_M", 1.0)
    fine = person_head(face, truth, texture_px=2048).texture
    face_of_it = np.s_[200:1250, 250:1030]  # without hair, whose grain is another
    apart = np.abs(coarse.astype(float) - fine)[face_of_it]
    assert apart.mean() < 2.0
    assert apart.mean(axis=(1, 2)).max() < 5.0  # no seam where bands meet


@pytest.mark.parametrize("size", [300, 1500])
def test_eyes_are_painted_where_they_are_at_any_size(size: int) -> None:
    truth = head_of(person(1))
    head = person_head(
        with_texture(seen(truth), picture_of(truth, colors_of(truth))), truth, texture_px=size
    )
    assert head.texture.shape == (size, size, 3)
    for name, center in zip(
        ("eye_left", "eye_right"), head.model.eye_centers(head.model.vertices), strict=True
    ):
        eye = head.model.parts[name]
        toward = head.model.vertices[eye] - center
        pupil = eye.start + int((toward[:, 2] / np.linalg.norm(toward, axis=1)).argmin())
        side = eye.start + int(np.abs(toward[:, 0]).argmax())
        assert texture_at(head, pupil).max() < 60
        assert texture_at(head, side).min() > 120


def test_counts_that_do_not_fit_are_refused() -> None:
    truth = head_of(person(1))
    face = seen(truth)
    with pytest.raises(DataError, match="as many"):
        person_head([face, face], truth)
    with pytest.raises(DataError, match="640x480"):
        person_head(face, truth, np.zeros((100, 80, 3), dtype=np.uint8))
    with pytest.raises(DataError, match="4096"):
        person_head(face, truth, texture_px=10_000)


def test_same_picture_gives_the_same_head(shared_data: Path) -> None:
    face = reconstruct(shared_data / "faces" / "astronaut.png", passes=1)[0]
    one, other = (person_head(face, fit_head(face), texture_px=TEXTURE_PX) for _ in range(2))
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.texture, other.texture)
