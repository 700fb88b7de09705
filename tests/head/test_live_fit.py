"""A person's head is learnt while they are seen, and stays theirs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fit import placed_head
from rtrecon.head.fitted import FittedHead
from rtrecon.head.live_fit import PersonFit
from rtrecon.types import Expression
from tests.head.seen_heads import head_of, person, seen, shape_error_m

STEP_NS = 33_000_000
TURNS = [(0, 0, 0), (12, 3, 0), (25, 5, 2), (10, -6, 0), (-15, 0, 0), (-30, 4, -3)]


def watch(
    live: PersonFit, faces: list[FaceReconstruction], count: int, first: int = 0
) -> list[FittedHead]:
    """The heads of ``count`` frames, the faces over and over."""
    return [live.update(faces[k % len(faces)], (first + k) * STEP_NS) for k in range(count)]


def views(who: np.ndarray, **more: float) -> tuple[list[FittedHead], list[FaceReconstruction]]:
    heads = [head_of(who, turn, **more) for turn in TURNS]
    return heads, [seen(head, noise_m=0.002, seed=k) for k, head in enumerate(heads)]


def at_rest_apart_m(a: FittedHead, b: FittedHead) -> float:
    return float(np.linalg.norm(a.at_rest()[:6706] - b.at_rest()[:6706], axis=1).mean())


def test_the_head_settles_on_the_persons_own() -> None:
    heads, faces = views(person(31))
    fitted = watch(PersonFit(), faces, 120)
    last = fitted[-len(faces) :]
    errors = [shape_error_m(f, h) for f, h in zip(last, heads, strict=True)]
    of_mean = [shape_error_m(placed_head(f), h) for f, h in zip(faces, heads, strict=True)]
    assert np.mean(errors) < 0.45 * np.mean(of_mean)
    assert at_rest_apart_m(fitted[-1], fitted[60]) < 0.0005


def test_an_identity_that_has_settled_is_one_array() -> None:
    _, faces = views(person(32))
    fitted = watch(PersonFit(), faces, 200)
    last = fitted[-60:]
    changes = sum(b.identity is not a.identity for a, b in itertools.pairwise(last))
    assert changes < 12


def test_talking_does_not_move_the_person() -> None:
    """With a network that sees two thirds of what the jaw does."""
    who = person(33)
    live = PersonFit()
    _, quiet = views(who)
    before = watch(live, quiet, 90)[-1]
    open_heads, open_faces = views(who, jawOpen=0.6, mouthSmileLeft=0.5)
    for face, head in zip(open_faces, open_heads, strict=True):
        said = head.coefficients * np.float32(0.67)
        face.expression = Expression(head.model.expression_names, said)
    after = watch(live, open_faces, 90, first=90)[-1]
    model = before.model
    chin = model.landmarks[8]
    moved = np.linalg.norm(after.at_rest()[chin] - before.at_rest()[chin])
    opened = np.linalg.norm(open_heads[0].vertices_head()[chin] - open_heads[0].at_rest()[chin])
    assert moved < 0.1 * opened
    jaw = model.expression_names.index("jawOpen")
    assert after.coefficients[jaw] > 0.45


def test_a_new_person_begins_anew_and_one_who_returns_goes_on() -> None:
    live = PersonFit()
    heads, faces = views(person(34))
    settled = watch(live, faces, 60)[-1]
    other_head = head_of(person(35))
    other = seen(other_head, face_id=7)
    first = live.update(other, 60 * STEP_NS)
    fresh = PersonFit().update(other, 0)
    np.testing.assert_allclose(first.identity, fresh.identity, atol=1e-6)
    returned = live.update(faces[0], 600 * STEP_NS)
    assert at_rest_apart_m(returned, settled) < 0.0005
    live.forget(faces[0].id)
    anew = live.update(faces[0], 601 * STEP_NS)
    assert at_rest_apart_m(anew, heads[0]) > at_rest_apart_m(settled, heads[0])


def test_frames_without_depth_or_landmarks_leave_what_is_known() -> None:
    live = PersonFit()
    heads, faces = views(person(36))
    settled = watch(live, faces, 60)[-1]
    empty, bare = seen(heads[1]), seen(heads[2], landmarks=False, expression=False)
    empty.grid.valid[:] = False
    for face, truth in ((empty, heads[1]), (bare, heads[2])):
        head = live.update(face, 61 * STEP_NS)
        assert at_rest_apart_m(head, settled) < 0.0003
        assert shape_error_m(head, truth) < 0.004


def test_what_is_not_finite_is_no_measurement() -> None:
    live = PersonFit()
    heads, faces = views(person(37))
    settled = watch(live, faces, 30)[-1]
    broken = seen(heads[0])
    assert broken.landmarks68_px is not None
    broken.landmarks68_px[:] = np.nan
    broken.grid.points_camera[40:150, 40:150] = np.nan
    values = np.full_like(heads[0].coefficients, np.nan)
    broken.expression = Expression(heads[0].model.expression_names, values)
    head = live.update(broken, 31 * STEP_NS)
    assert np.isfinite(head.vertices_camera()).all()
    assert at_rest_apart_m(head, settled) < 0.0005
    nowhere = dataclasses.replace(heads[0])
    face = seen(nowhere)
    face.T_camera_face[:] = np.nan
    with pytest.raises(DataError):
        live.update(face, 32 * STEP_NS)


def test_people_who_left_long_ago_are_forgotten() -> None:
    live = PersonFit()
    face = seen(head_of(person(38)))
    for k in range(40):
        face.id = k
        live.update(face, k * STEP_NS)
    assert len(live.known_ids) == 16
    assert 39 in live.known_ids
