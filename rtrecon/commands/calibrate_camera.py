"""``rtrecon calibrate-camera``: a camera's lens by a printed board, kept for that camera."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from rtrecon.config import CommonConfig, OptionalOut, OptionalPath, OptionalText, parse_size
from rtrecon.console import Progress, Signals, say, signals_end
from rtrecon.errors import DataError, UserError
from rtrecon.files import check_target, write_files, write_json

if TYPE_CHECKING:
    from rtrecon.capture import Source
    from rtrecon.capture.saved_cameras import CameraStore, SavedCamera
    from rtrecon.commands.board_window import BoardWindow
    from rtrecon.lens import Board, CalibratedLens, ViewCollector

__all__ = ["CalibrateCameraConfig", "run_calibrate_camera"]

logger = logging.getLogger(__name__)

_PARTS = 100
_POLL_S = 0.1
_SAY_EVERY_S = 3.0
_NOT_SEEN_S = 60.0


@dataclass(kw_only=True)
class CalibrateCameraConfig(CommonConfig):
    """Measure a camera's focal length, centre and distortion with a printed board of squares.

    Print the board (--print-board), glue it onto something flat, show it to the camera near, far,
    at the edges and tilted. What comes of it is kept for this camera, and every later run takes it
    by itself. How large the squares are does not matter. (`rtrecon calibrate` is of a person.)
    """

    source: Annotated[
        tyro.conf.Positional[str | None],
        tyro.conf.arg(metavar="[SOURCE]", help_behavior_hint=""),
    ] = None
    """Camera index, path or name, or a stream; a video or folder of pictures needs --out. Default:
    the first camera. With --forget: a camera, or a part of its name."""
    board: Literal["charuco", "chessboard"] = "charuco"
    """Kind of board; charuco may be seen in part, and reaches the picture's corners."""
    squares: str = "9x6"
    """Squares of the board, across and down."""
    print_board: OptionalPath = None
    """Write the board as .pdf or .png of true size, to be printed, instead."""
    paper: Literal["a4", "letter", "a3"] = "a4"
    """Sheet of --print-board."""
    out: OptionalOut = None
    """Write the calibration to this file as well, as --intrinsics takes it."""
    view: Literal["auto", "none"] = "auto"
    """Show the camera's picture with what is still missing, where there is a display."""
    list: bool = False
    """List the cameras that are kept, instead."""
    forget: bool = False
    """Delete what is kept of SOURCE, instead."""
    size: OptionalText = None
    """Camera picture size to ask for, such as 1280x720: calibrate at the size that you use."""

    def __post_init__(self) -> None:
        if sum((self.list, self.forget, self.print_board is not None)) > 1:
            raise UserError("give one of --list, --forget and --print-board")
        if self.forget and not self.source:
            raise UserError("say which camera: rtrecon calibrate-camera --forget NAME (--list)")
        if re.fullmatch(r"[0-9]{1,2}x[0-9]{1,2}", self.squares) is None:
            raise UserError(f"--squares is written as 9x6, not {self.squares!r:.40}")
        parse_size(self.size)


def run_calibrate_camera(config: CalibrateCameraConfig) -> int:
    """Calibrate, print, list or forget; 0, or 130 after Ctrl-C.

    Raises:
        RtreconError: there is no camera or no board, or the result is not good enough.
    """
    from rtrecon.capture.saved_cameras import CameraStore
    from rtrecon.lens import Board

    store = CameraStore()
    if config.list:
        return _list(store)
    if config.forget:
        return _forget(store, str(config.source))
    columns, _, rows = config.squares.partition("x")
    board = Board(config.board, int(columns), int(rows))
    if config.print_board is not None:
        return _print(config, board)
    if config.out is not None:
        check_target(config.out)
    with _open(config) as source:
        return _calibrate(config, board, source, store)


def _print(config: CalibrateCameraConfig, board: Board) -> int:
    path = config.print_board
    assert path is not None
    check_target(path)
    write_files({path: board.encode_page(config.paper, path.suffix)}, overwrite=True)
    _, square_mm, _ = board.page(config.paper)
    say(
        f"wrote {path}: {board}, squares of {square_mm:g} mm on {config.paper.upper()}; print it, "
        "glue it onto something flat, then: rtrecon calibrate-camera"
        f"{'' if config.board == 'charuco' else ' --board chessboard'}"
        f"{'' if config.squares == '9x6' else f' --squares {config.squares}'}"
    )
    return 0


def _open(config: CalibrateCameraConfig) -> Source:
    """The source, open.

    Raises:
        SourceError: it cannot be opened.
        UserError: there is no camera; it is none, and no file was named.
    """
    from rtrecon.capture import list_cameras, open_source

    spec: int | str | None = config.source
    if spec is None:
        cameras = list_cameras()
        if not cameras:
            raise UserError("no camera found: name the SOURCE, such as an rtsp:// address")
        spec = cameras[0].index
        logger.info("camera %s (%s)", cameras[0].index, cameras[0].name)
    source = open_source(spec, size=parse_size(config.size), saved_camera=False)
    if not source.key and config.out is None:
        source.close()
        raise UserError(f"{source.name} is no camera that is known again: give --out FILE.json")
    return source


