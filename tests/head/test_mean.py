"""The mean head as an avatar."""

from __future__ import annotations

import numpy as np

from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.head.mean import mean_rigged_head


def test_it_has_all_shapes_and_a_face_that_can_be_told_from_the_skin() -> None:
    rigged = mean_rigged_head(512)
    assert set(ARKIT_NAMES) <= set(rigged.shape_names)
    assert rigged.texture.shape == (512, 512, 3)
    # Lips are redder than skin, brows and hair darker.
    red = rigged.texture[..., 0].astype(float) - rigged.texture[..., 1]
    assert np.percentile(red, 99) - np.median(red) > 15
    assert (rigged.texture.max(axis=-1) < 100).mean() > 0.02
