"""From the pieces of a video to its results: tables and a page, whole or not there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrecon._version import __version__
from rtrecon.archive.page import Course, page_html
from rtrecon.archive.places import (
    DEPTH,
    FACES,
    FRAMES,
    MESHES,
    PAGE,
    RECORD,
    Places,
    filled_folder,
    read_record,
)
from rtrecon.archive.seams import Identities, Seen, renamed
from rtrecon.archive.tables import COMPRESSION, SCHEMA_VERSION, import_pyarrow, read_table
from rtrecon.archive.units import Input, Options, Piece
from rtrecon.errors import DataError, OutputError, SourceLostError
from rtrecon.files import make_folder, write_files, write_json
from rtrecon.json_text import read_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["join_pieces"]

logger = logging.getLogger(__name__)

_SHOWN = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "browInnerUp")
_COUNTS = ("pictures", "damaged", "values_dropped", "depths_dropped", "faces_without_depth")


def join_pieces(
    source: Input, pieces: Sequence[Piece], options: Options, places: Places
) -> dict[str, Any]:
    """Write the results of ``source`` from its pieces, and remove those.

    Returns:
        What is in its ``video.json``.

    Raises:
        SourceLostError: not one picture of it could be read.
        OutputError: they cannot be written.
    """
    folders = [places.piece(source.name, source.stamp, piece.folder) for piece in pieces]
    counts = dict.fromkeys(_COUNTS, 0)
    for folder in folders:
        for name, count in _counts_in(folder).items():
            counts[name] += count
    if counts["pictures"] == 0:
        raise SourceLostError(
            f"{source.path}: not one picture of it can be read: the file is damaged"
        )
    result = places.result(source.name)
    with filled_folder(result, places.work) as part:
        course = _join_tables(source, pieces, folders, options, part)
        record = {
            "schema": {"name": "archive.video", "version": SCHEMA_VERSION},
            "rtrecon": __version__,
            "source": source.path,
            "kind": source.kind,
            "stamp": source.stamp,
            "made_with": options.facts(),
            **counts,
            "pieces": len(pieces),
            **course.summary(),
        }
        write_json(part / RECORD, record)
        write_files({part / PAGE: page_html(source, record, course).encode()})
        if result.is_dir():
            _move_away(result, places.work)
    places.forget(source.name)
    return record


def _counts_in(folder: Path) -> dict[str, int]:
    try:
        found = read_json(folder / "piece.json")
        return {name: int(found[name]) for name in _COUNTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is damaged ({error}): remove it and start again") from error


def _join_tables(
    source: Input, pieces: Sequence[Piece], folders: Sequence[Path], options: Options, part: Path
) -> Course:
    identities, course = Identities(), Course(_SHOWN)
    last_interval = -1
    with ExitStack() as stack:
        tables = _Tables(part, stack)
        for piece, folder in zip(pieces, folders, strict=True):
            frames = read_table(folder / FRAMES)
            faces = read_table(folder / FACES)
            names: dict[int, int] | None = None
            if source.kind == "video":
                names = identities.join(_seen(faces), piece.warm, piece.start, piece.end)
                frames, faces = _own(frames, piece), _own(faces, piece)
                faces = _renamed(faces, names)
            tables.append(FRAMES, frames)
            tables.append(FACES, faces)
            if options.depth:
                depth = read_table(folder / DEPTH)
                tables.append(DEPTH, depth if names is None else _renamed(depth, names))
            course.add(frames, faces)
            last_interval = _copy_meshes(folder, frames, names, options, part, last_interval)
    return course


def _seen(faces: pa.Table) -> Seen:
    marks = faces["landmarks_px"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Seen(
        faces["t_ns"].to_numpy(),
        faces["id"].to_numpy().astype(np.int64),
        np.asarray(marks, dtype=np.float32).reshape(-1, 5, 2),
    )


def _own(table: pa.Table, piece: Piece) -> pa.Table:
    t_ns = table["t_ns"].to_numpy()
    first = int(np.searchsorted(t_ns, piece.start))
    return table.slice(first)


def _renamed(table: pa.Table, names: dict[int, int]) -> pa.Table:
    pa = import_pyarrow()
    ids = renamed(table["id"].to_numpy().astype(np.int64), names)
    at = table.schema.get_field_index("id")
    return table.set_column(at, table.schema.field(at), pa.array(ids, pa.int32()))


class _Tables:
    """Parquet files that grow by a group of rows a piece."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._writers: dict[str, Any] = {}

    def append(self, name: str, table: pa.Table) -> None:
        import_pyarrow()
        import pyarrow.parquet as pq

        writer = self._writers.get(name)
        try:
            if writer is None:
                # Whole with its folder, so that it needs no draft of its own.
                file = self._stack.enter_context((self._folder / name).open("xb"))
                writer = pq.ParquetWriter(file, table.schema, compression=COMPRESSION)
                self._writers[name] = self._stack.enter_context(writer)
            writer.write_table(table.combine_chunks())
        except OSError as error:
            raise OutputError(f"cannot write {self._folder / name}: {error}") from error


def _copy_meshes(
    folder: Path,
    frames: pa.Table,
    names: dict[int, int] | None,
    options: Options,
    part: Path,
    last_interval: int,
) -> int:
    """Meshes under their faces' ids; of an interval that two segments share, the first's alone."""
    if options.mesh_every_s is None:
        return last_interval
    t_ns = dict(zip(frames["frame"].to_pylist(), frames["t_ns"].to_pylist(), strict=True))
    kept: dict[int, int] = {}  # frame that an interval's meshes are of
    for mesh in sorted((folder / MESHES).glob("*.glb")):
        number_text, face_text, _ = mesh.name.split(".")
        number, face_id = int(number_text), int(face_text.removeprefix("face"))
        if names is not None:
            interval = int(t_ns[number] // (options.mesh_every_s * 1e9))
            if interval <= last_interval or kept.setdefault(interval, number) != number:
                continue
            face_id = names[face_id]
        target = make_folder(part / MESHES) / f"{number:08d}.face{face_id}.glb"
        shutil.copyfile(mesh, target)
    return max([last_interval, *kept])


def _move_away(result: Path, work: Path) -> None:
    """Results of another state of the video: out of the way, then gone; nothing else ever."""
    if read_record(result / RECORD, "archive.video") is None:
        if any(result.iterdir()):
            raise OutputError(f"{result} is there, and no archive has made it: it is not replaced")
        return
    away = work / f".{result.name[:40]}.old.part"
    shutil.rmtree(away, ignore_errors=True)
    result.rename(away)
    shutil.rmtree(away, ignore_errors=True)
