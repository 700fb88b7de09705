"""The head model fitted to one picture of a face: pose, size, identity and expression together.

Gauss-Newton on the dense depth (point to plane), the 68 landmarks and the outline (one-sided),
against priors: identity is a standard normal in its modes, the expression is near the network's
coefficients, the rotation near the face's.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.geometry.head_fit import linear_start
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.equations import POSE, Equations, Guess, View, view_of
from rtrecon.head.fitted import FittedHead
from rtrecon.head.identity import PersonShape
from rtrecon.head.model import HeadModel, head_model
from rtrecon.head.points import LANDMARKS, HeadPoints, head_points
from rtrecon.types import Expression, Float32Array, Float64Array

__all__ = [
    "MIN_POINTS",
    "MODE_SIGMA",
    "coefficients_of",
    "eliminate",
    "fit_head",
    "new_person",
    "placed_head",
    "prior_of",
]

logger = logging.getLogger(__name__)

MIN_POINTS = 30
"""Of depth: with fewer there is nothing to fit to."""
MODES = 40
"""Of identity: those after them move the face by less than 0.2 mm."""
MODE_SIGMA = 1.0
SHAPE_SIGMA = 0.1
"""Of a coefficient, about the network's."""
LOG_SIZE_SIGMA = 0.05
"""Of the size, about that of a head whose irises are as far apart as said."""

_POINTS = 400
_STEPS, _POSE_STEPS = 6, 2  # in the first ones the head is the mean
_ROTATION_SIGMA_RAD = math.radians(1.3)
_STEP_RAD = 0.5  # a step no longer than where the linearisation holds
_INNER = slice(17, LANDMARKS)  # without the contour of the jaw, which slides when turned
_SIZES = (0.5, 2.0)  # beyond, it is no head

_said: set[str] = set()


def fit_head(
    face: FaceReconstruction,
    *,
    ipd_m: float = 0.063,
    model: HeadModel | None = None,
    person: PersonShape | None = None,
) -> FittedHead:
    """Fit the head model to one face, in 10 ms.

    What the picture does not show stays the mean head's. Where there is too little to fit (less
    than a few hundred pixels of skin), the mean head at the face's own pose; said once.

    Args:
        face: with depth in metres; landmarks and expression help, and are not needed.
        ipd_m: between the person's eyes, as the face was reconstructed with.
        model: None: the shipped one.
        person: what is known of them from other pictures (`new_person`); learns from this one.

    Raises:
        DataError: the face has no pose (`FaceReconstruction.T_camera_face` is not finite).
        ModelError: the head model is not installed, or damaged.
    """
    model = model or head_model()
    mean = placed_head(face, ipd_m=ipd_m, model=model)
    points = head_points(model, MODES, _POINTS)
    equations, view = Equations(points), view_of(face)
    network = coefficients_of(face.expression, model)[points.shapes].astype(np.float64)
    start = _start(mean, points, view)
    guess = _solve(equations, view, start, network, ipd_m / model.ipd_m, person)
    if guess is None:
        _say_once(
            "a face shows too little of its depth to fit a head to it: the mean head stands for it"
        )
        if person is not None and person.frames:
            return replace(mean, identity=person.solve().astype(np.float32))
        return mean
    if person is not None:
        _learn(person, equations, view, guess, network)
    coefficients = mean.coefficients.copy()
    coefficients[points.shapes] = guess.weights[points.modes :]
    return FittedHead(
        model,
        guess.weights[: points.modes].astype(np.float32),
        coefficients,
        guess.R,
        guess.t,
        guess.scale,
    )


def placed_head(
    face: FaceReconstruction, *, ipd_m: float = 0.063, model: HeadModel | None = None
) -> FittedHead:
    """The mean head at the face's pose, as large as the eyes' distance says, with the network's
    expression.

    Raises:
        DataError: the face has no pose.
    """
    model = model or head_model()
    T = face.T_camera_face
    if not np.isfinite(T).all():
        raise DataError("a face without a pose has no head: its T_camera_face is not finite")
    R, scale = np.asarray(T[:3, :3], dtype=np.float64).copy(), ipd_m / model.ipd_m
    lids = model.vertices[model.landmarks[36:48]].mean(axis=0, dtype=np.float64)
    t = T[:3, 3] - scale * (R @ lids)
    coefficients = coefficients_of(face.expression, model)
    return FittedHead(model, np.zeros(0, dtype=np.float32), coefficients, R, t, scale)


def new_person() -> PersonShape:
    """Nothing is known of them yet; for `fit_head`."""
    return PersonShape(MODES, MODE_SIGMA)


