"""A person's own head: the model's topology, their shape, hair and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import UInt8Array
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fitted import FittedHead
from rtrecon.head.hair import own_regions
from rtrecon.head.model import HeadModel
from rtrecon.head.regions import regions_of
from rtrecon.head.texture import TEXTURE_PX, bake
from rtrecon.head.view import View, make_view
from rtrecon.head.wrap import wrap
from rtrecon.types import BgrImage, Float32Array

__all__ = ["PersonHead", "person_head"]


@dataclass(frozen=True, slots=True, eq=False)
class PersonHead:
    """A person's head, of `HeadModel`'s vertices, triangles and texture layout.

    Attributes:
        model: whose topology it has.
        fitted: the head fitted to the first view.
        vertices: (n, 3) float32 at rest, metres in the head frame, of the person's size.
        vertices_camera: (n, 3) float32 as seen in the first view, metres in the camera frame.
        texture: (s, s, 3) uint8 RGB.
        view: the first one.
    """

    model: HeadModel
    fitted: FittedHead
    vertices: Float32Array
    vertices_camera: Float32Array
    texture: UInt8Array
    view: View


def person_head(
    faces: FaceReconstruction | Sequence[FaceReconstruction],
    fitted: FittedHead | Sequence[FittedHead],
    pictures: BgrImage | Sequence[BgrImage | None] | None = None,
    *,
    texture_px: int = TEXTURE_PX,
) -> PersonHead:
    """The head of a person seen in one picture, or in several.

    Args:
        faces: one, or several of the same person; the first is the one that counts most.
        fitted: the head fitted to each of them, with one identity.
        pictures: (H, W, 3) uint8 BGR, what they were seen in: hair beyond the face's crop is
            taken from there.
        texture_px: side of the texture, 256 to 4096.

    Raises:
        DataError: no face, not as many heads and pictures as faces, or a picture of another size.
    """
    if isinstance(faces, FaceReconstruction):
        faces = [faces]
    if isinstance(fitted, FittedHead):
        fitted = [fitted]
    if pictures is None:
        pictures = [None] * len(faces)
    elif not isinstance(pictures, (list, tuple)):
        pictures = [cast(BgrImage, pictures)]
    if not len(faces) or not len(faces) == len(fitted) == len(pictures):
        raise DataError(
            f"a head needs a face or more, and as many fits and pictures: not {len(faces)}, "
            f"{len(fitted)} and {len(pictures)}"
        )
    for face, picture in zip(faces, pictures, strict=True):
        i = face.intrinsics
        if picture is not None and picture.shape != (i.height, i.width, 3):
            raise DataError(
                f"the face was seen in a picture of {i.width}x{i.height}: one of shape "
                f"{picture.shape} is another"
            )
    if not 256 <= texture_px <= 4096:
        raise DataError(f"a texture of {texture_px} pixels is not possible: give 256 to 4096")
    views = [
        make_view(face, head, picture)
        for face, head, picture in zip(faces, fitted, pictures, strict=True)
    ]
    model = fitted[0].model
    regions = own_regions(views, regions_of(model))
    wrapped = wrap(views, regions)
    texture = bake(model, views, wrapped.seen, wrapped.rest, regions, texture_px)
    return PersonHead(model, fitted[0], wrapped.rest, wrapped.seen[0], texture, views[0])
