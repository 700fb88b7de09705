"""``rtrecon run``: from a source to a moving face in a window, or to any other outputs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from rtrecon.config import (
    ModelConfig,
    OptionalFloat,
    OptionalInt,
    OptionalPath,
    OptionalText,
    parse_size,
)
from rtrecon.console import Progress, signals_end
from rtrecon.errors import OutputError, UserError
from rtrecon.files import check_target, write_json
from rtrecon.threads import at_sudden_end

if TYPE_CHECKING:
    from rtrecon.capture import Source
    from rtrecon.output import Output
    from rtrecon.session import LiveSession

__all__ = ["RunConfig", "run"]

logger = logging.getLogger(__name__)

_NO_DEFAULT = ""

View = Literal["auto", "window", "web", "none"]


@dataclass(kw_only=True)
class RunConfig(ModelConfig):
    """Reconstruct faces live from a camera, file or stream."""

    source: Annotated[
        tyro.conf.Positional[str | None],
        tyro.conf.arg(metavar="[SOURCE]", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Camera index, path or name; video file; rtsp:// or http:// stream; folder of pictures; a
    take, to play it again; or `demo`. Default: the first camera, else the demo clip."""
    view: View = "auto"
    """As --out window or --out web; auto: a window if there is a display, else files where no
    output is named."""
    no_open: bool = False
    """Do not open the browser for --view web."""
    max_frames: OptionalInt = None
    """End after this many processed frames."""
    every_frame: bool = False
    """Process each frame of a file, as fast as possible, instead of at the file's own rate."""
    out: Annotated[
        list[str],
        tyro.conf.arg(
            metavar="NAME[:TARGET][?key=value]", help_behavior_hint=_NO_DEFAULT, aliases=("-o",)
        ),
    ] = field(default_factory=list)
    """Where results go; give it several times for several outputs. `rtrecon outputs` lists them."""
    record: OptionalPath = None
    """Write preview video, poses and the last face into this folder; as --out record:DIR."""
    loop: bool = False
    """Start files again at their end."""
    person: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint=_NO_DEFAULT)] = (
        None
    )
    """Whose calibration avatars use, kept for each camera (default: one called default)."""
    calibrate: bool = False
    """Learn what is neutral for each person, over minutes, and take it off the expression."""
    saved_camera: bool = True
    """Use what `rtrecon calibrate-camera` has kept of the camera, or not (--no-saved-camera)."""
    size: OptionalText = None
    """Camera picture size to ask for, such as 1280x720."""
    rate: OptionalFloat = None
    """Camera frame rate to ask for."""
    stall_timeout: float = 3.0
    """Seconds without a new frame after which a camera or stream is reconnected."""
    give_up: OptionalFloat = None
    """Seconds without a picture after which it is given up. Default: 30 for a stream; a camera
    never is."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.max_frames is not None and self.max_frames < 1:
            raise UserError(f"--max-frames must be 1 or more, not {self.max_frames}")
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise UserError(f"--rate must be above zero, to 1000 Hz, not {self.rate:g}")
        if not 0 < self.stall_timeout <= 86400:
            raise UserError(
                f"--stall-timeout must be above zero, to 86400 s, not {self.stall_timeout:g}"
            )
        if self.give_up is not None and not self.give_up > 0:
            raise UserError(f"--give-up must be above zero, not {self.give_up:g}")
        if self.person and self.calibrate:
            raise UserError(
                "give --person or --calibrate, not both: what is kept of a person is not "
                "learnt from coefficients that --calibrate has changed"
            )
        parse_size(self.size)


def run(config: RunConfig, first: Sequence[Output] = (), source: Source | None = None) -> int:
    """Run until the source ends, the window closes, or Ctrl-C.

    Args:
        config: the options.
        first: outputs before those that are named.
        source: an open one, instead of the one that is named.

    Returns:
        0, or 1 if an output failed.

    Raises:
        RtreconError: the source, the model or all outputs cannot be used.
    """
    from rtrecon.outputs.registry import make_outputs
    from rtrecon.pipeline import ReconstructorConfig
    from rtrecon.session import LiveSession

    if config.stats is not None:
        check_target(config.stats, [str(config.source)])
    outputs = make_outputs([*first, *_named_outputs(config)])
    session = LiveSession(
        source or (config.source if config.source is not None else _default_source()),
        outputs=outputs,
        reconstructor=ReconstructorConfig(
            **config.reconstructor_options(),
            calibrate=config.calibrate,
        ),
        every_frame=config.every_frame,
        max_frames=config.max_frames,
        loop=config.loop,
        size=parse_size(config.size),
        rate_hz=config.rate,
        stall_timeout_s=config.stall_timeout,
        give_up_s=config.give_up,
        person=config.person,
        saved_camera=config.saved_camera,
        hold_end=True,
        sparing=config.max_frames is None,
    )
    with signals_end() as signals, session:
        stats = session.pipeline.stats
        undo = at_sudden_end(lambda: _end_suddenly(config, session))
        try:
            signals.stop_with(session.stop)
            with Progress("frames", config.max_frames, quiet=config.quiet) as progress:
                for _ in session.steps():
                    progress.show(stats.frames_processed, f"{stats.recent_fps:.1f} fps")
        finally:
            if signals.came:
                logger.info("interrupted: ending")
            signals.defer()
            try:
                session.close()
            finally:
                _finish(config, session)
                undo()
    return 1 if session.has_failed else 0


def _end_suddenly(config: RunConfig, session: LiveSession) -> None:
    session.close()
    _finish(config, session)


def _named_outputs(config: RunConfig) -> list[str | Output]:
    """``--view`` and ``--record`` as what they are: other spellings of ``--out``."""
    from rtrecon.outputs.record import RecordOutput

    named: list[str | Output] = list(config.out)
    if config.record is not None:
        named.append(RecordOutput(config.record))  # whose name may hold a ?
    if config.view == "auto":
        named += _automatic_view(named, _why_black(config.source))
    elif config.view == "web":
        named.insert(0, "web?open=0" if config.no_open else "web")
    elif config.view != "none":
        named.insert(0, config.view)
    return named


def _why_black(source: str | None) -> str:
    """Why there is nothing to see of a take that was recorded without pictures; or empty."""
    from rtrecon.takes.folder import Take, take_at

    folder = take_at(source)
    if folder is None or (take := Take(folder)).video is not None:
        return ""
    return take.why_no_video()


def _automatic_view(named: Sequence[str | Output], why_black: str) -> list[str]:
    """A window where there is a display and none was named; files where nothing else is."""
    from rtrecon.outputs.record import DEFAULT_FOLDER
    from rtrecon.outputs.window.output import WindowOutput

    if any(isinstance(name, str) and name.partition("?")[0] == "window" for name in named):
        return []
    if why_black and not named:
        raise UserError(f"{why_black}: name an output for its results, such as --out vmc")
    missing = why_black or WindowOutput.missing()
    if not missing:
        return ["window"]
    if named:
        logger.info("no window: %s", missing)
        return []
    logger.warning(
        "no window (%s): writing a preview video and the last face into %s instead",
        missing,
        DEFAULT_FOLDER,
    )
    return [f"record:{DEFAULT_FOLDER}"]


def _finish(config: RunConfig, session: LiveSession) -> None:
    """Say what was done, write the stats."""
    from rtrecon.host import peak_rss_mb

    is_failing = sys.exception() is not None  # what it fails of is said by the caller
    summary = session.stats()
    latency, processed = summary["latency_ms"], summary["frames_processed"]
    logger.info(
        "%d frames, %.1f fps, a face in %.1f%%, latency p50 %.1f ms, p95 %.1f ms%s, "
        "%d dropped, %.0f MB at most",
        processed,
        summary["fps"],
        100.0 * summary["frames_with_face"] / max(processed, 1),
        latency.get("p50", 0.0),
        latency.get("p95", 0.0),
        _apart(summary),
        summary["frames_dropped"],
        peak_rss_mb(),
    )
    if config.stats is None:
        return
    try:
        write_json(config.stats, summary)
    except OutputError as error:
        if not is_failing:
            raise
        logger.error("%s", error)


def _apart(summary: Mapping[str, Any]) -> str:
    """What is no part of the latency: the first frames, drawing, and until outputs had sent."""
    first, view = summary["warm_up"], summary["stage_ms"]["view"]["p50"]
    said = []
    if summary["frames_processed"] > first["frames"]:
        slow_ms = first["latency_ms"].get("p50", 0.0)
        said.append(f"the first {first['frames']} frames {slow_ms:.1f} ms")
    if view:
        said.append(f"drawing {view:.1f} ms")
    for output in summary["outputs"]:
        if output["latency_ms"]:
            said.append(f"{output['name']} done at {output['latency_ms']['p50']:.1f} ms")
    return f" (apart: {', '.join(said[:5])})" if said else ""


def _default_source() -> int | str:
    from rtrecon.capture import list_cameras

    cameras = list_cameras()
    if cameras:
        logger.info("camera %s (%s)", cameras[0].index, cameras[0].name)
        return cameras[0].index
    logger.warning("no camera found: playing the bundled clip (rtrecon run demo)")
    return "demo"