def _calibrate(
    config: CalibrateCameraConfig, board: Board, source: Source, store: CameraStore
) -> int:
    from rtrecon.lens import calibrate_lens

    with signals_end() as signals:
        collector = _collect(config, board, source, signals)
        if signals.came:
            logger.error("interrupted: what was kept before stays as it was")
            return 130
        width, height = collector.size
        if not collector.views and not source.is_live:
            raise DataError(
                f"no {board} was seen in any picture of {source.name}: is it that board (--board, "
                "--squares), not mirrored, in focus and in even light?"
            )
        say(f"{len(collector.views)} views; computing")
        lens = calibrate_lens(collector.views, width, height)
        signals.defer()
        _say(lens)
        facts = {
            "rms_px": round(lens.rms_px, 4),
            "views": lens.views,
            "board": str(board),
            "date": time.strftime("%Y-%m-%d"),
        }
        if source.key:
            path = store.save(source.device or source.name, source.key, lens.intrinsics, facts)
            say(f"kept: {path}; every run with this camera takes it (--no-saved-camera: not)")
        if config.out is not None:
            write_json(config.out, {**_fields(lens), **facts})
            say(f"wrote {config.out}: use it with --intrinsics")
    return 0


def _collect(
    config: CalibrateCameraConfig, board: Board, source: Source, signals: Signals
) -> ViewCollector:
    """Look until the views are enough, or the source ends.

    Raises:
        DataError: the pictures are of several sizes.
        SourceLostError: the source broke.
        UserError: the board was not seen for a minute.
    """
    from rtrecon.capture import CaptureThread
    from rtrecon.commands.board_window import open_window
    from rtrecon.lens import ViewCollector

    capture = CaptureThread(source, policy="newest" if source.is_live else "every", pace=False)
    collector: ViewCollector | None = None
    said, said_s, seen_s = "", 0.0, time.monotonic()
    window: BoardWindow | None = open_window() if config.view == "auto" and source.is_live else None
    stopped: list[bool] = []
    signals.stop_with(lambda: stopped.append(True))
    capture.start()
    try:
        with Progress("calibration", _PARTS, quiet=config.quiet) as progress:
            while not stopped:
                frame = capture.read(_POLL_S)
                now_s = time.monotonic()
                if frame is None:
                    if capture.ended:
                        break
                    continue
                height, width = frame.image.shape[:2]
                if collector is None:
                    collector = ViewCollector(board, width, height, must_be_still=source.is_live)
                elif collector.size != (width, height):
                    raise DataError(
                        f"{source.name}: a picture is {width}x{height}, those before were "
                        f"{collector.size[0]}x{collector.size[1]}: give those of one size"
                    )
                is_new = collector.look(frame.image)
                if collector.last is not None:
                    seen_s = now_s
                elif source.is_live and now_s - seen_s > _NOT_SEEN_S:
                    raise UserError(
                        f"no {board} was seen for {_NOT_SEEN_S:.0f} s: is it that board (--board, "
                        "--squares), not mirrored, in focus and in even light?"
                    )
                wish = collector.wish
                if source.is_live and wish != said and (is_new or now_s - said_s > _SAY_EVERY_S):
                    say(f"{len(collector.views):>2} views  {wish}")
                    said, said_s = wish, now_s
                progress.show(round(_PARTS * collector.share), wish)
                if window is not None and not window.show(frame.image, collector):
                    window = None
                if source.is_live and collector.is_done:
                    break
    finally:
        capture.close()
        if window is not None:
            window.close()
    return collector or ViewCollector(board, 1, 1, must_be_still=False)


def _say(lens: CalibratedLens) -> None:
    import math

    k = lens.intrinsics
    fov_deg = 2 * math.degrees(math.atan(math.hypot(k.width, k.height) / (k.fx + k.fy)))
    left = f", {lens.left_out} left out" if lens.left_out else ""
    say(
        f"fx {k.fx:.1f}, fy {k.fy:.1f}, cx {k.cx:.1f}, cy {k.cy:.1f} px at {k.width}x{k.height}, "
        f"about {fov_deg:.0f} degrees across the diagonal; error {lens.rms_px:.2f} px (RMS) over "
        f"{lens.views} views{left}, focal length to {100 * lens.focal_sigma:.2f} %"
    )


def _fields(lens: CalibratedLens) -> dict[str, Any]:
    k = lens.intrinsics
    named = {name: getattr(k, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}
    return {**named, "dist": list(k.dist)}


def _list(store: CameraStore) -> int:
    stored = store.stored()
    if not stored:
        say(f"nothing is kept in {store.folder}")
    for saved in stored:
        say(describe(saved))
    return 0


def describe(saved: SavedCamera) -> str:
    """One line of a file of the store."""
    k, facts = saved.intrinsics, saved.facts or {}
    if k is None:
        return f"cannot be used ({saved.trouble}): {saved.path}"
    return (
        f"{saved.camera} at {k.width}x{k.height}, fx {k.fx:.1f}, {facts.get('rms_px', '?')} px "
        f"off, {facts.get('date', 'no date')}: {saved.path}"
    )


def _forget(store: CameraStore, name: str) -> int:
    """Delete what is kept of a camera.

    Raises:
        UserError: nothing is.
    """
    from rtrecon.capture.cameras import camera_key

    key = camera_key(int(name)) if name.isdecimal() and len(name) < 6 else ""
    stored = store.stored()
    gone = [
        saved
        for saved in stored
        if (saved.key == key if key else name.lower() in (saved.camera or saved.path.name).lower())
    ]
    if not gone:
        there = ", ".join(dict.fromkeys(s.camera or s.path.name for s in stored)) or "none"
        raise UserError(f"no camera {name!r} is kept; there is: {there}")
    for saved in gone:
        store.forget(saved)
        say(f"deleted {saved.path}")
    return 0
