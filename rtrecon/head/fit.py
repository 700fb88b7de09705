"""The head model fitted to one picture of a face: pose, size, identity and expression together.

Gauss-Newton on the dense depth (point to plane), the 68 landmarks and the outline (one-sided),
against priors: identity is a standard normal in its modes, the expression is near the network's
coefficients, the rotation near the face's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.geometry.head_fit import linear_start
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.equations import POSE, Equations, Guess, view_of
from rtrecon.head.fitted import FittedHead
from rtrecon.head.identity import PersonShape, eliminate
from rtrecon.head.model import HeadModel, head_model
from rtrecon.head.points import LANDMARKS, head_points
from rtrecon.head.priors import MODE_SIGMA, Beliefs
from rtrecon.types import Expression, Float32Array, Float64Array

__all__ = [
    "MIN_POINTS",
    "coefficients_of",
    "fit_head",
    "fit_heads",
    "fit_known",
    "fit_mean_head",
    "new_person",
    "placed_head",
]

logger = logging.getLogger(__name__)

MIN_POINTS = 30
"""Of depth: with fewer there is nothing to fit to."""
_MODES, _POINTS = 40, 600  # modes after them move the face by less than 0.2 mm
_STEPS, _POSE_STEPS = 5, 2  # in the first ones the shape stays
_STEP_RAD = 0.5  # a step no longer than where the linearisation holds
_INNER = slice(17, LANDMARKS)  # without the contour of the jaw, which slides when turned
_MOST_OFF = 1.3  # of the size by landmarks, over the usual one, to begin with
# Beyond, it is no head: size over the usual one, and metres from the face's own pose.
_SIZES, _FARTHEST_M = (0.6, 1.6), 0.06

_said: set[str] = set()


def fit_head(
    face: FaceReconstruction,
    *,
    ipd_m: float = 0.063,
    model: HeadModel | None = None,
) -> FittedHead:
    """Fit the head model to one face, in 10 ms.

    What the picture does not show stays the mean head's. Where there is too little to fit (less
    than a few hundred pixels of skin), the mean head at the face's own pose; said once.

    Args:
        face: with depth in metres; landmarks and expression help, and are not needed.
        ipd_m: between the person's eyes, as the face was reconstructed with.
        model: None: the shipped one.

    Raises:
        DataError: the face has no pose (`FaceReconstruction.T_camera_face` is not finite).
        ModelError: the head model is not installed, or damaged.
    """
    return fit_known(face, new_person(), ipd_m=ipd_m, model=model)


def fit_known(
    face: FaceReconstruction,
    person: PersonShape,
    *,
    ipd_m: float = 0.063,
    model: HeadModel | None = None,
) -> FittedHead:
    """As `fit_head`, of a person of whom other pictures were seen; ``person`` (`new_person`
    before the first) learns from this one."""
    return _Task(face, ipd_m, model or head_model()).fit(person.solve(), person)


def fit_mean_head(
    face: FaceReconstruction, *, ipd_m: float = 0.063, model: HeadModel | None = None
) -> FittedHead:
    """As `fit_head`, but that the identity stays the mean head's: to compare with."""
    return _Task(face, ipd_m, model or head_model()).fit(np.zeros(_MODES), None)


def fit_heads(
    faces: Sequence[FaceReconstruction], *, ipd_m: float = 0.063, model: HeadModel | None = None
) -> list[FittedHead]:
    """Fit the head model to several pictures of one person: all heads have one identity.

    Raises:
        DataError: a face has no pose.
        ModelError: the head model is not installed, or damaged.
    """
    model = model or head_model()
    person = new_person()
    tasks = [_Task(face, ipd_m, model) for face in faces]
    for task in tasks:
        task.fit(person.solve(), person)
    return [task.fit(person.solve(), None) for task in tasks]


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
    return PersonShape(_MODES, MODE_SIGMA)


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


class _Task:
    """One face and what is to be fitted to it."""

    def __init__(self, face: FaceReconstruction, ipd_m: float, model: HeadModel) -> None:
        self._mean = mean = placed_head(face, ipd_m=ipd_m, model=model)
        self._points = points = head_points(model, _MODES, _POINTS)
        self._view = view_of(face)
        network = mean.coefficients[points.shapes].astype(np.float64)
        seen = self._view.rays is not None
        self._beliefs = Beliefs(mean.R, mean.t, mean.scale, network, seen)

    def fit(self, identity: Float64Array, person: PersonShape | None) -> FittedHead:
        """Beginning at ``identity`` (modes,), which stays if ``person``, who else learns from this
        picture, is None."""
        mean, points = self._mean, self._points
        equations = Equations(points)
        guess = self._solve(equations, self._start(identity), person)
        if guess is None:
            _say_once(
                "a face shows too little of its depth to fit a head to it: the mean head, or what "
                "else is known of the person, stands for it"
            )
            known = identity.any() and (person is None or person.frames > 0)
            return replace(mean, identity=identity.astype(np.float32)) if known else mean
        if person is not None:
            self._teach(equations, guess, person)
        coefficients = mean.coefficients.copy()
        coefficients[points.shapes] = guess.weights[points.modes :]
        shape = guess.weights[: points.modes].astype(np.float32)
        return FittedHead(mean.model, shape, coefficients, guess.R, guess.t, guess.scale)

    def _start(self, identity: Float64Array) -> Guess:
        """Where the landmarks and their depth put the head, else at the face's pose."""
        mean, view = self._mean, self._view
        weights = np.concatenate([identity, self._beliefs.network])
        if view.rays is not None:
            turned = mean.R @ self._points.mean[:, _INNER]
            begun = linear_start(view.surface, turned, view.rays[:, _INNER])
            if begun is not None and 1 / _MOST_OFF < begun[1] / mean.scale < _MOST_OFF:
                return Guess(mean.R, *begun, weights)
        return Guess(mean.R, mean.t, mean.scale, weights)

    def _solve(
        self, equations: Equations, guess: Guess, person: PersonShape | None
    ) -> Guess | None:
        """None where too little is seen, or the steps lead nowhere."""
        modes = self._points.modes
        own = slice(POSE, POSE + modes)
        known, toward = np.zeros((modes, modes)), np.zeros(modes)
        if person is not None:
            known, toward = person.prior()
        for number in range(_STEPS):
            equations.set(self._view, guess)
            if equations.count < MIN_POINTS:
                return None
            A, b = equations.normal()
            self._beliefs.add(self._points, guess, A, b)
            A[own, own] += known
            b[own] += toward - known @ guess.weights[:modes]
            used = np.arange(len(b))
            if number < _POSE_STEPS:
                used = used[:POSE]
            elif person is None:
                used = np.delete(used, own)
            step = np.zeros(len(b))
            try:
                step[used] = np.linalg.solve(A[np.ix_(used, used)], b[used])
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
            size = guess.scale / self._beliefs.scale
            if not (_SIZES[0] < size < _SIZES[1] and guess.t[2] > 0.0):
                return None
        aside = float(np.linalg.norm(guess.t - self._mean.t))
        return guess if aside < _FARTHEST_M else None

    def _teach(self, equations: Equations, guess: Guess, person: PersonShape) -> None:
        """Add what the picture says of the identity, whatever pose and expression are."""
        modes = self._points.modes
        equations.set(self._view, guess)
        A, b = equations.normal()
        self._beliefs.add(self._points, guess, A, b)
        parts = eliminate(A, b, slice(POSE, POSE + modes))
        if parts is not None:
            information, toward, _ = parts
            person.add(information, toward + information @ guess.weights[:modes], guess.R)


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        logger.warning(message)
