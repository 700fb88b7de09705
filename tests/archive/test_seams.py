"""Ids across seams."""

from __future__ import annotations

import numpy as np

from rtrecon.archive.seams import Identities, Seen

MS = 1_000_000
FACE = np.array([[-20, 0], [20, 0], [0, 20], [-15, 40], [15, 40]], np.float32)


def seen(*sights: tuple[int, int, float]) -> Seen:
    """Of (milliseconds, id, x)."""
    return Seen(
        np.array([t * MS for t, _, _ in sights], np.int64),
        np.array([face_id for _, face_id, _ in sights], np.int64),
        np.stack([FACE + np.float32([x, 100]) for _, _, x in sights])
        if sights
        else np.empty((0, 5, 2), np.float32),
    )


def test_faces_keep_their_ids_over_a_seam() -> None:
    identities = Identities()
    first = seen(*((t, k, 100 + 300 * k) for t in range(0, 1000, 100) for k in range(2)))
    assert identities.join(first, 0, 0, 1000 * MS) == {0: 0, 1: 1}
    # In the next segment they were found in the other order, and there is a third.
    second = seen(
        *((t, k, (400, 100)[k]) for t in range(500, 2000, 100) for k in range(2)),
    )
    more = seen(*((t, 2, 700) for t in range(1200, 2000, 100)))
    order = np.argsort(np.concatenate([second.t_ns, more.t_ns]), kind="stable")
    both = Seen(
        np.concatenate([second.t_ns, more.t_ns])[order],
        np.concatenate([second.ids, more.ids])[order],
        np.concatenate([second.landmarks_px, more.landmarks_px])[order],
    )
    assert identities.join(both, 500 * MS, 1000 * MS, None) == {0: 1, 1: 0, 2: 2}


def test_somebody_else_at_another_place_is_somebody_else() -> None:
    identities = Identities()
    identities.join(seen(*((t, 0, 100) for t in range(0, 1000, 100))), 0, 0, 1000 * MS)
    after = seen(*((t, 0, 400) for t in range(900, 1500, 100)))
    assert identities.join(after, 500 * MS, 1000 * MS, None) == {0: 1}


def test_who_was_seen_while_warming_up_alone_gets_no_id() -> None:
    identities = Identities()
    identities.join(seen(*((t, 0, 100) for t in range(0, 1000, 100))), 0, 0, 1000 * MS)
    after = seen((800, 5, 900), (900, 0, 100), (1000, 0, 100), (1100, 7, 300))
    assert identities.join(after, 800 * MS, 1000 * MS, None)[0] == 0
    names = Identities().join(after, 800 * MS, 1000 * MS, None)
    assert names == {0: 0, 7: 1}


def test_the_sight_next_to_the_seam_decides() -> None:
    """Two faces that change places in the overlap are known by where they are at its end."""
    identities = Identities()
    crossing = [(t, k, (100 + 3 * t, 400 - 3 * t)[k]) for t in range(100) for k in (0, 1)]
    identities.join(seen(*crossing), 0, 0, 100 * MS)
    # The second segment has begun with the ids of where they were.
    late = [(t, k, x) for t, k, x in crossing if t >= 70]
    assert identities.join(seen(*late), 70 * MS, 100 * MS, None) == {0: 0, 1: 1}
    swapped = [(t, 1 - k, x) for t, k, x in crossing if t >= 70] + [(100, 0, 100), (100, 1, 400)]
    identities = Identities()
    identities.join(seen(*crossing), 0, 0, 100 * MS)
    assert identities.join(seen(*swapped), 70 * MS, 100 * MS, None) == {0: 1, 1: 0}


def test_an_empty_overlap_gives_new_ids() -> None:
    identities = Identities()
    identities.join(seen((0, 0, 100)), 0, 0, 1000 * MS)
    assert identities.join(seen(), 900 * MS, 1000 * MS, 2000 * MS) == {}
    assert identities.join(seen((2100, 0, 100)), 1900 * MS, 2000 * MS, None) == {0: 1}
