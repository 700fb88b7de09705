"""``rtrecon image``: pictures in, meshes and figures out."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rtrecon.config import ModelConfig, OptionalInt
from rtrecon.console import Progress
from rtrecon.errors import DataError, OutputError, RtreconError, UserError
from rtrecon.files import check_target, make_folder, write_files, write_json
from rtrecon.types import Frame

if TYPE_CHECKING:
    from rtrecon.capture.pictures import Picture
    from rtrecon.geometry.reconstruction import FaceReconstruction
    from rtrecon.mesh import MeshOptions
    from rtrecon.pipeline import Reconstructor
    from rtrecon.stats import RunStats

__all__ = ["FORMATS", "ImageConfig", "run_image"]

logger = logging.getLogger(__name__)

_LONGEST_STEM_BYTES = 180  # of the 255 that disks take, for what comes behind it

FORMATS = ("ply", "obj", "glb", "stl", "3mf", "npz", "png")


@dataclass(kw_only=True)
class ImageConfig(ModelConfig):
    """Reconstruct the faces of pictures and write them as files."""

    paths: Annotated[
        tyro.conf.Positional[list[str]], tyro.conf.arg(metavar="PATHS", help_behavior_hint="")
    ]
    """Pictures, folders of pictures, or quoted globs such as 'photos/**/*.jpg'."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("rtrecon-out")
    """Folder for the files; made when it is missing."""
    formats: str = "glb,png"
    """What to write a face, of ply,obj,glb,stl,3mf,npz,png (png: preview; stl, 3mf: for
    printing, in millimetres); none writes nothing."""
    all: bool = False
    """Write every format."""
    overwrite: bool = False
    """Replace files that are there already."""
    json: bool = False
    """Print a line of JSON for each face and each failure, as where it is piped, not a table."""
    faces: int = 10
    """Faces to reconstruct in a picture at most, the largest first."""
    min_face_px: int = 48
    """Smallest face to look for, in pixels; smaller finds more and takes longer."""
    passes: int = 2
    """Views of each face to average over, 1 to 14: 2 adds the mirror image, then small turns."""
    smooth: int = 0
    """Smooth the mesh by so many steps; 10 is plenty."""
    decimate: OptionalInt = None
    """Keep at most so many triangles; needs the extra `window`, which brings Open3D."""
    back: bool = False
    """The person's whole head, closed, for printing: a watertight mesh."""
    poisson: bool = False
    """Make one smooth closed surface (Poisson; seconds a face, vertex colours, no texture);
    needs the extra `window`."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        from rtrecon.depth.averaging import MAX_PASSES

        if not self.paths:
            raise UserError("name at least one picture, folder or glob")
        if not 1 <= self.passes <= MAX_PASSES:
            raise UserError(f"--passes must be 1 to {MAX_PASSES}, not {self.passes}")
        if not 12 <= self.min_face_px <= 20_000:
            raise UserError(f"--min-face-px must be 12 to 20000, not {self.min_face_px}")
        if not 0 <= self.smooth <= 1000:
            raise UserError(f"--smooth must be 0 to 1000 steps, not {self.smooth}")
        if self.decimate is not None and not 16 <= self.decimate <= 100_000_000:
            raise UserError(
                f"--decimate must be 16 triangles to a hundred million, not {self.decimate}"
            )
        self.format_list()

    def format_list(self) -> tuple[str, ...]:
        """The formats to write.

        Raises:
            UserError: one of them is not known.
        """
        if self.all:
            return FORMATS
        names = [name.strip().lower().lstrip(".") for name in self.formats.split(",")]
        names = [name for name in names if name and name != "none"]
        unknown = [name for name in names if name not in FORMATS]
        if unknown:
            raise UserError(f"--formats knows {', '.join(FORMATS)}, not {', '.join(unknown)}")
        return tuple(dict.fromkeys(names))


@dataclass(slots=True)
class _Tally:
    """What became of the pictures so far."""

    done: int = 0
    failed: int = 0
    faces: int = 0
    start_s: float = field(default_factory=time.monotonic)

    def fail(self, error: RtreconError, debug: bool) -> None:
        """Count and say it."""
        self.failed += 1
        logger.error("%s", error, exc_info=error if debug else None)

    @property
    def pictures_per_s(self) -> float:
        return self.done / max(time.monotonic() - self.start_s, 1e-9)


def run_image(config: ImageConfig) -> int:
    """Reconstruct all pictures; a row or line a face goes to standard output (`ImageReport`).

    A picture that fails, by whatever is thrown, is said, counted and passed over, and so is a
    path without a picture beside others. All files of a picture are written, or none.

    Returns:
        0, or 1 if any picture failed.

    Raises:
        UserError: there is no picture, or the model or an option cannot be used.
        OutputError: the output folder or standard output cannot be written.
    """
    from rtrecon.commands.image_report import make_report
    from rtrecon.commands.picture_queue import find_all, read_ahead
    from rtrecon.console import signals_end
    from rtrecon.host import import_open3d
    from rtrecon.pipeline import Reconstructor
    from rtrecon.stats import RunStats

    if config.poisson or config.decimate is not None:
        import_open3d()  # better missed now than after the first picture
    if config.stats is not None:
        check_target(config.stats)
    paths, wrong = find_all(config.paths)
    if config.stats is not None:
        check_target(config.stats, paths)
    report = make_report(paths, as_json=config.json)
    formats = config.format_list()
    if formats:
        check_target(make_folder(config.out) / "face.glb")
    reconstructor = Reconstructor(
        **config.reconstructor_options(),
        temporal=False,
        min_face_px=config.min_face_px,
        passes=config.passes,
    )
    stats, tally = RunStats(), _Tally()
    taken: dict[str, Path] = {}
    try:
        for pattern, error in wrong:
            tally.fail(error, config.debug)
            tally.done += 1
            report.failed(pattern, error)
        with (
            signals_end(),
            Progress("pictures", len(paths), quiet=config.quiet) as progress,
        ):
            for index, (path, read) in enumerate(read_ahead(paths)):
                rows: list[dict[str, Any]] = []
                failure: RtreconError | None = None
                try:
                    _claim_stem(path, taken, formats)
                    rows = _process(read, index, reconstructor, config, formats, stats)
                except RtreconError as error:
                    failure = error
                except Exception as error:  # one bad picture never ends the others
                    failure = _unforeseen(path, error)
                tally.done += 1
                tally.faces += len(rows)
                report.faces(rows)
                if failure is not None:
                    tally.fail(failure, config.debug)
                    report.failed(str(path), failure)
                progress.show(tally.done, f"{tally.pictures_per_s:.1f}/s, {tally.failed} failed")
    finally:
        _finish(config, tally, stats, reconstructor)
    return 1 if tally.failed else 0


def _unforeseen(path: Path, error: Exception) -> RtreconError:
    """What was thrown that nobody thought of, as this picture's failure."""
    failure = RtreconError(
        f"{path} failed: {type(error).__name__}: {error}; --debug shows where, please report it"
    )
    failure.__cause__ = error
    failure.__traceback__ = error.__traceback__
    return failure


