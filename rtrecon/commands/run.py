"""``rtrecon run``: from a source to a moving face in a window, or to files without one."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrecon.capture import CaptureThread, list_cameras, open_source
from rtrecon.capture.sources import CameraSource
from rtrecon.config import RunConfig, parse_size
from rtrecon.draw.state import Figures, ViewFrame
from rtrecon.errors import OutputError, UserError
from rtrecon.live_pipeline import LivePipeline
from rtrecon.outputs.window.display import has_display
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.stats import STAGES, RunStats, peak_rss_mb, versions, write_json

if TYPE_CHECKING:
    from rtrecon.capture import Source
    from rtrecon.outputs.record import Recorder

__all__ = ["run"]

logger = logging.getLogger(__name__)

DEFAULT_FOLDER = Path("rtrecon-out")
_REDRAW_S = 1 / 60
_PROGRESS_S = 1.0
_SLOW_MS = 100.0


def run(config: RunConfig) -> int:
    """Run until the source ends, the window closes, or Ctrl-C; returns the exit code.

    Raises:
        RtreconError: the source, the model or an output cannot be used.
    """
    if config.stats is not None and not config.stats.absolute().parent.is_dir():
        # Better said now than after an hour.
        raise OutputError(f"cannot write {config.stats}: there is no folder {config.stats.parent}")
    view, record = _choose_outputs(config)
    spec = config.source if config.source is not None else _default_source()
    reconstructor = Reconstructor(
        model=config.model,
        provider=config.provider,
        precision=config.precision,
        faces=config.faces,
        fov_deg=config.fov,
        intrinsics=config.intrinsics,
        ipd_mm=config.ipd_mm,
        threads=config.threads,
    )
    _say_if_slow(reconstructor)
    with ExitStack() as stack:
        source = stack.enter_context(
            open_source(
                spec,
                size=parse_size(config.size),
                rate_hz=config.rate,
                # The clip is there to be looked at: it goes on until its window is closed.
                loop=config.loop or (spec == "demo" and view == "window"),
            )
        )
        if not isinstance(source, CameraSource) and (config.size or config.rate):
            logger.warning("--size and --rate are for cameras; %s has its own", source.name)
        # Nobody watches a file that is only recorded: no frame of it is left out then.
        unwatched = view == "none" and record is not None
        every_frame = (config.every_frame or unwatched) and not source.is_live
        capture = CaptureThread(
            source,
            policy="every" if every_frame else "newest",
            pace=not every_frame,
            stall_timeout_s=config.stall_timeout,
        )
        stats = RunStats()
        pipeline = LivePipeline(
            capture,
            reconstructor,
            stats,
            keep_every_result=every_frame and record is not None,
            max_frames=config.max_frames,
        )
        session = _Session(config, pipeline, reconstructor, stats, source, live=not every_frame)
        if record is not None:
            session.start_recording(record)
        with _signals_end_cleanly():
            try:
                with pipeline:
                    session.show() if view == "window" else session.wait()
            except KeyboardInterrupt:
                logger.info("interrupted: ending")
            finally:
                pipeline.close()
                session.finish()
    return 0


class _Session:
    """What the main thread does with results until the end of the run."""

    def __init__(
        self,
        config: RunConfig,
        pipeline: LivePipeline,
        reconstructor: Reconstructor,
        stats: RunStats,
        source: Source,
        *,
        live: bool,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._reconstructor = reconstructor
        self._stats = stats
        self._recorder: Recorder | None = None
        self._last: LiveResult | None = None
        self._last_with_face: LiveResult | None = None
        self._next_progress_s = time.monotonic() + _PROGRESS_S
        self._source, self._live = source, live

    def start_recording(self, folder: Path) -> None:
        """Write what is shown from now on into ``folder``."""
        from rtrecon.outputs.record import Recorder

        self._recorder = Recorder(folder, self._source.rate_hz or 30.0, live=self._live)

    def wait(self) -> None:
        """Consume results without a window until there are no more."""
        while True:
            running = self._pipeline.running
            result = self._pipeline.take(timeout_s=0.1)
            if result is not None:
                self._accept(result)
            elif not running:
                return
            self._show_progress()

    def show(self) -> None:
        """Consume results in a window until it is closed or there are no more."""
        from rtrecon.outputs.window.window import FaceWindow

        window = FaceWindow()
        frozen, shown_state = False, ""
        try:
            while True:
                running = self._pipeline.running
                start_ns = time.perf_counter_ns()
                result = self._pipeline.take(timeout_s=_REDRAW_S)
                waited_ns = time.perf_counter_ns() - start_ns
                if result is not None:
                    self._accept(result)
                    if not frozen:
                        window.update(self._view(result))
                elif not running:
                    return
                state = self._pipeline.capture.stats.state
                if state != shown_state and self._last is not None and not frozen:
                    # A camera that was lost gives no results that could say so.
                    window.update(self._view(self._last))
                    shown_state = state
                is_open = window.tick()
                self._stats.add_stage("view", time.perf_counter_ns() - start_ns - waited_ns)
                if not is_open:
                    return
                for command in window.poll_commands():
                    if command == "freeze":
                        frozen = not frozen
                    elif command == "snapshot":
                        self._snapshot()
                    elif command == "record":
                        self._toggle_recording()
                    elif command == "quit":
                        return
        finally:
            window.close()

    def finish(self) -> None:
        """Complete the files, say what was done, write the stats."""
        if self._recorder is not None:
            last = self._last_with_face
            for path in self._recorder.close(last.faces if last is not None else ()):
                logger.info("wrote %s", path)
        stats, capture = self._stats, self._pipeline.capture.stats
        summary = stats.summary()
        latency = summary["latency_ms"]
        found = 100.0 * stats.frames_with_face / max(stats.frames_processed, 1)
        logger.info(
            "%d frames, %.1f fps, a face in %.1f%%, latency p50 %.1f ms, p95 %.1f ms, "
            "%d dropped, %.0f MB at most",
            stats.frames_processed,
            summary["fps"],
            found,
            latency.get("p50", 0.0),
            latency.get("p95", 0.0),
            capture.frames_dropped,
            peak_rss_mb(),
        )
        if self._config.stats is not None:
            write_json(self._config.stats, self._stats_object(summary))

    def _stats_object(self, summary: dict[str, Any]) -> dict[str, Any]:
        capture, model = self._pipeline.capture.stats, self._reconstructor.depth_model
        capture_ms = capture.capture_ms.percentiles()
        ran = {**summary["stage_ms"], "capture": capture_ms}
        # A stage that did not run took no time.
        idle = {"p50": 0.0, "p95": 0.0, "p99": 0.0}
        summary["stage_ms"] = {stage: ran.get(stage) or idle for stage in STAGES}
        source = self._source
        return {
            "frames_captured": capture.frames_captured,
            "frames_dropped": capture.frames_dropped,
            **summary,
            "model": model.name,
            "provider": model.provider,
            "threads": model.threads,
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
            "tracker": {"faces_lost": self._reconstructor.tracker.stats.faces_lost},
            "versions": versions(),
        }

    def _accept(self, result: LiveResult) -> None:
        self._last = result
        if result.faces:
            self._last_with_face = result
        if self._recorder is not None:
            self._recorder.write(self._view(result))

    def _view(self, result: LiveResult) -> ViewFrame:
        model, capture = self._reconstructor.depth_model, self._pipeline.capture.stats
        state = capture.state if capture.state != "running" else ""
        figures = Figures(
            fps=self._stats.recent_fps,
            latency_ms=result.latency_ms,
            frames_dropped=capture.frames_dropped,
            model=model.name,
            provider=model.provider,
            state=state or self._activity(result),
            frames=self._stats.frames_processed,
        )
        return ViewFrame(result.frame.image, result.faces, result.frame.t_capture_ns, figures)

    def _activity(self, result: LiveResult) -> str:
        if not result.faces:
            return "no face"
        return "running" if self._recorder is None else "recording"

    def _snapshot(self) -> None:
        if self._last_with_face is None:
            logger.warning("no snapshot: no face was seen yet")
            return
        from rtrecon.outputs.record import write_snapshot

        folder = self._config.record or DEFAULT_FOLDER
        for path in write_snapshot(folder, self._view(self._last_with_face)):
            logger.info("wrote %s", path)

    def _toggle_recording(self) -> None:
        if self._recorder is None:
            from rtrecon.outputs.record import unused_folder

            folder = unused_folder(self._config.record or DEFAULT_FOLDER)
            self.start_recording(folder)
            logger.info("recording into %s", folder)
            return
        last = self._last_with_face
        for path in self._recorder.close(last.faces if last is not None else ()):
            logger.info("wrote %s", path)
        self._recorder = None

    def _show_progress(self) -> None:
        now_s = time.monotonic()
        if self._config.quiet or now_s < self._next_progress_s or not sys.stderr.isatty():
            return
        self._next_progress_s = now_s + _PROGRESS_S
        total = f"/{self._config.max_frames}" if self._config.max_frames else ""
        print(  # noqa: T201
            f"\r{self._stats.frames_processed}{total} frames, {self._stats.recent_fps:.1f} fps ",
            end="",
            file=sys.stderr,
            flush=True,
        )


def _choose_outputs(config: RunConfig) -> tuple[str, Path | None]:
    """Window or none, and the folder for files if any are to be written."""
    if config.view == "web":
        raise UserError("the web view is not part of this version: use --view window or none")
    if config.view == "none":
        return "none", config.record
    displayed, reason = has_display()
    if displayed:
        return "window", config.record
    if config.view == "window":
        raise UserError(f"no window can be opened: {reason}; use --view none --record DIR")
    folder = config.record or DEFAULT_FOLDER
    logger.warning(
        "no window (%s): writing a preview video and the last face into %s instead", reason, folder
    )
    return "none", folder


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


def _default_source() -> int | str:
    cameras = list_cameras()
    if cameras:
        logger.info("camera %s (%s)", cameras[0].index, cameras[0].name)
        return cameras[0].index
    logger.warning("no camera found: playing the bundled clip (rtrecon run demo)")
    return "demo"


@contextmanager
def _signals_end_cleanly() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: files are completed and the summary is said."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
