"""What a training head does: its 57 expression weights, drawn so that every one has to be seen.

A coefficient that is seldom strong, or never without another, cannot be learnt: each is strong in
a fair share of the heads, alone and mixed with others, the left one without the right.
"""

from __future__ import annotations

import numpy as np

from rtrecon.train.face_model import FaceModel
from rtrecon.types import Float32Array

__all__ = ["sample_expression"]

_PAIRS = (
    "browDown",
    "browInnerUp",
    "browOuterUp",
    "cheekPuff",
    "cheekSquint",
    "eyeSquint",
    "eyeWide",
    "mouthDimple",
    "mouthFrown",
    "mouthLowerDown",
    "mouthPress",
    "mouthSmile",
    "mouthStretch",
    "mouthUpperUp",
    "noseSneer",
)
_SINGLES = (
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
)
_STEMS = _PAIRS + _SINGLES
# What cannot be done at once; the stronger one stays.
_OPPOSED = (
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
    ("mouthSmile_L", "mouthFrown_L"),
    ("mouthSmile_R", "mouthFrown_R"),
    ("mouthPucker", "mouthStretch_L"),
    ("mouthPucker", "mouthStretch_R"),
    ("mouthFunnel", "mouthRollLower"),
    ("mouthFunnel", "mouthRollUpper"),
    ("eyeWide_L", "eyeSquint_L"),
    ("eyeWide_R", "eyeSquint_R"),
)
# Mouths of speech: a share of each shape at full voice.
_VISEMES: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.6, "mouthLowerDown": 0.3, "mouthUpperUp": 0.15},  # a
    {"jawOpen": 0.25, "mouthStretch": 0.4, "mouthLowerDown": 0.4, "mouthSmile": 0.2},  # e, i
    {"jawOpen": 0.35, "mouthFunnel": 0.7},  # o
    {"jawOpen": 0.12, "mouthPucker": 0.8, "mouthFunnel": 0.3},  # u, w
    {"mouthPress": 0.5, "mouthRollLower": 0.5, "mouthRollUpper": 0.4},  # m, b, p
    {"mouthRollLower": 0.6, "mouthUpperUp": 0.35, "jawOpen": 0.08},  # f, v
    {"mouthLowerDown": 0.5, "mouthUpperUp": 0.3, "mouthStretch": 0.3, "jawOpen": 0.06},  # s, t
    {"mouthFunnel": 0.6, "mouthShrugUpper": 0.4, "mouthShrugLower": 0.3, "jawOpen": 0.1},  # sh
    {"jawOpen": 0.3, "mouthClose": 1.0},  # lips meet over an open jaw
    {"jawOpen": 0.2, "mouthShrugUpper": 0.2},  # breath
)


def sample_expression(rng: np.random.Generator, model: FaceModel) -> Float32Array:
    """Weights (57,) of everything but the gaze (`rtrecon.train.heads.eyes.sample_gaze`)."""
    w = _Weights(rng, model.expression_names)
    kind = rng.choice(
        ["neutral", "smile", "talk", "mixed", "strong", "alone"],
        p=[0.12, 0.17, 0.20, 0.21, 0.08, 0.22],
    )
    if kind == "smile":
        _smile(rng, w)
    elif kind == "talk":
        voice = float(rng.uniform(0.3, 1.4))
        for stem, share in _VISEMES[rng.integers(len(_VISEMES))].items():
            w.put(stem, voice * share * rng.uniform(0.6, 1.2), skew=0.1)
        if rng.random() < 0.3:
            w.put("mouthSmile", rng.uniform(0, 0.6))
    elif kind in ("mixed", "strong"):
        most = 1.0 if kind == "strong" else 0.7
        for stem in rng.choice(_STEMS, int(rng.integers(2, 7)), replace=False):
            w.put_sides(str(stem), rng.uniform(0, most))
    elif kind == "alone":
        for stem in rng.choice(_STEMS, 1 + int(rng.random() < 0.3), replace=False):
            w.put_sides(str(stem), rng.uniform(0.4, 1.0))
    _brows(rng, w)
    for one, other in _OPPOSED:
        w.drop_weaker(one, other)
    # ARKit's mouthClose says how far the lips meet over an open jaw: without one it is nothing.
    w.limit("mouthClose", w.get("jawOpen"))
    _lids(rng, w)
    if rng.random() < 0.5:
        w.put("PupilDilate", rng.uniform(0, 0.6), skew=0.0)
    return np.clip(w.values, 0, 1)