def _process(
    read: Callable[[], Picture],
    index: int,
    reconstructor: Reconstructor,
    config: ImageConfig,
    formats: Sequence[str],
    stats: RunStats,
) -> list[dict[str, Any]]:
    """Reconstruct one picture and write its files; returns a row for each of its faces."""
    from rtrecon.commands.image_report import face_row

    start_ns = time.monotonic_ns()
    picture = read()
    path = picture.path
    if formats and not config.overwrite:
        _refuse_existing(path, config.out, formats)
    faces = reconstructor(Frame(picture.image, index, start_ns, picture.intrinsics))
    turn_deg = reconstructor.turn_deg
    if turn_deg:
        picture = picture.turned(turn_deg)
        logger.info("%s is turned by %d degrees clockwise", path, turn_deg)
        faces = reconstructor(Frame(picture.image, index, start_ns, picture.intrinsics))
    _add_times(stats, reconstructor, start_ns, has_face=bool(faces))
    if not faces:
        raise DataError(f"no face found in {path}: nothing written")
    camera = _camera_source(config, picture)
    files: dict[Path, bytes] = {}
    rows = []
    for number, face in enumerate(faces):
        base = config.out / f"{_output_stem(path)}.face{number}"
        written = _encode(picture, face, base, formats, config)
        files.update(written)
        rows.append(face_row(path, number, face, camera, turn_deg, list(written)))
    write_files(files, overwrite=config.overwrite)
    return rows


