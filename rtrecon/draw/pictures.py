"""What ``rtrecon.draw`` gives to whoever has a face and wants a picture of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.draw.marks import draw_overlay
from rtrecon.geometry import portrait
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage, Float32Array

__all__ = ["depth_colors", "head", "overlay", "preview"]

_EXTENT_M = 0.33


def overlay(image: BgrImage, faces: Sequence[FaceReconstruction]) -> BgrImage:
    """The picture with a box, five landmarks, id and distance for each face.

    Args:
        image: (H, W, 3) uint8 BGR, the picture that ``faces`` were found in; stays as it is.

    Returns:
        (H, W, 3) uint8 BGR, of the caller's own.
    """
    return draw_overlay(image, faces)


def depth_colors(
    depth_m: Float32Array, near_m: float | None = None, far_m: float | None = None
) -> BgrImage:
    """Depth in a perceptual colour map (Viridis): near is bright, no depth is dark grey.

    For a film give the same ``near_m`` and ``far_m`` to all pictures, or colours flicker.

    Args:
        depth_m: (h, w) metres, NaN where there is none: `FaceReconstruction.depth_m`, or
            `depth_in_frame`.
        near_m: what is brightest; None: the 1st percentile.
        far_m: what is darkest; None: the 99th percentile.

    Returns:
        (h, w, 3) uint8 BGR.
    """
    known = depth_m[np.isfinite(depth_m)]
    near, far = np.percentile(known, (1.0, 99.0)) if known.size else (0.0, 1.0)
    near, far = (near if near_m is None else near_m), (far if far_m is None else far_m)
    return portrait.depth_colors(-np.asarray(depth_m), -float(far), -float(near))


def preview(image: BgrImage, face: FaceReconstruction) -> BgrImage:
    """The sheet that ``rtrecon image`` writes: picture, depth in millimetres, mesh, whole head.

    Args:
        image: (H, W, 3) uint8 BGR, the picture that ``face`` was found in.

    Returns:
        (h, w, 3) uint8 BGR.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """
    from rtrecon.draw.sheet import draw_preview  # much to import for who wants an overlay

    return draw_preview(image, face)


def head(
    face: FaceReconstruction,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    size_px: tuple[int, int] = (480, 480),
) -> BgrImage:
    """The whole head as the window shows it, from any side.

    Args:
        face: one face.
        yaw_deg: positive shows the side that is right in the picture.
        pitch_deg: positive shows it from above.
        size_px: width and height; as high as 33 cm at the face.

    Returns:
        (height, width, 3) uint8 BGR.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """
    from rtrecon.draw.live_head import LiveHead
    from rtrecon.draw.raster import orbit, paint

    view = LiveHead()(face)
    turn = orbit(yaw_deg, pitch_deg)
    picture, _ = paint(
        view.surface, turn, size_px, center=view.center, extent_m=_EXTENT_M, fine=True
    )
    return picture
