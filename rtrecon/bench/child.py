"""The measured process: ``python -m rtrecon.bench.child``, started by `rtrecon.bench.process`.

It reads one JSON object a line from standard input and answers each with one line on standard
output: first the combination and its pictures (`Start`), then as many rounds as are asked for.
Between them it waits in a read. What libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtrecon.bench.drawing import Drawer
    from rtrecon.pipeline import Reconstructor
    from rtrecon.types import BgrImage

__all__ = ["main"]


class _Child:
    """One combination, from its start on."""

    def __init__(self, start: dict[str, Any]) -> None:
        # Everything is imported here, so that the time to the first frame includes it.
        import numpy as np

        from rtrecon.pipeline import Reconstructor
        from rtrecon.types import Frame

        self._start = start
        self._rate_hz = float(start["rate_hz"])
        self._drawer: Drawer | None = None
        pictures = np.load(start["pictures"], mmap_mode="r", allow_pickle=False)
        self._pictures: BgrImage = pictures.view(np.ndarray)
        self._reconstructor: Reconstructor = self._make(Reconstructor)
        first = np.array(self._pictures[0])
        faces = self._reconstructor(Frame(first, 0, time.monotonic_ns()))
        first_frame_s = (time.monotonic_ns() - start["spawned_ns"]) * 1e-9
        # Reading maps them in, so that what they take can be told from what the model takes.
        self._pictures.max()
        self._pictures_mb: float = self._pictures.nbytes / 2**20
        model = self._reconstructor.depth_model
        self.started = {
            "first_frame_s": round(first_frame_s, 4),
            "faces": len(faces),
            "used": {
                "model": model.name,
                "provider": model.provider,
                "precision": model.precision,
                "threads": model.threads,
                "crop_px": model.size_px,
            },
        }

    def round(self, message: dict[str, Any]) -> dict[str, Any]:
        """Measure as fast as it can, then at a camera's pace."""
        from rtrecon.bench.measure import measure_paced, measure_unpaced

        seconds = float(message["seconds"])
        unpaced = measure_unpaced(self._reconstructor, self._pictures, seconds, self._rate_hz)
        drawer = self._drawing(message["view"]) if message["view"] != "none" else None
        paced = measure_paced(
            self._reconstructor,
            self._pictures,
            seconds,
            self._rate_hz,
            None if drawer is None else drawer.draw,
        )
        return {"unpaced": unpaced, "paced": paced, "peak_rss_mb": self._peak_rss_mb()}

    def stages(self, message: dict[str, Any]) -> dict[str, Any]:
        """Measure single stages."""
        from rtrecon.bench.stage_measure import StageBench

        wanted = message["stages"]
        drawer = self._drawing(message["view"]) if "view" in wanted else None
        bench = StageBench(
            self._reconstructor, self._pictures, self._rate_hz, int(self._start["faces"]), drawer
        )
        stage_ms: dict[str, list[float]] = {}
        for stage in wanted:
            stage_ms |= bench.measure(stage, message["seconds"])
        return {
            "stage_ms": stage_ms,
            "view": None if drawer is None else drawer.view,
            "peak_rss_mb": self._peak_rss_mb(),
        }

    def trace(self, message: dict[str, Any]) -> dict[str, Any]:
        """A trace of the pipeline."""
        from rtrecon.bench.trace import TracedReconstructor, trace_pipeline

        reconstructor = self._make(TracedReconstructor)
        drawer = self._drawing(message["view"])
        seconds = float(message["seconds"])
        return trace_pipeline(
            reconstructor, self._pictures, seconds, self._rate_hz, drawer, message["label"]
        )

    def _make(self, kind: Callable[..., Any]) -> Any:
        start = self._start
        return kind(
            model=start["model"],
            provider=start["provider"],
            precision=start["precision"],
            threads=start["threads"],
            faces=start["faces"],
            fov_deg=60.0,
        )

    def _drawing(self, view: str) -> Drawer:
        from rtrecon.bench.drawing import open_drawer, view_to_use

        if self._drawer is None:
            self._drawer = open_drawer(view_to_use(view))  # type: ignore[arg-type]
        return self._drawer

    def _peak_rss_mb(self) -> float:
        """The most memory resident in this process, less the pictures, in MiB.

        Linux's rusage begins with the peak of the process that forked this one, hence /proc.
        """
        from rtrecon.host import peak_rss_mb

        peak_mb = peak_rss_mb()
        try:
            with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
                for line in file:
                    if line.startswith("VmHWM:"):
                        peak_mb = int(line.split()[1]) / 1024
        except OSError:
            pass  # another system, whose rusage begins at zero
        return round(max(0.0, float(peak_mb) - self._pictures_mb), 1)


def main() -> int:
    """Answer until standard input ends."""
    answers = _own_stdout()
    child: _Child | None = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if child is None:
                child = _Child(message)
                answer = child.started
            else:
                do = {"round": child.round, "stages": child.stages, "trace": child.trace}
                answer = do[message["do"]](message)
        except Exception as error:  # the parent says it in the row
            if message.get("debug"):
                traceback.print_exc()
            answer = {"error": _describe(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if child is None:
            return 1
    return 0


def _describe(error: Exception) -> str:
    from rtrecon.errors import RtreconError

    return str(error) if isinstance(error, RtreconError) else f"{type(error).__name__}: {error}"


def _own_stdout() -> IO[str]:
    """Standard output for answers alone: whatever a library prints goes to standard error."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


if __name__ == "__main__":
    sys.exit(main())
