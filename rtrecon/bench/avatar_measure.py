"""What avatars cost: a frame of the chain, each protocol's bytes, and how late they are sent."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from rtrecon.avatar.csv_rows import csv_row
from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.ifacialmocap import IFacialMocapEncoder
from rtrecon.avatar.livelink import LiveLinkEncoder
from rtrecon.avatar.openseeface import OpenSeeFaceEncoder
from rtrecon.avatar.osc import OscEncoder
from rtrecon.avatar.stage import AvatarStage, with_points
from rtrecon.avatar.vmc import VmcEncoder
from rtrecon.avatar.vtube_studio import (
    CUSTOM_NAMES,
    ParameterRange,
    VTubeStudioEncoder,
    as_text,
    values_of,
)
from rtrecon.bench.measure import settle
from rtrecon.bench.memory_source import MemorySource
from rtrecon.capture import CaptureThread
from rtrecon.live_pipeline import LivePipeline
from rtrecon.output import Output, Run
from rtrecon.outputs.registry import make_output
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.types import BgrImage

__all__ = ["AvatarBench", "measure_sending"]

_SENT = (
    "vmc://127.0.0.1:{}",
    "openseeface://127.0.0.1:{}",
    "ifacialmocap://127.0.0.1:{}?listen=0",
    "livelink://127.0.0.1:{}",
    "osc://127.0.0.1:{}",
)
_SETTLING_FRAMES = 15
_LEAST_FRAMES = 5


class AvatarBench:
    """Times the parts of one result: the chain, then each protocol; nothing is sent."""

    def __init__(self) -> None:
        self._stage = AvatarStage()
        self._encode: Mapping[str, Callable[[AvatarFrame], object]] = {
            "avatar vmc": VmcEncoder(),
            "avatar openseeface": OpenSeeFaceEncoder(),
            "avatar ifacialmocap": IFacialMocapEncoder(),
            "avatar livelink": LiveLinkEncoder(),
            "avatar vtube-studio": _vtube_studio(),
            "avatar osc": OscEncoder(),
            "avatar csv": lambda frame: csv_row(frame, frame.t_s),
        }

    def __call__(self, result: LiveResult) -> dict[str, int]:
        """Nanoseconds by part; ``avatar`` is all of them together."""
        start_ns = then_ns = time.perf_counter_ns()
        frame = self._stage.frame(result)
        now_ns = time.perf_counter_ns()
        took = {"avatar": 0, "avatar chain": now_ns - then_ns}
        frame = with_points(frame, result)  # as openseeface does for itself
        then_ns, now_ns = now_ns, time.perf_counter_ns()
        took["avatar points"] = now_ns - then_ns
        for name, encode in self._encode.items():
            then_ns = now_ns
            encode(frame)
            now_ns = time.perf_counter_ns()
            took[name] = now_ns - then_ns
        took["avatar"] = now_ns - start_ns
        return took


def _vtube_studio() -> Callable[[AvatarFrame], str]:
    """All parameters that VTube Studio has by itself, which are those without an rt."""
    names = values_of(AvatarFrame.neutral()).keys() - CUSTOM_NAMES.keys()
    encode = VTubeStudioEncoder(dict.fromkeys(sorted(names), ParameterRange(-30.0, 30.0)))
    return lambda frame: as_text(encode(frame, "rtrecon1"))


def measure_sending(
    reconstructor: Reconstructor, pictures: BgrImage, seconds: float, rate_hz: float
) -> list[float]:
    """Milliseconds from each result until each of five outputs has sent it, while they come.

    The reconstruction runs behind a camera of ``rate_hz``; receivers are on this machine.
    """
    settle(reconstructor, pictures, rate_hz)
    count = _SETTLING_FRAMES + max(_LEAST_FRAMES, round(seconds * rate_hz))
    capture = CaptureThread(MemorySource(pictures, rate_hz, count), policy="newest", pace=True)
    with _receivers() as ports:
        outputs = [
            _Timed(make_output(text.format(port))) for text, port in zip(_SENT, ports, strict=True)
        ]
        with LivePipeline(capture, reconstructor, outputs=outputs) as pipeline:
            while pipeline.running:
                pipeline.take(timeout_s=0.1)
    return [round(ms, 4) for output in outputs for ms in output.late_ms]


@contextlib.contextmanager
def _receivers() -> Iterator[Sequence[int]]:
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in _SENT:
            made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            made.bind(("127.0.0.1", 0))  # what is not read there is dropped by the system
            ports.append(int(made.getsockname()[1]))
        yield ports


class _Timed(Output):
    """Another output, and how late it is."""

    def __init__(self, inner: Output) -> None:
        self._inner = inner
        self.name = inner.name
        self.late_ms: list[float] = []

    def open(self, run: Run) -> None:
        """As the other."""
        self._inner.open(run)

    def write(self, result: LiveResult) -> None:
        """As the other."""
        self._inner.write(result)
        ready_ns = result.frame.t_capture_ns + int(result.latency_ms * 1e6)
        if result.frame.index >= _SETTLING_FRAMES:
            self.late_ms.append((time.monotonic_ns() - ready_ns) * 1e-6)

    def close(self) -> None:
        """As the other."""
        self._inner.close()
