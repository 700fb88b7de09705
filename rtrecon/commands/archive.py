"""``rtrecon archive``: hours of video and folders of pictures as tables."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rtrecon.config import ModelConfig, OptionalFloat, OptionalInt, OptionalText
from rtrecon.console import Progress
from rtrecon.errors import RtreconError, UserError
from rtrecon.files import check_target, write_json
from rtrecon.shown import counted

if TYPE_CHECKING:
    from rtrecon.archive.engine import Engine
    from rtrecon.archive.job import Tally
    from rtrecon.archive.units import Options

__all__ = ["ArchiveConfig", "run_archive"]

logger = logging.getLogger(__name__)

_MOST_WORKERS = 100_000


@dataclass(kw_only=True)
class ArchiveConfig(ModelConfig):
    """Reconstruct hours of video and folders of pictures, on all cores or a cluster.

    Tables of poses, coefficients, landmarks and distances (Parquet), and a page a video. What is
    there already is not made again: a run that was interrupted is given once more.
    """

    paths: Annotated[
        tyro.conf.Positional[list[str]], tyro.conf.arg(metavar="PATHS", help_behavior_hint="")
    ]
    """Videos, pictures, folders with all in them, quoted globs; lists: a .txt, a path a line."""
    out: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help_behavior_hint="(required)", aliases=("-o",))
    ]
    """Folder for the results, one folder in it for each video; made when it is missing."""
    workers: OptionalInt = None
    """Cores to work on at once (default: all of this machine, or of the cluster); 1 does without
    Ray."""
    address: OptionalText = None
    """Ray cluster to work on, HOST:PORT, or auto on a node of it; its nodes must see the same
    files under the same names (default: this machine)."""
    segment_s: float = 120.0
    """Length in seconds of the pieces of a video: what is lost if a worker dies."""
    warm_up_s: float = 5.0
    """Seconds before its start from which a piece follows faces, so that no seam is seen."""
    depth: bool = False
    """Keep the depth of every face too, as 16 bits: two gigabytes an hour."""
    mesh_every: OptionalFloat = None
    """Keep a mesh (GLB) of every face once in so many seconds; of pictures, each face's."""
    gpu_share: float = 0.0
    """Share of a graphics card that each worker takes, such as 0.25."""
    overwrite: bool = False
    """Make again what was made with other options."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if not self.paths:
            raise UserError("name at least one video, folder, list or glob")
        if self.workers is not None and not 1 <= self.workers <= _MOST_WORKERS:
            raise UserError(f"--workers must be 1 to {_MOST_WORKERS}, not {self.workers}")
        if not 0.5 <= self.segment_s <= 86_400:
            raise UserError(f"--segment-s must be 0.5 to 86400 seconds, not {self.segment_s:g}")
        if not 0.0 <= self.warm_up_s <= 600:
            raise UserError(f"--warm-up-s must be 0 to 600 seconds, not {self.warm_up_s:g}")
        if self.mesh_every is not None and not 0.01 <= self.mesh_every <= 86_400:
            raise UserError(f"--mesh-every must be 0.01 to 86400 seconds, not {self.mesh_every:g}")
        if not 0.0 <= self.gpu_share <= 16.0:
            raise UserError(f"--gpu-share must be 0 to 16 cards, not {self.gpu_share:g}")

    def options(self) -> Options:
        """What workers need of these.

        Raises:
            UserError: the model or the calibration is not there.
        """
        from rtrecon.archive.units import Options
        from rtrecon.depth.store import find_model
        from rtrecon.types import Intrinsics

        find_model(self.model)  # better missed now than by the first worker
        model = str(Path(self.model).absolute()) if "/" in self.model else self.model
        return Options(
            model=model,
            provider=self.provider,
            precision=self.precision,
            faces=self.faces,
            fov_deg=self.fov,
            intrinsics=None if self.intrinsics is None else Intrinsics.load(self.intrinsics),
            ipd_mm=self.ipd_mm,
            threads=self.threads or 1,
            segment_s=self.segment_s,
            warm_up_s=self.warm_up_s,
            depth=self.depth,
            mesh_every_s=self.mesh_every,
        )


def run_archive(config: ArchiveConfig) -> int:
    """Make what is missing of an archive.

    Returns:
        0, or 1 if an input failed.

    Raises:
        UserError: there is no input, or an option, the model or the cluster cannot be used.
        OutputError: the disk is full or cannot be written.
    """
    from rtrecon.archive.inputs import find_inputs
    from rtrecon.archive.job import ArchiveJob
    from rtrecon.console import signals_end

    if config.stats is not None:
        check_target(config.stats)
    inputs, wrong = find_inputs(config.paths, config.out.absolute())
    if config.stats is not None:
        read = (path for one in inputs for path in (one.path, *one.pictures))
        check_target(config.stats, read)
    was_there = config.out.exists()
    job = ArchiveJob(inputs, config.options(), config.out, overwrite=config.overwrite)
    for error in wrong:
        logger.error("%s", error)
    if job.is_done:
        job.run(_engine(config, is_needed=False))
        what = "the input is" if job.tally.there == 1 else f"all {job.tally.there} inputs are"
        logger.info("%s there already", what)
        return 1 if wrong else 0
    with signals_end():
        try:
            engine = _engine(config)
        except RtreconError:
            if not was_there:
                with contextlib.suppress(OSError):
                    config.out.rmdir()
            raise
        try:
            with Progress("segments", None, quiet=config.quiet) as progress:
                job.run(engine, lambda tally: _show(progress, tally))
        except KeyboardInterrupt:
            logger.info(
                "%d of %d segments are kept: the same command goes on from there",
                job.tally.pieces_done,
                job.tally.pieces,
            )
            raise
        finally:
            engine.close()
            _finish(config, job.tally)
    return 1 if job.tally.failed or wrong else 0


def _engine(config: ArchiveConfig, *, is_needed: bool = True) -> Engine:
    from rtrecon.archive.engine import HereEngine, RayEngine
    from rtrecon.host import usable_cores

    workers = config.workers
    if config.address is None and workers is None:
        workers = usable_cores() or 1
    if not is_needed or (config.address is None and workers == 1):
        return HereEngine()
    return RayEngine(workers, config.address, config.gpu_share)


def _show(progress: Progress, tally: Tally) -> None:
    note = f"{counted(tally.done, 'input')} done, {tally.pictures_per_s:.0f} pictures/s"
    if tally.failed:
        note += f", {len(tally.failed)} failed"
    progress.show(tally.pieces_done, note, total=tally.pieces)


def _finish(config: ArchiveConfig, tally: Tally) -> None:
    logger.info(
        "%s done, %d there before, %d failed; %s, %.1f a second: %s",
        counted(tally.done, "input"),
        tally.there,
        len(tally.failed),
        counted(tally.pictures, "picture"),
        tally.pictures_per_s,
        config.out,
    )
    if config.stats is None:
        return
    from rtrecon.host import versions

    write_json(
        config.stats,
        {
            "inputs": tally.inputs,
            "done": tally.done,
            "there": tally.there,
            "failed": len(tally.failed),
            "segments": tally.pieces_done,
            "pictures": tally.pictures,
            "pictures_per_s": round(tally.pictures_per_s, 2),
            "provider": tally.provider,
            "versions": versions(),
        },
    )
