"""``rtrecon avatar``: a person's whole head, rigged, from a picture, a take, a film or a camera."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from rtrecon.config import ModelConfig, OptionalText
from rtrecon.console import say
from rtrecon.errors import DataError, OutputError, UserError
from rtrecon.files import check_target, write_files, write_json
from rtrecon.head.rig import check_avatar_path

if TYPE_CHECKING:
    from rtrecon.commands.avatar_views import Views
    from rtrecon.pipeline import Reconstructor
    from rtrecon.stats import RunStats

__all__ = ["AvatarConfig", "run_avatar"]

logger = logging.getLogger(__name__)

_DARK = 35  # of 255
_SIDE_DEG, _AWAY_DEG = 40.0, 70.0  # beyond the first a side is guessed, beyond the second the face


@dataclass(kw_only=True)
class AvatarConfig(ModelConfig):
    """Make a person's head: whole, textured, with joints and ARKit's 52 shapes.

    All but OBJ, the head at rest, can be animated. Of several faces the largest is taken.
    """

    source: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE", help_behavior_hint="")
    ]
    """A picture, a take, a video file, a camera's number, an address or `demo`."""
    out: Annotated[
        list[Path],
        tyro.conf.arg(metavar="FILE.{glb,vrm,obj,usdz}", help_behavior_hint="", aliases=("-o",)),
    ]
    """File to write; give it several times for several formats."""
    face: int = 0
    """Which face: 0 is the largest, 1 the next."""
    faces: int = 10
    """Faces to look for at most."""
    seconds: float = 6.0
    """How long to look, where the source moves; turn your head to both sides meanwhile."""
    texture_size: int = 2048
    """Side of the texture in pixels, 256 to 4096."""
    name: OptionalText = None
    """VRM: name of the avatar (default: the file's)."""
    author: OptionalText = None
    """VRM: its author (default: unknown)."""
    contact: OptionalText = None
    """VRM: how to reach the author."""
    allow: OptionalText = None
    """VRM: what others may do, of use,commercial,modify,redistribute (default: nothing)."""
    vrm: Literal[1, 0] = 1
    """VRM: version 1.0, or 0.x for programs that know no other."""
    overwrite: bool = False
    """Replace files that are there already."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if not self.out:
            raise UserError("name a file to write: --out me.glb")
        for path in self.out:
            check_avatar_path(path)
        written: set[str] = set()
        for file in self.files():
            name = os.path.normpath(file.absolute())
            if name in written:
                raise UserError(f"--out: {file} would be written twice")
            written.add(name)
        if not 0 <= self.face < self.faces:
            raise UserError(f"--face must be 0 to {self.faces - 1}, not {self.face}")
        if not 0.1 <= self.seconds <= 600.0:
            raise UserError(f"--seconds must be 0.1 to 600, not {self.seconds:g}")
        if not 256 <= self.texture_size <= 4096:
            raise UserError(f"--texture-size must be 256 to 4096, not {self.texture_size}")
        self.allowed()

    def files(self) -> list[Path]:
        """All that is written, textures and materials included."""
        from rtrecon.head.avatar import avatar_files

        return [file for path in self.out for file in avatar_files(path)]

    def allowed(self) -> tuple[str, ...]:
        """What `allow` says.

        Raises:
            UserError: something that is unknown.
        """
        from rtrecon.head.vrm import PERMISSIONS

        names = tuple(part.strip() for part in (self.allow or "").split(",") if part.strip())
        for name in names:
            if name not in PERMISSIONS:
                raise UserError(f"--allow knows {', '.join(PERMISSIONS)}, not {name!r}")
        return names


def run_avatar(config: AvatarConfig) -> int:
    """Make the head and write it; one JSON line goes to standard output.

    All files are written, or none.

    Returns:
        0.

    Raises:
        UserError: the source or an option cannot be used.
        DataError: there is no face, or too little of it is seen.
        OutputError: a file is there already, or cannot be written.
    """
    from rtrecon.console import signals_end
    from rtrecon.head.avatar import encode_avatar, make_avatar
    from rtrecon.head.usdz import check_usd
    from rtrecon.head.vrm import VrmMeta
    from rtrecon.stats import RunStats

    if any(path.suffix.lower() == ".usdz" for path in config.out):
        check_usd()
    for path in config.out:
        check_target(path)
    for path in config.files():
        if not config.overwrite and os.path.lexists(path):
            raise OutputError(f"{path} is there already: use --overwrite to replace it")
    if config.stats is not None:
        check_target(config.stats)
    start_s = time.monotonic()
    stats = RunStats()
    with signals_end():
        with _reconstructor(config) as reconstructor:
            views = _views(config, reconstructor, stats)
            model_facts = reconstructor.model_facts
        _say_what_is_seen(config, views)
        rigged = make_avatar(
            [view.face for view in views.best],
            [view.image for view in views.best],
            ipd_mm=config.ipd_mm,
            texture_px=config.texture_size,
            extras={"depth_model": model_facts["model"]},
        )
        files: dict[Path, bytes] = {}
        for path in config.out:
            meta = VrmMeta(
                config.name or path.stem,
                config.author or "unknown",
                config.contact or "",
                config.allowed(),
            )
            files.update(encode_avatar(rigged, path, meta, vrm_version=config.vrm))
    if config.author is None and any(path.suffix.lower() == ".vrm" for path in config.out):
        logger.info("the VRM's author is unknown: --author names you")
    write_files(files, overwrite=config.overwrite)
    say(json.dumps(_line(config, views, files)))
    logger.info("%.1f s", time.monotonic() - start_s)
    if config.stats is not None:
        write_json(
            config.stats,
            {
                "seconds": round(time.monotonic() - start_s, 3),
                "views": len(views.best),
                "bytes": {str(path): len(content) for path, content in files.items()},
                **stats.summary(),
                **model_facts,
            },
        )
    return 0


def _reconstructor(config: AvatarConfig) -> Reconstructor:
    from rtrecon.pipeline import Reconstructor

    picture = _is_picture(config.source)
    return Reconstructor(
        **config.reconstructor_options(),
        temporal=not picture,
        passes=4 if picture else 1,
        min_face_px=48,
    )


def _is_picture(source: str) -> bool:
    from rtrecon.capture.pictures import is_picture_file

    try:
        path = Path(source)
        return path.is_file() and is_picture_file(path)
    except (OSError, ValueError):
        return False


def _views(config: AvatarConfig, reconstructor: Reconstructor, stats: RunStats) -> Views:
    from rtrecon.commands.avatar_views import look, views_of_picture

    if _is_picture(config.source):
        return views_of_picture(Path(config.source), reconstructor, config.face, stats)
    return look(config.source, reconstructor, config.face, config.seconds, stats)


def _say_what_is_seen(config: AvatarConfig, views: Views) -> None:
    """Which face it is and what had to be guessed.

    Raises:
        DataError: so much that it would not be theirs.
    """
    first = views.best[0]
    if views.count > 1:
        logger.info(
            "%d faces: this is number %d, the %s; --face takes another",
            views.count,
            config.face,
            "largest" if config.face == 0 else "next in size",
        )
    yaw = abs(first.yaw_deg)
    if yaw > _AWAY_DEG:
        raise DataError(
            f"the face in {config.source} is turned away by {yaw:.0f} degrees: show it from the "
            "front"
        )
    if first.is_odd:
        raise DataError(
            f"what was found in {config.source} at {[int(v) for v in first.face.box_px]} is hardly "
            "a whole, upright face: show all of it, the right way up"
        )
    if first.inside < 0.6:
        raise DataError(
            f"{100 * first.inside:.0f} % of the face in {config.source} is in the picture: show "
            "all of it"
        )
    if yaw > _SIDE_DEG:
        logger.warning(
            "the face is turned aside by %.0f degrees: its other side is made like this one", yaw
        )
    if float(np.median(first.face.colors)) < _DARK:
        logger.warning("the face is dark, and its texture will be: more light shows more of it")
    if first.inside < 0.9:
        logger.warning("the face is cut by the picture's edge: the rest of it is guessed")


def _line(config: AvatarConfig, views: Views, files: dict[Path, bytes]) -> dict[str, Any]:
    return {
        "source": config.source,
        "face": config.face,
        "faces": views.count,
        "box_px": [round(float(v), 2) for v in views.best[0].face.box_px],
        "yaws_deg": [round(view.yaw_deg, 1) for view in views.best],
        "files": [str(path) for path in files],
    }