class _Weights:
    """Weights by name; a stem stands for both of its sides."""

    def __init__(self, rng: np.random.Generator, names: tuple[str, ...]) -> None:
        self._rng = rng
        self._index = {name: k for k, name in enumerate(names)}
        self.values = np.zeros(len(names), dtype=np.float32)

    def put(self, stem: str, value: float, skew: float = 0.15) -> None:
        """Set ``stem``; the two sides of a pair differ by ``skew`` of it."""
        if stem in self._index:
            self.values[self._index[stem]] = np.clip(value, 0, 1)
            return
        for side in ("_L", "_R"):
            lean = 1 + self._rng.normal(0, skew)
            self.values[self._index[stem + side]] = np.clip(value * lean, 0, 1)

    def put_sides(self, stem: str, value: float) -> None:
        """Set ``stem``: of a pair both sides three times in four, else one or each its own."""
        if stem in self._index or self._rng.random() < 0.75:
            self.put(stem, value)
            return
        sides = ["_L", "_R"]
        self._rng.shuffle(sides)
        self.put(stem + sides[0], value)
        if self._rng.random() < 0.4:
            self.put(stem + sides[1], self._rng.uniform(0, value))

    def get(self, name: str) -> float:
        return float(self.values[self._index[name]])

    def limit(self, name: str, most: float) -> None:
        k = self._index[name]
        self.values[k] = min(float(self.values[k]), most)

    def drop_weaker(self, one: str, other: str) -> None:
        if self.get(one) > 0 and self.get(other) > 0:
            self.limit(one if self.get(one) < self.get(other) else other, 0.0)


def _smile(rng: np.random.Generator, w: _Weights) -> None:
    w.put_sides("mouthSmile", rng.uniform(0.2, 1.0))
    w.put("cheekSquint", rng.uniform(0, 0.7))
    toothy = rng.random() < 0.6  # a row of teeth between lips, not an open mouth
    w.put("mouthUpperUp", rng.uniform(0.3, 0.9) if toothy else rng.uniform(0, 0.4))
    if toothy:
        w.put("mouthLowerDown", rng.uniform(0, 0.5))
    laugh = rng.random() < 0.15
    w.put("jawOpen", rng.uniform(0.1, 0.6) if laugh else max(0.0, rng.normal(0.03, 0.08)))
    if rng.random() < 0.3:
        w.put("eyeSquint", rng.uniform(0, 0.7))


def _brows(rng: np.random.Generator, w: _Weights) -> None:
    """Brows move in nearly half of the heads, whatever the mouth does, over their whole range."""
    if rng.random() >= 0.45:
        return
    kind = rng.choice(["up", "down", "inner", "outer", "worried"])
    strength = float(rng.uniform(0.1, 1.0))
    if kind in ("up", "inner", "worried"):
        w.put("browInnerUp", strength, skew=0.1)
    if kind in ("up", "outer"):
        w.put_sides("browOuterUp", strength * float(rng.uniform(0.6, 1.0)))
    if kind in ("down", "worried"):
        w.put_sides("browDown", strength * float(rng.uniform(0.5, 1.0)))


def _lids(rng: np.random.Generator, w: _Weights) -> None:
    """Lids at rest, both moved over their whole range, or a wink."""
    rest = max(0.0, rng.normal(0.05, 0.07))
    w.put("eyeBlink", rest, skew=0.1)
    draw = rng.random()
    if draw < 0.2:
        w.put("eyeBlink", rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 1.0, skew=0.05)
    elif draw < 0.3:
        side = "_L" if rng.random() < 0.5 else "_R"
        w.put("eyeBlink" + side, rng.uniform(0.6, 1.0))
        if rng.random() < 0.6:  # the muscle around a winking eye pulls
            w.put("cheekSquint" + side, rng.uniform(0.1, 0.9))
            w.put("eyeSquint" + side, rng.uniform(0.1, 0.9))
    for side in ("_L", "_R"):
        if w.get("eyeBlink" + side) > 0.25:
            w.limit("eyeWide" + side, 0.0)
