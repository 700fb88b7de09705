"""The head that a take's animation is put on: the person's, as the take's own pictures show it."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from rtrecon.avatar.rotations import conjugate, from_angles, from_matrix, multiply, to_angles
from rtrecon.errors import DataError

if TYPE_CHECKING:
    from rtrecon.geometry.reconstruction import FaceReconstruction
    from rtrecon.head.rig import RiggedHead
    from rtrecon.takes.folder import Take
    from rtrecon.takes.row import TakenFace
    from rtrecon.types import BgrImage

__all__ = ["head_of_take"]

logger = logging.getLogger(__name__)

_TEXTURE_PX = 1024
_VIEWS_DEG = (0.0, -25.0, 25.0)
_WORST = 35.0  # cost of a view
_EXPRESSIVE_DEG = 5.0  # what all coefficients together count for


def head_of_take(take: Take, model: str) -> RiggedHead:
    """The person's head, from the take's pictures that show it best: calm, from ahead and aside.

    Without pictures, the mean head; that is said.

    Args:
        take: of the person.
        model: depth model.

    Raises:
        DataError: there is no face in the take.
        RtreconError: the model or the video cannot be used.
    """
    from rtrecon.head.avatar import make_avatar
    from rtrecon.pipeline import Reconstructor
    from rtrecon.takes.replay import TakeReplay
    from rtrecon.takes.source import TakeSource

    if take.video is None:
        from rtrecon.head.mean import mean_rigged_head

        logger.warning("%s: the animation is put on the mean head", take.why_no_video())
        return mean_rigged_head()
    wanted = _best_rows(take)
    shown: dict[int, tuple[FaceReconstruction, BgrImage]] = {}
    with (
        TakeSource(take, pictures=True) as source,
        Reconstructor(model, ipd_mm=take.info.ipd_mm, temporal=False) as reconstructor,
    ):
        replay = TakeReplay(source, take.info, reconstructor)
        facts = reconstructor.model_facts
        for frame in source:
            if frame.index in wanted:
                place = wanted[frame.index]
                shown[frame.index] = replay(frame)[place], frame.image
            if len(shown) == len(wanted):
                break
    views = [shown[index] for index in wanted if index in shown]
    if not views:
        raise DataError(f"the video of the take {take.folder} has none of the pictures of a face")
    logger.info("the head is that of picture %s", ", ".join(str(k) for k in wanted if k in shown))
    return make_avatar(
        [face for face, _ in views],
        [picture for _, picture in views],
        ipd_mm=take.info.ipd_mm,
        texture_px=_TEXTURE_PX,
        extras={"depth_model": facts["model"]},
    )


def _best_rows(take: Take) -> dict[int, int]:
    """Index of the picture to the face's place in its result: the one from ahead first."""
    best: dict[float, tuple[float, int, int, int]] = {}
    for row in take.rows():
        if row is None:
            continue
        for place, face in enumerate(row.faces):
            for view_deg in _VIEWS_DEG:
                cost = _cost(face, view_deg)
                if cost < best.get(view_deg, (_WORST,))[0]:
                    best[view_deg] = (cost, row.index, place, face.id)
    if _VIEWS_DEG[0] not in best:
        raise DataError(
            f"no face of the take {take.folder} looks about ahead, so there is no head: give "
            "--mean-head"
        )
    followed = best[_VIEWS_DEG[0]][3]
    chosen = [best[view] for view in _VIEWS_DEG if view in best]
    return {index: place for _, index, place, face_id in chosen if face_id == followed}


def _cost(face: TakenFace, view_deg: float) -> float:
    """How far a face is from a calm one that is turned by ``view_deg`` to its own right."""
    T = face.T_camera_face
    if not np.isfinite(T).all():
        return float("inf")
    x, y, z = T[:3, 3].tolist()
    facing = from_angles(math.atan2(-y, math.hypot(x, z)), math.atan2(x, z), 0.0)
    turn = multiply(conjugate(facing), from_matrix(T[:3, :3]))
    pitch_deg, yaw_deg, _ = (math.degrees(angle) for angle in to_angles(turn))
    shown = 0.0 if face.expression is None else float(np.nansum(np.asarray(face.expression)))
    return math.hypot(yaw_deg - view_deg, pitch_deg) + _EXPRESSIVE_DEG * shown
