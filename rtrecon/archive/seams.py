"""Who is who across the seam of two segments: the pictures that both have seen tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtrecon.types import Float32Array

__all__ = ["Identities", "Seen"]

_SAME_PLACE = 0.5  # of a face's length: how far apart two sights of one face may be
_RECENT_NS = 0.5e9  # what is so long before the seam counts half
_LEAST_VOTE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Faces of a segment, one a row, times rising.

    ``t_ns`` (n,) and ``ids`` (n,) int64; ``landmarks_px`` (n, 5, 2) float32.
    """

    t_ns: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    landmarks_px: Float32Array

    def between(self, start_ns: int, end_ns: int | None) -> Seen:
        """The rows from ``start_ns`` until before ``end_ns``."""
        first = int(np.searchsorted(self.t_ns, start_ns))
        last = len(self.t_ns) if end_ns is None else int(np.searchsorted(self.t_ns, end_ns))
        part = slice(first, last)
        return Seen(self.t_ns[part], self.ids[part], self.landmarks_px[part])


class Identities:
    """Gives the faces of one segment after the other the ids that they have in the whole video.

    A face keeps its id if the segment before has seen it at the same place in the pictures that
    both have; else it gets the next one that is free, in the order in which they appear.
    """

    def __init__(self) -> None:
        self._next_id = 0
        self._before: Seen | None = None

    def join(
        self, segment: Seen, warm_ns: int, start_ns: int, end_ns: int | None
    ) -> dict[int, int]:
        """What each id of a segment is called in the whole video.

        Args:
            segment: its faces, from ``warm_ns`` on.
            warm_ns: where it began to follow faces. start_ns: where its own part begins.
            end_ns: where that ends.

        Returns:
            For all faces of its own part.
        """
        own = segment.between(start_ns, end_ns)
        names: dict[int, int] = {}
        if self._before is not None and warm_ns < start_ns:
            shared = self._before.between(warm_ns, start_ns)
            names = match_faces(shared, segment.between(warm_ns, start_ns), start_ns)
        for face_id in own.ids.tolist():
            if face_id not in names:
                names[face_id] = self._next_id
                self._next_id += 1
        ids = np.array([names[face_id] for face_id in own.ids.tolist()], dtype=np.int64)
        self._before = Seen(own.t_ns, ids, own.landmarks_px)
        return names


def match_faces(before: Seen, after: Seen, seam_ns: int) -> dict[int, int]:
    """Which ids of ``after`` are which of ``before``, by where they are in the same pictures.

    Each at most once, the surest first; sights near the seam count most.
    """
    votes: dict[tuple[int, int], float] = {}
    for t_ns, first, last, other in _common(before, after):
        weight = 0.5 ** ((seam_ns - t_ns) / _RECENT_NS)
        for k in range(first, last):
            for j in other:
                marks, others = after.landmarks_px[k], before.landmarks_px[j]
                apart = float(np.linalg.norm(marks.mean(axis=0) - others.mean(axis=0)))
                if apart < _SAME_PLACE * min(_length(marks), _length(others)):
                    pair = (int(after.ids[k]), int(before.ids[j]))
                    votes[pair] = votes.get(pair, 0.0) + weight
    names: dict[int, int] = {}
    for (own, known), vote in sorted(votes.items(), key=_surest):
        if vote > _LEAST_VOTE and own not in names and known not in names.values():
            names[own] = known
    return names


def _surest(item: tuple[tuple[int, int], float]) -> tuple[float, tuple[int, int]]:
    return -item[1], item[0]


def _common(before: Seen, after: Seen) -> list[tuple[int, int, int, range]]:
    """Times that both have, with the rows there: of ``after`` from, to; of ``before``."""
    common = []
    for t_ns in np.intersect1d(before.t_ns, after.t_ns).tolist():
        first, last = np.searchsorted(after.t_ns, [t_ns, t_ns + 1]).tolist()
        low, high = np.searchsorted(before.t_ns, [t_ns, t_ns + 1]).tolist()
        common.append((t_ns, first, last, range(low, high)))
    return common


def _length(landmarks_px: Float32Array) -> float:
    across = landmarks_px[1] - landmarks_px[0]
    down = landmarks_px[3:].mean(axis=0) - landmarks_px[:2].mean(axis=0)
    return max(float(np.hypot(*across)), float(np.hypot(*down)), 1.0)


def renamed(ids: npt.NDArray[np.int64], names: Mapping[int, int]) -> npt.NDArray[np.int32]:
    """``ids`` by their ``names``."""
    return np.array([names[face_id] for face_id in ids.tolist()], dtype=np.int32)
