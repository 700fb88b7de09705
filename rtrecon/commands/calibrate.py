"""``rtrecon calibrate``: what is neutral for a person, and how much their face can do."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from rtrecon.config import ModelConfig, OptionalText, parse_size
from rtrecon.console import Progress, say, signals_end
from rtrecon.errors import RtreconError, SourceLostError, UserError
from rtrecon.files import check_target, write_json

if TYPE_CHECKING:
    from rtrecon.avatar.guide import Guide
    from rtrecon.capture import Source
    from rtrecon.geometry.reconstruction import FaceReconstruction
    from rtrecon.output import Output
    from rtrecon.profiles import ProfileStore
    from rtrecon.session import LiveSession

__all__ = ["CalibrateConfig", "run_calibrate"]

logger = logging.getLogger(__name__)

_NO_DEFAULT = ""
_PARTS = 20  # of a step, in the progress line
_GIVE_UP_S = 15.0


@dataclass(kw_only=True)
class CalibrateConfig(ModelConfig):
    """Learn what is neutral for a person and how much their face can do, for avatars.

    Says what to do, for half a minute; what comes of it is kept for this camera and person, and
    used by every later run. The lens of a camera is measured by `rtrecon calibrate-camera`.
    """

    source: Annotated[
        tyro.conf.Positional[str | None],
        tyro.conf.arg(metavar="[SOURCE]", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Camera index, path or name, or a stream; a file needs --person. Default: the first
    camera."""
    person: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint=_NO_DEFAULT)] = (
        None
    )
    """Whose calibration it is (default: one called default)."""
    list: bool = False
    """List what is kept, instead."""
    forget: bool = False
    """Delete what is kept of this person, before all cameras, instead."""
    size: OptionalText = None
    """Camera picture size to ask for, such as 1280x720."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.list and self.forget:
            raise UserError("give --list or --forget, not both")
        if (self.list or self.forget) and self.source is not None:
            raise UserError("--list and --forget are of all cameras: leave out the SOURCE")
        parse_size(self.size)


def run_calibrate(config: CalibrateConfig) -> int:
    """Calibrate, list or forget; 0, or 130 after Ctrl-C.

    Raises:
        RtreconError: there is no source or no face, or it cannot be kept.
    """
    from rtrecon.profiles import DEFAULT_PERSON, ProfileStore, check_person

    person = check_person(DEFAULT_PERSON if config.person is None else config.person)
    store = ProfileStore()
    if config.list:
        return _list(store)
    if config.forget:
        return _forget(store, person)
    if config.stats is not None:
        check_target(config.stats)
    source = _open(config)
    with source:
        return _calibrate(config, source, person, store)


def _calibrate(config: CalibrateConfig, source: Source, person: str, store: ProfileStore) -> int:
    from rtrecon.avatar.guide import Guide
    from rtrecon.pipeline import ReconstructorConfig
    from rtrecon.session import LiveSession

    camera = source.device or source.name
    guide = Guide(store.load(camera, person))
    session = LiveSession(
        source,
        outputs=[_looking(guide)],
        reconstructor=ReconstructorConfig(
            **config.reconstructor_options(),
        ),
        person="",
        give_up_s=_GIVE_UP_S,
    )
    with signals_end() as signals, session:
        signals.stop_with(session.stop)
        say(f"{person} before {camera}:")
        _go_through(guide, session, quiet=config.quiet)
        if config.stats is not None:
            write_json(config.stats, session.stats())
        if signals.came:
            logger.error("interrupted: what was kept before stays as it was")
            return 130
        if guide.trouble or not guide.is_done:
            raise _why(guide, config.model)
        signals.defer()
        path = store.save(camera, person, guide.profile())
    _say_result(guide)
    say(f"kept: {path}")
    return 0


def _open(config: CalibrateConfig) -> Source:
    """The source, open.

    Raises:
        SourceError: there is none.
        UserError: it is a film, and nobody said whose.
    """
    from rtrecon.capture import list_cameras, open_source

    spec: int | str | None = config.source
    if spec is None:
        cameras = list_cameras()
        if not cameras:
            raise UserError("no camera found: name the SOURCE, such as an rtsp:// address")
        spec = cameras[0].index
        logger.info("camera %s (%s)", cameras[0].index, cameras[0].name)
    source = open_source(spec, size=parse_size(config.size), loop=spec == "demo")
    if not source.is_live and config.person is None:
        source.close()
        raise UserError(
            f"{source.name} is no camera: give --person NAME to keep a calibration for it"
        )
    return source


def _looking(guide: Guide) -> Output:
    """An output that shows every face to ``guide``."""
    from rtrecon.output import Output
    from rtrecon.result import LiveResult

    class Looking(Output):
        name = "calibrate"
        every_result = True

        def write(self, result: LiveResult) -> None:
            guide(max(result.faces, key=_area, default=None), result.frame.t_ns * 1e-9)

    return Looking()


def _area(face: FaceReconstruction) -> float:
    x0, y0, x1, y1 = face.box_px.tolist()
    return float((x1 - x0) * (y1 - y0))


def _go_through(guide: Guide, session: LiveSession, *, quiet: bool) -> None:
    """Say what to do, one step after the other, until all is done or the source ends."""
    from rtrecon.avatar.guide import MOVES

    said = -1
    with Progress("calibration", _PARTS * (len(MOVES) + 1), quiet=quiet) as progress:
        for _ in session.steps():
            step = guide.step
            if guide.trouble or guide.is_done:
                return
            if step != said:
                say(f"{step + 1}/{len(MOVES) + 1}  {guide.words}")
                said = step
            progress.show(round(_PARTS * (step + guide.share)), guide.words)


def _why(guide: Guide, model: str) -> RtreconError:
    stays = "what was kept before stays as it was"
    if guide.has_no_coefficients:
        return UserError(f"{model} gives no coefficients: take --model face-dpt; {stays}")
    if guide.trouble:
        return RtreconError(
            f"{guide.trouble}: sit before the camera, in light from the front, and look at the "
            f"screen; {stays}"
        )
    return SourceLostError(f"the source ended before all was seen; {stays}")


def _say_result(guide: Guide) -> None:
    for shown in guide.shown:
        seen = "not seen, as it was before" if shown.most is None else f"{shown.most:.2f} at most"
        say(f"  {shown.move.name:<6}  {seen}")
    if guide.not_at_rest:
        most = max(guide.not_at_rest, key=lambda name: guide.not_at_rest[name])
        logger.warning(
            "the face was not at rest (%s %.2f): calibrate again with the mouth closed and "
            "no smile if the avatar looks sad",
            most,
            guide.not_at_rest[most],
        )


def _list(store: ProfileStore) -> int:
    stored = store.stored()
    if not stored:
        say(f"nothing is kept in {store.folder}")
    for entry in stored:
        if entry.trouble:
            say(f"cannot be used ({entry.trouble}): {entry.path}")
            continue
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.path.stat().st_mtime))
        say(f"{entry.person} before {entry.camera}, {when}: {entry.path}")
    return 0


def _forget(store: ProfileStore, person: str) -> int:
    """Delete; what there is.

    Raises:
        UserError: there is nothing of this person.
    """
    gone = store.forget(person)
    if not gone:
        persons = ", ".join(sorted({e.person for e in store.stored() if e.person})) or "nobody"
        raise UserError(f"nothing is kept of {person!r}: there is: {persons} (--person NAME)")
    for path in gone:
        say(f"deleted {path}")
    return 0
