"""What a benchmark found, as it goes into its JSON file: figures carry their unit in their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from rtrecon.bench.combination import Combination

__all__ = ["FORMAT", "VERSION", "Distribution", "Paced", "Report", "RowResult", "Unpaced", "Used"]

FORMAT, VERSION = "rtrecon-bench", 2


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of all samples of all rounds, in milliseconds, and how far the rounds differ.

    ``spread_ms`` is the range of the rounds' medians, None of a single round;
    ``round_medians_ms`` has one a round. ``mean_per_frame_ms`` is for a stage, which may not run
    in every frame; None elsewhere.
    """

    min_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float
    spread_ms: float | None
    round_medians_ms: tuple[float, ...]
    samples: int
    mean_per_frame_ms: float | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From its JSON object."""
        return cls(**{**data, "round_medians_ms": tuple(data["round_medians_ms"])})


Stages = dict[str, Distribution]


@dataclass(frozen=True, slots=True)
class Unpaced:
    """As fast as it can, every frame. ``frame``: from the picture in memory to the faces."""

    fps: float
    round_fps: tuple[float, ...]
    peak_fps: float
    frame: Distribution
    capture: Distribution | None
    stages: Stages
    cpu_s_per_frame: float
    faces_per_frame: float
    frames: int
    frame_samples_ms: tuple[float, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From its JSON object."""
        return cls(
            **{
                **data,
                "round_fps": tuple(data["round_fps"]),
                "frame": Distribution.of(data["frame"]),
                "capture": _distribution(data["capture"]),
                "stages": {name: Distribution.of(d) for name, d in data["stages"].items()},
                "frame_samples_ms": tuple(data["frame_samples_ms"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Paced:
    """The live pipeline behind a camera of ``rate_hz``, where the newest frame wins.

    ``latency``: from the grab to the faces in metres. ``view`` and ``grab_to_drawn``: where results
    were drawn. ``grab_to_photon_ms`` is None: neither Open3D nor the system says when a picture is
    on the screen.
    """

    rate_hz: float
    latency: Distribution | None
    stages: Stages
    fps: float
    frames_captured: int
    frames_dropped: int
    dropped_share: float | None
    cpu_s_per_frame: float
    view: Distribution | None
    grab_to_drawn: Distribution | None
    latency_samples_ms: tuple[float, ...]
    grab_to_photon_ms: float | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From its JSON object."""
        return cls(
            **{
                **data,
                "latency": _distribution(data["latency"]),
                "stages": {name: Distribution.of(d) for name, d in data["stages"].items()},
                "view": _distribution(data["view"]),
                "grab_to_drawn": _distribution(data["grab_to_drawn"]),
                "latency_samples_ms": tuple(data["latency_samples_ms"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Used:
    """What a combination really ran on."""

    model: str
    provider: str
    precision: str
    threads: int
    crop_px: int


@dataclass(frozen=True, slots=True)
class RowResult:
    """One combination: its figures, or in ``error`` why it has none.

    Either ``unpaced`` and ``paced``, or ``stages_alone`` and the ``view`` that was drawn on. Rounds
    done before a failure keep their figures.
    """

    label: str
    asked: Combination
    used: Used | None
    error: str | None
    rounds: int
    first_frame_s: float | None
    unpaced: Unpaced | None
    paced: Paced | None
    stages_alone: dict[str, Distribution | None] | None
    view: str | None
    peak_rss_mb: float | None
    gpu_memory_mb: float | None
    idle_cpu_s: float

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From its JSON object."""
        used, unpaced, paced, alone = (
            data[name] for name in ("used", "unpaced", "paced", "stages_alone")
        )
        return cls(
            **{
                **data,
                "asked": Combination(**data["asked"]),
                "used": None if used is None else Used(**used),
                "unpaced": None if unpaced is None else Unpaced.of(unpaced),
                "paced": None if paced is None else Paced.of(paced),
                "stages_alone": None
                if alone is None
                else {name: _distribution(d) for name, d in alone.items()},
            }
        )

    def main_figure(self, stage: str | None = None) -> Distribution | None:
        """What rows are compared by: time of a frame as fast as it can, or of a stage alone."""
        if stage is not None:
            return (self.stages_alone or {}).get(stage)
        return None if self.unpaced is None else self.unpaced.frame


@dataclass(frozen=True, slots=True)
class Report:
    """A whole benchmark. ``options``, ``source`` and ``machine`` are as in the file."""

    created_utc: str
    interrupted: bool
    options: dict[str, Any]
    source: dict[str, Any]
    machine: dict[str, Any]
    common: str
    rows: tuple[RowResult, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of the file."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From the object of a file.

        Raises:
            KeyError, TypeError, AttributeError: it is not of that shape.
        """
        known = {field.name: data[field.name] for field in fields(cls)}
        if not all(isinstance(known[name], dict) for name in ("options", "source", "machine")):
            raise TypeError("options, source and machine are objects")
        rows = tuple(RowResult.of(row) for row in known["rows"])
        return cls(**{**known, "rows": rows, "warnings": tuple(known["warnings"])})


def _distribution(data: Mapping[str, Any] | None) -> Distribution | None:
    return None if data is None else Distribution.of(data)
