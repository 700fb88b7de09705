"""The contract of an output: what is given the results of a run, for as long as it lasts.

An output encodes and sends. It owns no queue and no writing thread: `rtrecon.fanout` has one
slot and one thread for each, counts what was written and dropped, and keeps a slow or broken
output from the others.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from rtrecon.result import Figures, LiveResult

__all__ = ["Command", "Output", "Run"]

T = TypeVar("T")

Command = Literal["snapshot", "record", "calibrate", "mirror", "quit"]
"""What an output may ask of the run: a snapshot, a recording to begin or end, neutral of the
avatars anew, their mirror on or off, the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What an output may know of the run that feeds it, and ask of it.

    Attributes:
        source: name of the source.
        width, height: of its pictures in pixels; they may change with the frames.
        rate_hz: of its pictures, None where it is not known.
        is_live: the source is a camera or stream.
        device: name of its camera, by which it is known again; that of the source, unless it
            has one.
        person: whose calibration is used, and kept where the source is live; "": nobody's.
        paced: frames come at their own times, and the newest wins; otherwise each frame of a
            file comes, as fast as it can be processed.
        is_replay: a take is played: whatever the rate, only outputs that people look at leave
            results out.
        calibration: of a take: what avatars started from when it was recorded.
        has_pictures: False for a take without them: its faces have no surface.
        model, provider: what reconstructs, and where.
        ipd_mm: the distance between the person's pupils that all sizes follow.
        state: running, reconnecting, ended or failed; may be asked at any time.
        figures: for people to look at, as they stand when a result is shown.
        ask: safe from any thread; done soon, by the run's own loop.
    """

    source: str = ""
    width: int = 0
    height: int = 0
    rate_hz: float | None = None
    is_live: bool = False
    device: str = ""
    person: str = ""
    paced: bool = True
    is_replay: bool = False
    calibration: Mapping[str, Any] | None = None
    has_pictures: bool = True
    model: str = ""
    provider: str = ""
    ipd_mm: float = 63.0
    state: Callable[[], str] = lambda: "running"
    figures: Callable[[LiveResult], Figures] = lambda result: Figures(
        0.0, result.latency_ms, 0, "", "", "running", result.frame.index
    )
    ask: Callable[[Command], None] = lambda _: None
    _shared: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What outputs of this run have in common, such as work that is done once for all.

        The first that asks for ``key`` has it made. Safe from any thread.
        """
        if key not in self._shared:
            self._shared.setdefault(key, make())  # one that comes second is dropped again
        made: T = self._shared[key]
        return made


class Output(abc.ABC):
    """Something that results go to: a window, files, a stream, a page.

    `open`, `write` and `close` are called on one thread, never two at once: a thread of this
    output's own, or the main thread where ``on_main_thread`` says so. `open` comes first,
    `close` last and exactly once, whatever failed between. Results are shared with other
    outputs: none may change them.

    An output with an event loop starts and ends that loop in `open` and `close`, on a thread
    that it joins, and hands results over with ``loop.call_soon_threadsafe`` in `write`.

    The constructor checks its arguments and touches nothing else. On the command line,
    ``--out NAME:TARGET?key=value`` calls it with the target as ``target`` and the options by
    name; annotations say how their text is read.
    """

    name: str = ""
    """As on the command line and in the stats."""
    summary: str = ""
    """One line for ``rtrecon outputs``."""
    on_main_thread: bool = False
    """A window: the run's own loop writes to it and calls `tick`."""
    is_view: bool = False
    """People look at it: the bundled clip goes round until they close it."""
    every_result: bool = False
    """A recording: where frames are not paced, the worker waits until each was written."""
    needs_pictures: bool = True
    """It looks at pictures or at the surface of faces; one that does not, as most of those for
    avatars, is fed from takes without computing any, and from takes that have no pictures."""
    close_timeout_s: float = 1.0
    """How long `close` may take before the run ends without it."""

    @classmethod
    def missing(cls) -> str:
        """What keeps it from working on this machine and the command that mends it, or ""."""
        return ""

    @property
    def target(self) -> str:
        """Where it writes to, as in ``--out NAME:TARGET``; for messages and the stats."""
        return ""

    def open(self, run: Run) -> None:  # noqa: B027
        """Get ready, or fail early.

        Raises:
            RtreconError: it cannot be used; says what mends it.
        """

    @abc.abstractmethod
    def write(self, result: LiveResult) -> None:
        """Encode and send one result. An exception ends this output, and only this one."""

    def wants_result(self) -> bool:
        """Whether a result would be used now; from any thread, many times a second.

        A run that is there for its outputs alone leaves frames out as long as none would be.
        """
        return True

    def counts(self) -> Mapping[str, Any]:
        """What else this output has to say in the stats, for JSON; also after `close`."""
        return {}

    def tick(self) -> bool:
        """On the main thread, many times a second: handle events; False ends the run."""
        return True

    def close(self) -> None:  # noqa: B027
        """Complete and let go of everything; says what is left behind, such as a file."""