def coefficients_of(expression: Expression | None, model: HeadModel) -> Float32Array:
    """(51,) in the model's order; nothing for those that are not given or not finite."""
    if expression is None:
        return np.zeros(len(model.expression_names), dtype=np.float32)
    values = np.append(np.asarray(expression), np.float32(0.0))
    values[~np.isfinite(values)] = 0.0
    chosen = values[_places(expression.names, model.expression_names)]
    return np.asarray(np.clip(chosen, 0.0, 1.0), dtype=np.float32)


@lru_cache(maxsize=8)
def _places(names: tuple[str, ...], wanted: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """Where each of ``wanted`` is among ``names``; one past the last if it is not."""
    return np.array([names.index(name) if name in names else len(names) for name in wanted])


def _start(mean: FittedHead, points: HeadPoints, view: View) -> Guess:
    """The mean head where the landmarks and their depth put it, else at the face's pose."""
    weights = np.zeros(len(points.basis))
    weights[points.modes :] = mean.coefficients[points.shapes]
    if view.rays is not None:
        turned = mean.R @ points.mean[:, _INNER]
        begun = linear_start(view.surface, turned, view.rays[:, _INNER])
        if begun is not None and abs(math.log(begun[1] / mean.scale)) < math.log(1.3):
            return Guess(mean.R, *begun, weights)
    return Guess(mean.R, mean.t, mean.scale, weights)


def _solve(
    equations: Equations,
    view: View,
    start: Guess,
    network: Float64Array,
    usual_scale: float,
    person: PersonShape | None,
) -> Guess | None:
    """None where too little is seen, or the steps lead nowhere."""
    modes = equations.points.modes
    own = slice(POSE, POSE + modes)
    prior = prior_of(equations.points)
    known, toward = np.eye(modes) * MODE_SIGMA**-2, np.zeros(modes)
    guess = start
    if person is not None:
        known, toward = person.prior()
        guess = replace(start, weights=np.concatenate([person.solve(), start.weights[modes:]]))
    for step_number in range(_STEPS):
        equations.set(view, guess)
        if equations.count < MIN_POINTS:
            return None
        A, b = equations.normal()
        used = POSE if step_number < _POSE_STEPS else len(b)
        A.flat[:: len(b) + 1] += prior
        b[:3] += prior[:3] * _rotation_vector(start.R @ guess.R.T)
        b[6] += prior[6] * math.log(usual_scale / guess.scale)
        A[own, own] += known
        b[own] += toward - known @ guess.weights[:modes]
        b[own.stop :] += prior[own.stop :] * (network - guess.weights[modes:])
        step = np.zeros(len(b))
        try:
            step[:used] = np.linalg.solve(A[:used, :used], b[:used])
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all():
            return None
        turn = float(np.linalg.norm(step[:3]))
        if turn > _STEP_RAD:
            step *= _STEP_RAD / turn
        weights = guess.weights + step[POSE:]
        np.clip(weights[modes:], 0.0, 1.0, out=weights[modes:])
        guess = guess.moved(step, weights)
        if not (_SIZES[0] < guess.scale / usual_scale < _SIZES[1] and guess.t[2] > 0.0):
            return None
    return guess


def prior_of(points: HeadPoints) -> Float64Array:
    """(p,) information beforehand on each unknown but the identity's."""
    prior = np.zeros(POSE + len(points.basis))
    prior[:3], prior[3:6], prior[6] = _ROTATION_SIGMA_RAD**-2, 1e-9, LOG_SIZE_SIGMA**-2
    prior[POSE + points.modes :] = SHAPE_SIGMA**-2
    return prior


def _learn(
    person: PersonShape, equations: Equations, view: View, guess: Guess, network: Float64Array
) -> None:
    """Add what a picture says of the identity, whatever pose and expression are."""
    modes = equations.points.modes
    equations.set(view, guess)
    A, b = equations.normal()
    A.flat[:: len(b) + 1] += prior_of(equations.points)
    b[POSE + modes :] += SHAPE_SIGMA**-2 * (network - guess.weights[modes:])
    parts = eliminate(A, b, modes)
    if parts is not None:
        information, toward, _ = parts
        person.add(information, toward + information @ guess.weights[:modes], guess.R)


def eliminate(
    A: Float64Array, b: Float64Array, modes: int
) -> tuple[Float64Array, Float64Array, Float64Array] | None:
    """Normal equations of the identity's change with all else eliminated, (modes, modes) and
    (modes,), and the step of all else (p - modes,) while the identity stays; None if there is
    none."""
    own, rest = np.arange(POSE, POSE + modes), np.r_[:POSE, POSE + modes : len(b)]
    across = A[np.ix_(rest, own)]
    try:
        through = np.linalg.solve(A[np.ix_(rest, rest)], np.column_stack([across, b[rest]]))
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(through).all():
        return None
    information = A[np.ix_(own, own)] - across.T @ through[:, :modes]
    return information, b[own] - across.T @ through[:, modes], through[:, modes]


def _rotation_vector(R: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        logger.warning(message)
