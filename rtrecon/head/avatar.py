"""From reconstructed faces to the avatar of the person, and to its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rtrecon.files import write_files
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fit import fit_heads
from rtrecon.head.glb import encode_glb
from rtrecon.head.obj import encode_obj, obj_files
from rtrecon.head.person import person_head
from rtrecon.head.rig import AVATAR_SUFFIXES, RiggedHead, check_avatar_path
from rtrecon.head.rigging import rig_head
from rtrecon.head.texture import TEXTURE_PX
from rtrecon.head.usdz import check_usd, encode_usdz
from rtrecon.head.vrm import VrmMeta, encode_vrm
from rtrecon.types import BgrImage

__all__ = ["AVATAR_SUFFIXES", "avatar_files", "encode_avatar", "make_avatar", "save_avatar"]


def avatar_files(path: Path) -> tuple[Path, ...]:
    """All files that an avatar named ``path`` is."""
    return obj_files(path) if path.suffix.lower() == ".obj" else (path,)


def make_avatar(
    faces: FaceReconstruction | Sequence[FaceReconstruction],
    pictures: BgrImage | Sequence[BgrImage | None] | None = None,
    *,
    ipd_mm: float = 63.0,
    texture_px: int = TEXTURE_PX,
    extras: dict[str, object] | None = None,
) -> RiggedHead:
    """The rigged head of a person: whole, textured, with joints and ARKit's 52 shapes.

    Args:
        faces: one, or several of one person; the first is the one that counts most.
        pictures: (H, W, 3) uint8 BGR, what each was seen in: shows hair beyond the face's crop.
        ipd_mm: between the person's eyes, as the faces were reconstructed with.
        texture_px: side of the texture, 256 to 4096.
        extras: facts to travel with it; JSON values.

    Raises:
        DataError: there is no face, or one has no pose.
        ModelError: the head model is not installed, or damaged.
    """
    seen = [faces] if isinstance(faces, FaceReconstruction) else list(faces)
    fitted = fit_heads(seen, ipd_m=ipd_mm / 1000.0)
    person = person_head(seen, fitted, pictures, texture_px=texture_px)
    facts = {
        "head_model": "ICT-FaceKit Light, USC Institute for Creative Technologies, MIT",
        "views": len(seen),
        "ipd_mm": float(ipd_mm),
        **(extras or {}),
    }
    return rig_head(person.model, person.vertices, person.texture, extras=facts)


def encode_avatar(
    rigged: RiggedHead, path: Path, meta: VrmMeta, *, vrm_version: Literal[0, 1] = 1
) -> dict[Path, bytes]:
    """The contents of the files that an avatar named ``path`` is, by path.

    Raises:
        DataError: the suffix is none of `AVATAR_SUFFIXES`.
        MissingExtraError: USDZ wants the extra ``usd``.
        OutputError: a texture cannot be encoded.
    """
    check_avatar_path(path)
    kind = path.suffix.lower()
    if kind == ".glb":
        return {path: encode_glb(rigged)}
    if kind == ".vrm":
        return {path: encode_vrm(rigged, meta, vrm_version)}
    if kind == ".obj":
        return encode_obj(rigged, path)
    return {path: encode_usdz(rigged)}


def save_avatar(
    faces: FaceReconstruction | Sequence[FaceReconstruction],
    path: str | Path,
    *,
    pictures: BgrImage | Sequence[BgrImage | None] | None = None,
    name: str | None = None,
    author: str = "unknown",
    ipd_mm: float = 63.0,
    texture_px: int = TEXTURE_PX,
    overwrite: bool = True,
) -> None:
    """Write a person's head, rigged, by the suffix of ``path``: .glb, .vrm (1.0), .obj, .usdz.

    Args:
        faces: one, or several of one person; the first counts most.
        path: of the file.
        pictures: what each was seen in; without them hair beyond the face's crop is guessed.
        name: of the avatar, for VRM; None: the file's.
        author: of it, for VRM. It allows nobody else anything.
        ipd_mm: between the person's eyes, as the faces were reconstructed with.
        texture_px: side of the texture, 256 to 4096.
        overwrite: replace files that are there.

    Raises:
        DataError: another suffix, no face, or one without a pose.
        MissingExtraError: USDZ wants the extra ``usd``.
        OutputError: a file cannot be written.
    """
    path = Path(path)
    check_avatar_path(path)
    if path.suffix.lower() == ".usdz":
        check_usd()
    meta = VrmMeta(name or path.stem, author)
    rigged = make_avatar(faces, pictures, ipd_mm=ipd_mm, texture_px=texture_px)
    write_files(encode_avatar(rigged, path, meta), overwrite=overwrite)
