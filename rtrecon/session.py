"""A live run from its source to its outputs: what ``rtrecon.live`` and ``rtrecon run`` are."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rtrecon.capture import CaptureThread, Source, open_source
from rtrecon.capture.sources import CameraSource
from rtrecon.draw.state import ViewFrame
from rtrecon.errors import ArgumentError, OutputError, RtreconError
from rtrecon.faces.tracker import TrackerStats
from rtrecon.host import versions
from rtrecon.live_pipeline import FaceMaker, LivePipeline
from rtrecon.output import Command, Output
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.outputs.record import DEFAULT_FOLDER, RecordOutput, write_snapshot
from rtrecon.outputs.registry import make_outputs
from rtrecon.pipeline import Reconstructor, ReconstructorConfig
from rtrecon.profiles import DEFAULT_PERSON, check_person
from rtrecon.result import LiveResult
from rtrecon.stats import STAGES, RunStats
from rtrecon.takes.folder import VIDEO, Take, take_at
from rtrecon.takes.replay import TakeReplay
from rtrecon.takes.source import TakeSource
from rtrecon.threads import at_sudden_end

__all__ = ["LiveSession", "live"]

logger = logging.getLogger(__name__)

_REDRAW_S, _POLL_S = 1 / 60, 0.1
_SLOW_MS = 100.0


def live(
    source: int | str | Path | Source = 0,
    *,
    outputs: Sequence[str | Output] = (),
    on_result: Callable[[LiveResult], None] | None = None,
    config: ReconstructorConfig | None = None,
    reconstructor: Reconstructor | None = None,
    every_frame: bool = False,
    max_frames: int | None = None,
    loop: bool = False,
    size: tuple[int, int] | None = None,
    rate_hz: float | None = None,
    stall_timeout_s: float = 3.0,
    give_up_s: float | None = None,
    person: str | None = None,
    saved_camera: bool = True,
) -> LiveSession:
    """Reconstruct faces live; to be used in a ``with`` statement.

    ::

        with rtrecon.live(0, outputs=["record:take"]) as session:
            for result in session:
                print(result.frame.index, len(result.faces), result.latency_ms)

    Args:
        source: what `open_source` takes, or an open source, which is closed at the end; or a
            take, whose results are played again (docs/takes.md).
        outputs: objects, or texts such as ``"record:take"`` (see ``rtrecon outputs``). One
            that is called "window" is served by the loop over the session, on this thread.
        on_result: called with results on a thread of its own; the newest wins.
        config: of the reconstructor.
        reconstructor: one that is there already, instead.
        every_frame: process each frame of a file, as fast as possible, instead of at the
            file's own rate. So does a run whose outputs all want every result.
        max_frames: end after this many processed frames.
        loop: start files again at their end.
        size: width and height asked of a camera.
        rate_hz: asked of a camera.
        stall_timeout_s: without a new frame for so long, a camera or stream is opened again.
        give_up_s: how long to try that; None: 30 s for a stream, for ever for a camera.
        person: whose calibration outputs for avatars use, and keep in the user's configuration
            where the source is a camera or stream; None: "default", before those. "": nobody's.
        saved_camera: use what `rtrecon calibrate-camera` has kept of the camera.

    Raises:
        RtreconError: when it is entered: the source, the model or all outputs cannot be used.
    """
    return LiveSession(
        source,
        outputs=[*make_outputs(outputs), *([_Callback(on_result)] if on_result else [])],
        reconstructor=reconstructor or config or ReconstructorConfig(),
        every_frame=every_frame,
        max_frames=max_frames,
        loop=loop,
        size=size,
        rate_hz=rate_hz,
        stall_timeout_s=stall_timeout_s,
        give_up_s=give_up_s,
        person=person,
        saved_camera=saved_camera,
    )


class LiveSession:
    """A run that is under way between ``with`` and its end; see `live` for its arguments.

    ``hold_end``: the end of a film that was played at its own rate ends the run only once its
    window is closed. ``sparing``: see `LivePipeline`.

    Iterating gives the newest result each time, none twice, until the source ends, an output
    ends the run (its window is closed), or `stop` is called. The thread that iterates is the
    one that serves windows.
    """

    def __init__(
        self,
        source: int | str | Path | Source,
        *,
        outputs: Sequence[Output],
        reconstructor: Reconstructor | ReconstructorConfig,
        every_frame: bool = False,
        max_frames: int | None = None,
        loop: bool = False,
        size: tuple[int, int] | None = None,
        rate_hz: float | None = None,
        stall_timeout_s: float = 3.0,
        give_up_s: float | None = None,
        person: str | None = None,
        saved_camera: bool = True,
        hold_end: bool = False,
        sparing: bool = False,
    ) -> None:
        self._asked_source, self._outputs = source, list(outputs)
        self._asked_reconstructor = reconstructor
        self._every_frame, self._max_frames = every_frame, max_frames
        self._loop, self._size, self._rate_hz = loop, size, rate_hz
        self._stall_timeout_s, self._give_up_s = stall_timeout_s, give_up_s
        self._person = check_person(person) if person else person
        folders = [output.folder for output in outputs if isinstance(output, RecordOutput)]
        self._folder = folders[0] if folders else DEFAULT_FOLDER
        self._stack = ExitStack()
        self._tracker_stats = TrackerStats()
        self._pipeline: LivePipeline | None = None
        self._ended = self._said_end = False
        self._hold_end, self._saved_camera = hold_end, saved_camera
        self._is_sparing = sparing

    def __enter__(self) -> LiveSession:
        with ExitStack() as stack:
            folder = take_at(self._asked_source)
            maker, source = self._play(Take(folder), stack) if folder else self._see(stack)
            self._model = maker.model_facts
            self._source = source
            # Nobody watches a file that is only recorded: no frame of it is left out then.
            unwatched = bool(self._outputs) and all(o.every_result for o in self._outputs)
            # Nor of pictures that have no rate to be played at.
            timeless = not (source.has_times or source.rate_hz)
            every_frame = (self._every_frame or unwatched or timeless) and not source.is_live
            capture = CaptureThread(
                source,
                policy="every" if every_frame or source.is_recorded else "newest",
                pace=not every_frame,
                stall_timeout_s=self._stall_timeout_s,
                give_up_s=self._give_up_s,
            )
            self._pipeline = LivePipeline(
                capture,
                maker,
                RunStats(),
                outputs=self._outputs,
                max_frames=self._max_frames,
                person=self._whose(source),
                sparing=self._is_sparing,
            )
            stack.enter_context(self._pipeline)
            stack.callback(at_sudden_end(partial(_close, weakref.ref(self._pipeline))))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[LiveResult]:
        return (result for result in self.steps() if result is not None)

    def steps(self) -> Iterator[LiveResult | None]:
        """As iterating; None when nothing new came for a moment: for loops that do more."""
        pipeline = self.pipeline
        while not self._ended:
            running = pipeline.running
            has_window = any(output.on_main_thread for output in pipeline.fanout.open_outputs)
            result = pipeline.take(_REDRAW_S if has_window else _POLL_S)
            has_ended = result is None and not running
            if not pipeline.tick() or (has_ended and not (has_window and self._is_held())):
                self._ended = True
            for command in pipeline.take_commands():
                self._obey(command)
            AvatarRun.of(pipeline.run).save_if_due()
            yield result

    def wait(self) -> None:
        """Go on until the run ends by itself, as iterating does."""
        for _ in self.steps():
            pass

    def latest(self) -> LiveResult | None:
        """The newest result so far; None before the first. From any thread, without waiting."""
        return self.pipeline.latest

    def stop(self) -> None:
        """End the loop over the session; from any thread."""
        self._ended = True

    def close(self) -> None:
        """End the run: files are completed, and each output says what it leaves behind."""
        self._ended = True
        try:
            self._stack.close()
        finally:
            if self._pipeline is not None:
                AvatarRun.of(self._pipeline.run).save()

    @property
    def pipeline(self) -> LivePipeline:
        """The threads of the run; there from the start of the ``with`` statement on."""
        if self._pipeline is None:
            raise OutputError("the session has not begun: use it in a `with` statement")
        return self._pipeline

    @property
    def has_failed(self) -> bool:
        """Whether any output has failed; why was said."""
        return self.pipeline.fanout.has_failed

    def stats(self) -> dict[str, Any]:
        """The object that ``--stats`` writes."""
        pipeline = self.pipeline
        summary = pipeline.stats.summary()
        capture = pipeline.capture.stats
        ran = {**summary["stage_ms"], "capture": capture.capture_ms.percentiles()}
        # A stage that did not run took no time.
        idle = {"p50": 0.0, "p95": 0.0, "p99": 0.0}
        summary["stage_ms"] = {stage: ran.get(stage) or idle for stage in STAGES}
        source = self._source
        return {
            "frames_captured": capture.frames_captured,
            "frames_dropped": capture.frames_dropped,
            **summary,
            "outputs": pipeline.fanout.summary(),
            **self._model,
            "source": {
                "name": source.name,
                "width": source.width,
                "height": source.height,
                "fps": source.rate_hz,
            },
            "capture": {
                "state": capture.state,
                "reconnects": capture.reconnects,
                "frames_corrupt": capture.frames_corrupt,
            },
            "tracker": {"faces_lost": self._tracker_stats.faces_lost},
            "versions": versions(),
        }

    def _see(self, stack: ExitStack) -> tuple[FaceMaker, Source]:
        """A reconstructor and the source that it sees."""
        reconstructor = self._reconstructor(stack)
        self._tracker_stats = reconstructor.tracker.stats
        _say_if_slow(reconstructor)
        return reconstructor, stack.enter_context(self._open_source())

    def _play(self, take: Take, stack: ExitStack) -> tuple[FaceMaker, Source]:
        """A take's own results and times; pictures and surfaces where somebody looks at them."""
        _check_replay(self._asked_reconstructor, take)
        if self._size or self._rate_hz:
            logger.warning("size and rate are for cameras; %s has its own", take.folder)
        watchers = [o for o in self._outputs if o.needs_pictures]
        others = [o for o in self._outputs if not isinstance(o, _Callback)]
        has_pictures = take.video is not None and bool(watchers or not others)
        source = stack.enter_context(TakeSource(take, pictures=has_pictures, loop=self._loop))
        reconstructor = self._reconstructor(stack, take.info.ipd_mm) if has_pictures else None
        if reconstructor is not None:
            _say_if_slow(reconstructor)
        info = take.info
        whole = "" if info.is_complete else "; it was cut off, or is being recorded"
        logger.info("%s: a take of %s by %s%s", source.name, info.source, info.model, whole)
        return TakeReplay(source, info, reconstructor), source

    def _reconstructor(self, stack: ExitStack, ipd_mm: float | None = None) -> Reconstructor:
        """What was asked for; ``ipd_mm``: of a take, instead of what was asked for."""
        asked = self._asked_reconstructor
        if isinstance(asked, ReconstructorConfig):
            asked = asked if ipd_mm is None else replace(asked, ipd_mm=ipd_mm)
            return stack.enter_context(Reconstructor.from_config(asked))
        return asked

    def _open_source(self) -> Source:
        spec = self._asked_source
        if isinstance(spec, Source):
            return spec
        watched = any(output.is_view for output in self._outputs)
        source = open_source(
            spec,
            size=self._size,
            rate_hz=self._rate_hz,
            # The clip is there to be looked at: it goes on until its window is closed.
            loop=self._loop or (spec == "demo" and watched),
            saved_camera=self._saved_camera and not self._knows_camera(),
        )
        if (self._size or self._rate_hz) and not isinstance(source, CameraSource):
            logger.warning("size and rate are for cameras; %s has its own", source.name)
        return source

    def _knows_camera(self) -> bool:
        """Whether the user said what camera it is."""
        asked = self._asked_reconstructor
        config = asked if isinstance(asked, ReconstructorConfig) else asked.config
        return config.intrinsics is not None or config.fov_deg is not None

    def _whose(self, source: Source) -> str:
        """Whose calibration is used; a film has one only where that was asked for."""
        asked = self._asked_reconstructor
        if isinstance(asked, ReconstructorConfig) and asked.calibrate:
            # What it does changes from frame to frame, so nothing that is kept would fit.
            return ""
        if self._person is None:
            return DEFAULT_PERSON if source.is_live else ""
        return self._person

    def _is_held(self) -> bool:
        """Whether the last picture of a film stays until its window is closed; said once."""
        pipeline = self.pipeline
        if not (
            self._hold_end
            and pipeline.run.paced
            and self._max_frames is None
            and pipeline.latest is not None
            and pipeline.capture.stats.state == "ended"
        ):
            return False
        if not self._said_end:
            logger.info("%s has ended: q closes the window", self._source.name)
        self._said_end = True
        return True

    def _obey(self, command: Command) -> None:
        if command == "quit":
            self._ended = True
        elif command in ("calibrate", "mirror"):
            self._move_avatars(command)
        elif command == "record":
            self._toggle_recording()
        elif command == "snapshot":
            self._snapshot()

    def _move_avatars(self, command: Command) -> None:
        avatars = AvatarRun.of(self.pipeline.run)
        if not avatars.is_used:
            logger.info("this run moves no avatar (--out vmc does)")
        elif command == "calibrate":
            avatars.recalibrate()
            logger.info("neutral of the avatars: as you look in the next second")
        else:
            avatars.flip()
            logger.info("avatars: mirror turned %s", "round" if avatars.is_flipped else "back")

    def _toggle_recording(self) -> None:
        fanout = self.pipeline.fanout
        running = [o for o in fanout.open_outputs if isinstance(o, RecordOutput)]
        for output in running:
            fanout.remove(output)
        if not running:
            output = RecordOutput(self._folder)
            if fanout.add(output):
                logger.info("recording into %s", output.folder)

    def _snapshot(self) -> None:
        result = self.pipeline.latest_with_face
        if result is None:
            logger.warning("no snapshot: no face was seen yet")
            return
        frame, figures = result.frame, self.pipeline.figures(result)
        view = ViewFrame(frame.image, result.faces, frame.t_capture_ns, figures)
        try:
            paths = write_snapshot(self._folder, view)
        except RtreconError as error:
            logger.error("no snapshot: %s", error)
            return
        for path in paths:
            logger.info("wrote %s", path)


