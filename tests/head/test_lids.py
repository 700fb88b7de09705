from __future__ import annotations

import numpy as np
import pytest

from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.rasterize import rasterize
from rtrecon.head.lids import lid_margins
from rtrecon.head.model import PART_NAMES, HeadModel
from rtrecon.head.shapes import person_shapes

SIDES = ("Left", "Right")
PIXEL_MM = 0.1


def eye_seen_mm2(
    model: HeadModel, vertices: np.ndarray, eye: int, yaw_deg: float, pitch_deg: float
) -> float:
    """How much of an eyeball is not hidden by skin."""
    part = model.part_of_triangles()
    skin = part <= PART_NAMES.index("eye_sockets")
    ball = PART_NAMES.index(("eye_left", "eye_right")[eye])
    chosen = skin | (part == ball)
    triangles, part = model.triangles[chosen], part[chosen]
    a, b = np.radians([yaw_deg, pitch_deg])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    turn = turn @ [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    seen = (vertices - model.eye_centers(vertices)[eye]) @ turn.T
    px = (seen[:, :2] * 1000.0 / PIXEL_MM + 200).astype(np.float32)
    hits = rasterize(px, seen[:, 2].astype(np.float32), triangles, 400, 400)
    return float((part[hits.triangle] == ball).sum() * PIXEL_MM**2)


def people(model: HeadModel) -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    others = [model.shape(rng.normal(0.0, 1.0, 40).astype(np.float32)) for _ in range(3)]
    return [model.vertices, 0.9 * others[0], *others[1:]]


@pytest.mark.parametrize("number", range(4))
def test_a_blink_closes_on_anybodys_eyes(model: HeadModel, number: int) -> None:
    rest = people(model)[number].astype(np.float32)
    shapes = person_shapes(model, rest)
    for eye, side in enumerate(SIDES):
        blink = rest + shapes[ARKIT_NAMES.index(f"eyeBlink{side}")]
        assert eye_seen_mm2(model, rest, eye, 0, 0) > 80
        for yaw, pitch in ((0, 0), (25, 0), (-25, 0), (0, 15), (0, -15)):
            # A sliver at a corner is left to heads that are far from the mean.
            assert eye_seen_mm2(model, blink, eye, yaw, pitch) < 2.5, (side, yaw, pitch)


def test_half_a_blink_shows_about_half(model: HeadModel, person: np.ndarray) -> None:
    shapes = person_shapes(model, person)
    for eye, side in enumerate(SIDES):
        blink = shapes[ARKIT_NAMES.index(f"eyeBlink{side}")]
        whole = eye_seen_mm2(model, person, eye, 0, 0)
        half = eye_seen_mm2(model, (person + 0.5 * blink).astype(np.float32), eye, 0, 0)
        assert 0.25 < half / whole < 0.75


def test_margins_are_where_lashes_grow(model: HeadModel) -> None:
    for margins, sign in zip(lid_margins(model), (1, -1), strict=True):
        assert len(margins.upper) == len(margins.lower) == 19
        assert (model.vertices[margins.upper, 0] * sign > 0).all()
        upper, lower = model.vertices[margins.upper], model.vertices[margins.lower]
        assert upper[:, 1].mean() < lower[:, 1].mean() - 0.005