def _encode(
    picture: Picture,
    face: FaceReconstruction,
    base: Path,
    formats: Sequence[str],
    config: ImageConfig,
) -> dict[Path, bytes]:
    """The contents of all files of one face."""
    from rtrecon.draw.png import encode_png
    from rtrecon.draw.sheet import draw_preview
    from rtrecon.mesh.face_mesh import face_mesh
    from rtrecon.mesh.face_npz import encode_npz
    from rtrecon.mesh.file_frame import to_file_frame
    from rtrecon.mesh.mesh_files import encode_mesh

    files: dict[Path, bytes] = {}
    if not formats or formats == ("npz",):
        return {_beside(base, "npz"): encode_npz(face)} if formats else files
    mesh = face_mesh(face, _mesh_options(config), picture.image, ipd_m=config.ipd_mm / 1000.0)
    in_file_frame = to_file_frame(mesh, face.T_camera_face[:3, 3])
    for name in formats:
        path = _beside(base, name)
        if name == "npz":
            files[path] = encode_npz(face)
        elif name == "png":
            preview = draw_preview(picture.image, face, mesh)
            files[path] = encode_png(preview)
        else:
            files.update(encode_mesh(in_file_frame, path))
    return files


def _mesh_options(config: ImageConfig) -> MeshOptions:
    from rtrecon.mesh import MeshOptions

    return MeshOptions(config.smooth, config.decimate, config.back, config.poisson)


def _beside(base: Path, suffix: str) -> Path:
    # Not with_suffix: a stem may have dots of its own.
    return base.with_name(f"{base.name}.{suffix}")


def _output_stem(path: Path) -> str:
    """What the files made of the picture ``path`` are called: its own name without its suffix,
    without characters that would break lines, and shortened where no disk would take it."""
    stem = "".join("_" if unicodedata.category(c) == "Cc" else c for c in path.stem)
    written = os.fsencode(stem)
    if len(written) <= _LONGEST_STEM_BYTES:
        return stem
    mark = hashlib.sha256(written).hexdigest()[:8]
    while len(os.fsencode(stem)) > _LONGEST_STEM_BYTES - 9:
        stem = stem[:-1]
    return f"{stem}~{mark}"


def _claim_stem(path: Path, taken: dict[str, Path], formats: Sequence[str]) -> None:
    # As the disks see it that are the least particular.
    name = unicodedata.normalize("NFC", _output_stem(path).casefold())
    first = taken.setdefault(name, path)
    if formats and first != path:
        raise DataError(
            f"{path} would be written under the names of {first}: rename one of them, or give "
            "them different --out folders"
        )


def _refuse_existing(path: Path, out: Path, formats: Sequence[str]) -> None:
    """Refuse before the work is done rather than after."""
    for name in formats:
        there = _beside(out / f"{_output_stem(path)}.face0", name)
        if os.path.lexists(there):
            raise OutputError(f"{there} is there already: use --overwrite to replace it")


def _camera_source(config: ImageConfig, picture: Picture) -> str:
    if config.intrinsics is not None:
        return "file"
    if config.fov is not None:
        return "fov"
    return "assumed" if picture.fov_deg is None else "exif"


def _add_times(
    stats: RunStats, reconstructor: Reconstructor, start_ns: int, *, has_face: bool
) -> None:
    stats.add_times(reconstructor.times)
    stats.add_frame(start_ns, time.monotonic_ns(), has_face=has_face)


def _finish(
    config: ImageConfig, tally: _Tally, stats: RunStats, reconstructor: Reconstructor
) -> None:
    logger.info(
        "%d pictures, %d faces, %d failed, %.1f pictures a second",
        tally.done,
        tally.faces,
        tally.failed,
        tally.pictures_per_s,
    )
    if config.stats is None:
        return
    from rtrecon.host import versions

    model = reconstructor.depth_model
    write_json(
        config.stats,
        {
            "pictures": tally.done,
            "failed": tally.failed,
            "faces": tally.faces,
            "pictures_per_s": round(tally.pictures_per_s, 2),
            **stats.summary(),
            "model": model.name,
            "provider": model.provider,
            "threads": model.threads,
            "versions": versions(),
        },
    )