class _Callback(Output):
    """A function that is called with results."""

    name = "callback"
    summary = "a function of the caller's"
    needs_pictures = False  # it may; whatever a take has is given

    def __init__(self, function: Callable[[LiveResult], None]) -> None:
        self._function = function

    def write(self, result: LiveResult) -> None:
        self._function(result)


def _check_replay(asked: Reconstructor | ReconstructorConfig, take: Take) -> None:
    """Refuse what cannot be changed any more of results that were recorded."""
    config = asked if isinstance(asked, ReconstructorConfig) else asked.config
    named = {
        "fov_deg": config.fov_deg is not None,
        "intrinsics": config.intrinsics is not None,
        "calibrate": config.calibrate,
        "ipd_mm": config.ipd_mm not in (ReconstructorConfig().ipd_mm, take.info.ipd_mm),
    }
    if any(named.values()):
        what = " and ".join(name for name, is_asked in named.items() if is_asked)
        raise ArgumentError(
            f"{what} cannot be set for a take, whose results are as they were recorded; to "
            f"reconstruct its pictures anew: rtrecon run {take.folder / VIDEO}"
        )


def _close(pipeline: weakref.ref[LivePipeline]) -> None:
    """By reference: what is called at a sudden end must not keep a dropped session alive."""
    alive = pipeline()
    if alive is not None:
        alive.close()


def _say_if_slow(reconstructor: Reconstructor) -> None:
    """Warn of a model that cannot follow a camera here; warms it up on the way."""
    model = reconstructor.depth_model
    duration_ms = model.warmup()
    if duration_ms > _SLOW_MS:
        logger.warning(
            "%s takes %.0f ms a face on %s: the picture stays live, the face follows at %.1f fps "
            "(`--model face-dpt` is made for CPUs; a GPU helps the others)",
            model.name,
            duration_ms,
            model.provider,
            1000 / duration_ms,
        )
