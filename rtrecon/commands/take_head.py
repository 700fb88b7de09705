"""The head that a take's animation is put on: the person's, as the take's own pictures show it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from rtrecon.errors import DataError

if TYPE_CHECKING:
    from rtrecon.head.rig import RiggedHead
    from rtrecon.takes.folder import Take
    from rtrecon.takes.row import TakenFace

__all__ = ["head_of_take", "mean_rigged_head"]

logger = logging.getLogger(__name__)

_TEXTURE_PX = 1024
_SKIN = np.array([206.0, 160.0, 136.0])  # RGB
_IRIS = np.array([92.0, 62.0, 44.0])
_EXPRESSIVE = 0.1  # of all coefficients together, against a radian of turn


def head_of_take(take: Take, model: str) -> RiggedHead:
    """The person's head, from the picture in which the face looks most about ahead and at rest.

    Without pictures, the mean head; that is said.

    Args:
        take: of the person.
        model: depth model.

    Raises:
        DataError: there is no face in the take.
        RtreconError: the model or the video cannot be used.
    """
    from rtrecon.head.fit import fit_head
    from rtrecon.head.person import person_head
    from rtrecon.head.rigging import rig_head
    from rtrecon.pipeline import Reconstructor
    from rtrecon.takes.replay import TakeReplay
    from rtrecon.takes.source import TakeSource

    if take.video is None:
        logger.warning("%s: the animation is put on the mean head", take.why_no_video())
        return mean_rigged_head()
    best = _best_frame(take)
    with (
        TakeSource(take, pictures=True) as source,
        Reconstructor(model, temporal=False) as reconstructor,
    ):
        replay = TakeReplay(source, take.info.model, reconstructor)
        for frame in source:
            if frame.index == best:
                face = replay(frame)[0]
                person = person_head(face, fit_head(face), frame.image)
                logger.info("the head is that of picture %d", best)
                return rig_head(person.model, person.vertices, person.texture)
    raise DataError(f"the video of the take {take.folder} ends before its picture {best}")


def mean_rigged_head() -> RiggedHead:
    """The mean head in one colour, with painted eyes and teeth."""
    from rtrecon.head.layout import layout_of
    from rtrecon.head.model import head_model
    from rtrecon.head.paint import paint_inner
    from rtrecon.head.rigging import rig_head

    model = head_model()
    texture = np.empty((_TEXTURE_PX, _TEXTURE_PX, 3), dtype=np.float32)
    texture[:] = _SKIN
    paint_inner(texture, model, layout_of(model, _TEXTURE_PX // 2), _SKIN, _IRIS)
    return rig_head(model, model.vertices, texture.clip(0, 255).astype(np.uint8))


def _best_frame(take: Take) -> int:
    """Index of the picture."""
    best, least = None, np.inf
    for row in take.rows():
        if row is None or not row.faces:
            continue
        cost = _turned_away(row.faces[0])
        if cost < least:
            best, least = row.index, cost
    if best is None:
        raise DataError(f"there is no face in the take {take.folder}, so no head: give --mean-head")
    return best


def _turned_away(face: TakenFace) -> float:
    """Radians between where it looks and the camera, and what its expression counts for."""
    T = face.T_camera_face
    if not np.isfinite(T).all():
        return float("inf")
    toward = T[:3, 3] / np.linalg.norm(T[:3, 3])
    angle = float(np.arccos(np.clip(T[:3, 2] @ toward, -1.0, 1.0)))
    shown = 0.0 if face.expression is None else float(np.nansum(np.asarray(face.expression)))
    return angle + _EXPRESSIVE * shown
