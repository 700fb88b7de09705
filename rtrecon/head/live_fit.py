"""A head a frame, of people whose shape is learnt while they are seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.errors import DataError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.equations import POSE, Equations, Guess, view_of
from rtrecon.head.fit import MIN_POINTS, coefficients_of
from rtrecon.head.fitted import FittedHead
from rtrecon.head.identity import PersonShape, eliminate
from rtrecon.head.model import HeadModel, head_model
from rtrecon.head.points import head_points
from rtrecon.head.priors import MODE_SIGMA, Beliefs, rotation_vector
from rtrecon.types import Float32Array, Float64Array

__all__ = ["PersonFit"]

_MODES, _POINTS = 30, 200  # a little less than for pictures, for half the time
_LEAST_SHAPE_M = 0.002  # expressions that move no point by as much stay the network's
_FIRST_STEPS = 4
_MOST_PEOPLE = 16
_PLACE_TAU_S, _SIZE_TAU_S, _SHAPE_TAU_S, _IDENTITY_TAU_S = 0.5, 3.0, 0.12, 0.3
_SETTLED_FRAMES, _EVERY = 90, 3  # after so many, one in so many is learnt from
# Of the face by a mode: the identity stays the very array that it is until the estimate is farther
# off than the first, and then goes as near as the second.
_LEAVES_M, _ARRIVES_M = 0.0003, 0.0001


@dataclass(slots=True, eq=False)
class _Person:
    """``identity`` as shown, ``turn`` (3,) and ``shift`` (3,) of the head from the face's pose in
    the head's own frame, ``log_size``, and ``more`` (e,) than the network's coefficients;
    ``t_ns`` of the frame that was last learnt from."""

    shape: PersonShape
    identity: Float32Array
    turn: Float64Array
    shift: Float64Array
    log_size: float
    more: Float64Array
    t_ns: int
    skipped: int = 0
    moving: bool = True


class PersonFit:
    """Fits the head model to people in video. For one thread; about a millisecond a face.

    The pose is the face's own, which is steady, with what is learnt of the head's place in it;
    identity is learnt over frames of all poses (`rtrecon.head.identity`) and settles over the
    first seconds. People are told apart by `FaceReconstruction.id`: who comes back under their id
    goes on, who is new begins at the mean head. The last sixteen are remembered.

    Args:
        ipd_m: between people's eyes, as the faces are reconstructed with.
        model: None: the shipped one.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """

    def __init__(self, *, ipd_m: float = 0.063, model: HeadModel | None = None) -> None:
        self._model = model or head_model()
        self._ipd_m = ipd_m
        self._points = head_points(self._model, _MODES, _POINTS, _LEAST_SHAPE_M)
        self._equations = Equations(self._points)
        moved = self._points.basis[: self._points.modes]
        self._mode_m = np.sqrt((moved**2).sum(axis=1).mean(axis=1))
        lids = self._points.basis[: self._points.modes, :, 36:48].mean(axis=2)
        self._lids_mean = self._points.mean[:, 36:48].mean(axis=1)
        self._lids_moved = np.ascontiguousarray(lids)
        self._people: dict[int, _Person] = {}

    def update(self, face: FaceReconstruction, t_ns: int) -> FittedHead:
        """The head of one face at ``t_ns``.

        While a person's identity does not change, it is the same array from frame to frame.

        Raises:
            DataError: the face has no pose.
        """
        if not np.isfinite(face.T_camera_face).all():
            raise DataError("a face without a pose has no head: its T_camera_face is not finite")
        coefficients = coefficients_of(face.expression, self._model)
        network = coefficients[self._points.shapes].astype(np.float64)
        person = self._people.pop(face.id, None)
        if person is None:
            person = self._begin(face, network, t_ns)
        else:
            person.skipped += 1
            if person.shape.frames < _SETTLED_FRAMES or person.skipped >= _EVERY:
                dt_s = max(0.0, (t_ns - person.t_ns) * 1e-9)
                person.skipped, person.t_ns = 0, t_ns
                self._learn(person, face, network, dt_s)
        self._people[face.id] = person
        if len(self._people) > _MOST_PEOPLE:
            del self._people[next(iter(self._people))]  # longest unseen
        guess = self._guess(person, face, network)
        coefficients[self._points.shapes] = guess.weights[self._points.modes :]
        return FittedHead(self._model, person.identity, coefficients, guess.R, guess.t, guess.scale)

    @property
    def known_ids(self) -> tuple[int, ...]:
        """Of the people who are remembered, who was seen last is last."""
        return tuple(self._people)

    def forget(self, face_id: int) -> None:
        """Begin anew with a person."""
        self._people.pop(face_id, None)

    def _begin(self, face: FaceReconstruction, network: Float64Array, t_ns: int) -> _Person:
        modes = self._points.modes
        person = _Person(
            PersonShape(modes, MODE_SIGMA),
            np.zeros(modes, dtype=np.float32),
            np.zeros(3),
            np.zeros(3),
            math.log(self._ipd_m / self._model.ipd_m),
            np.zeros(len(network)),
            t_ns,
        )
        for _ in range(_FIRST_STEPS):
            person.shape = PersonShape(modes, MODE_SIGMA)
            self._learn(person, face, network, math.inf)
        return person

    def _guess(self, person: _Person, face: FaceReconstruction, network: Float64Array) -> Guess:
        scale = math.exp(person.log_size)
        R_face = face.T_camera_face[:3, :3]
        lids = self._lids_mean + person.identity @ self._lids_moved
        return Guess(
            R_face @ cv2.Rodrigues(person.turn)[0],
            face.T_camera_face[:3, 3] + R_face @ (person.shift - scale * lids),
            scale,
            np.concatenate([person.identity, np.clip(network + person.more, 0.0, 1.0)]),
        )

    def _learn(
        self, person: _Person, face: FaceReconstruction, network: Float64Array, dt_s: float
    ) -> None:
        equations, modes = self._equations, self._points.modes
        guess = self._guess(person, face, network)
        view = view_of(face)
        equations.set(view, guess)
        if equations.count < MIN_POINTS:
            return
        A, b = equations.normal()
        usual = self._ipd_m / self._model.ipd_m
        T = face.T_camera_face
        t_face = T[:3, 3] - usual * (T[:3, :3] @ self._lids_mean)
        beliefs = Beliefs(T[:3, :3], t_face, usual, network, view.rays is not None)
        beliefs.add(self._points, guess, A, b)
        parts = eliminate(A, b, slice(POSE, POSE + modes))
        if parts is None:
            return
        information, toward, step = parts
        person.shape.add(information, toward + information @ person.identity, guess.R)
        self._place(person, face, guess, step, network, dt_s)
        change = person.shape.solve() - person.identity
        apart_m = float((np.abs(change) * self._mode_m).max())
        person.moving = apart_m > (_ARRIVES_M if person.moving else _LEAVES_M)
        if person.moving:
            share = _share(dt_s, _IDENTITY_TAU_S)
            person.identity = (person.identity + share * change).astype(np.float32)

    def _place(
        self,
        person: _Person,
        face: FaceReconstruction,
        guess: Guess,
        step: Float64Array,
        network: Float64Array,
        dt_s: float,
    ) -> None:
        """Follow where a frame wants the head, slowly: the face's own pose is quick and steady."""
        R_face = face.T_camera_face[:3, :3]
        turned = cv2.Rodrigues(step[:3])[0] @ guess.R
        share = _share(dt_s, _PLACE_TAU_S)
        person.turn += share * (rotation_vector(R_face.T @ turned) - person.turn)
        person.shift += share * (R_face.T @ step[3:6])
        count = person.shape.frames
        # Many frames of one distance say no more than a few; the first counts whole.
        person.log_size += max(1.0 / max(count, 1), _share(dt_s, _SIZE_TAU_S)) * float(step[6])
        more = guess.weights[self._points.modes :] + step[POSE:] - network
        person.more += _share(dt_s, _SHAPE_TAU_S) * (more - person.more)


def _share(dt_s: float, tau_s: float) -> float:
    return 1.0 - math.exp(-dt_s / tau_s)
