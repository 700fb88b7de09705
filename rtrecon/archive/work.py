"""What a worker does: look at a video's times, make a piece of it, join the pieces."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from rtrecon._version import __version__
from rtrecon.archive.film import FilmIndex, film_pictures, scan_film
from rtrecon.archive.joining import join_pieces
from rtrecon.archive.places import DEPTH, FACES, FRAMES, MESHES, Places, filled_folder
from rtrecon.archive.tables import (
    Rows,
    depth_row,
    depth_schema,
    face_row,
    faces_schema,
    frame_row,
    frames_schema,
    write_table,
)
from rtrecon.archive.units import Input, Options, Piece
from rtrecon.capture.pictures import read_picture
from rtrecon.errors import (
    MissingExtraError,
    ModelError,
    OutputError,
    ProviderError,
    RtreconError,
    SourceError,
    UserError,
)
from rtrecon.files import Draft, make_folder, write_json
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.save import save
from rtrecon.pipeline import Reconstructor
from rtrecon.types import Frame

__all__ = ["Outcome", "Task", "do_task"]

logger = logging.getLogger(__name__)

_PASSES, _LEAST_FACE_PX = 2, 48  # of pictures, as `rtrecon image`
_FATAL = (OutputError, ModelError, ProviderError, MissingExtraError)
_MOST_SAID = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to do. What it leaves behind is whole files, so that it may be done twice.

    ``kind``: ``facts`` finds the provider; ``scan`` reads a video's times; ``make`` makes
    ``pieces[0]``; ``join`` makes the results of all ``pieces``.
    """

    kind: Literal["facts", "scan", "make", "join"]
    options: Options
    places: Places
    input: Input | None = None
    pieces: tuple[Piece, ...] = ()
    version: str = __version__


@dataclass(slots=True)
class Outcome:
    """What became of a task.

    Attributes:
        error: why it failed, if it did; exit_code: of that; is_fatal: no other task can do better.
        facts: what it found out.
        said: log records of warnings and errors, and of facts for the user: level and text.
        trace: of the error, for those who ask.
    """

    error: str | None = None
    exit_code: int = 1
    is_fatal: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    said: list[tuple[int, str]] = field(default_factory=list)
    trace: str = ""


def do_task(task: Task) -> Outcome:
    """Do it; what goes wrong is told, not raised."""
    outcome = Outcome()
    with _heard(outcome.said):
        try:
            if task.version != __version__:
                raise UserError(
                    f"a worker has rtrecon {__version__}, this is {task.version}: install the "
                    "same version on all nodes of the cluster"
                )
            outcome.facts = _DO[task.kind](task)
        except RtreconError as error:
            outcome.error, outcome.exit_code = str(error), error.exit_code
            outcome.is_fatal = isinstance(error, _FATAL) or type(error) is UserError
            outcome.trace = traceback.format_exc()
        except Exception as error:  # one bad video never ends the others
            name = task.input.path if task.input is not None else task.kind
            outcome.error = (
                f"{name} failed: {type(error).__name__}: {error}; --debug shows where, please "
                "report it"
            )
            outcome.trace = traceback.format_exc()
    return outcome


def _find_facts(task: Task) -> dict[str, Any]:
    recon = _reconstructor(task.options, temporal=True)
    facts = recon.model_facts
    return {
        "model": facts["model"],
        "provider": facts["provider"],
        "coefficients": list(recon.depth_model.expression_names or ()),
    }


def _scan(task: Task) -> dict[str, Any]:
    source = _given(task)
    path = task.places.index(source.name, source.stamp)
    index = _load_index(path) if path.is_file() else scan_film(Path(source.path))
    if not path.is_file():
        make_folder(path.parent)
        with Draft(path) as draft, draft.open() as file:
            np.savez(
                file,
                times_ns=np.empty(0, np.int64) if index is None else index.times_ns,
                zero_ns=0 if index is None else index.zero_ns,
                should_count=0 if index is None else index.should_count,
            )
    if index is None:
        logger.info("%s has no times that can be relied on: it is one piece", source.path)
        return {"duration_ns": None, "pictures": None}
    if index.is_incomplete:
        logger.warning(
            "%s ends after %d of the %d pictures that it should have: it is incomplete or damaged",
            source.path,
            len(index.times_ns),
            index.should_count,
        )
    return {"duration_ns": index.duration_ns, "pictures": len(index.times_ns)}


def _make(task: Task) -> dict[str, Any]:
    source, piece = _given(task), task.pieces[0]
    folder = task.places.piece(source.name, source.stamp, piece.folder)
    if folder.is_dir():
        return {"pictures": 0}  # by a worker that was thought to be lost
    with filled_folder(folder) as part:
        made = _Made.begin(task.options, part)
        if source.kind == "video":
            index = _load_index(task.places.index(source.name, source.stamp))
            counts = _reconstruct_film(source, piece, index, task.options, made)
        else:
            counts = _reconstruct_pictures(source, piece, task.options, made)
        made.write()
        write_json(part / "piece.json", counts)
    return counts


def _join(task: Task) -> dict[str, Any]:
    return join_pieces(_given(task), task.pieces, task.options, task.places)


_DO = {"facts": _find_facts, "scan": _scan, "make": _make, "join": _join}


def _given(task: Task) -> Input:
    assert task.input is not None
    return task.input


@dataclass(slots=True)
class _Made:
    """The rows and meshes of one piece, on their way into its folder."""

    options: Options
    folder: Path
    frames: Rows
    faces: Rows
    depth: Rows | None
    last_mesh: int = -1

    @classmethod
    def begin(cls, options: Options, folder: Path) -> _Made:
        names = _reconstructor(options, temporal=True).depth_model.expression_names or ()
        return cls(
            options,
            folder,
            Rows(frames_schema()),
            Rows(faces_schema(names)),
            Rows(depth_schema()) if options.depth else None,
        )

    def add_surface(
        self, number: int, t_ns: int | None, face_id: int, face: FaceReconstruction
    ) -> None:
        if self.depth is not None:
            self.depth.add(depth_row(number, t_ns, face_id, face))

    def mesh_is_due(self, t_ns: int) -> bool:
        """Whether a mesh is wanted of the faces at ``t_ns``: the first seen in its interval."""
        if self.options.mesh_every_s is None:
            return False
        interval = int(t_ns // (self.options.mesh_every_s * 1e9))
        is_due, self.last_mesh = interval > self.last_mesh, max(interval, self.last_mesh)
        return is_due

    def save_mesh(self, number: int, face_id: int, face: FaceReconstruction) -> None:
        folder = make_folder(self.folder / MESHES)
        save(face, folder / mesh_name(number, face_id))

    def write(self) -> None:
        write_table(self.folder / FRAMES, self.frames.table())
        write_table(self.folder / FACES, self.faces.table())
        if self.depth is not None:
            write_table(self.folder / DEPTH, self.depth.table())


def mesh_name(number: int, face_id: int) -> str:
    """File of a mesh."""
    return f"{number:08d}.face{face_id}.glb"


def _reconstruct_film(
    source: Input, piece: Piece, index: FilmIndex | None, options: Options, made: _Made
) -> dict[str, Any]:
    recon = _reconstructor(options, temporal=True)
    recon.reset()  # the same whatever this worker has done before
    before = _counts_of(recon)
    pictures = damaged = 0
    for number, t_ns, image in film_pictures(Path(source.path), index, piece.warm, piece.end):
        if image is None:
            damaged += t_ns >= piece.start
            continue
        faces = recon(Frame(image, number, t_ns, None, t_ns))
        made.frames.add(frame_row(number, t_ns, (image.shape[1], image.shape[0]), faces))
        is_own = t_ns >= piece.start
        pictures += is_own
        wants_mesh = is_own and bool(faces) and made.mesh_is_due(t_ns)
        for face in faces:
            made.faces.add(face_row(number, t_ns, face.id, face))
            if is_own:
                made.add_surface(number, t_ns, face.id, face)
            if wants_mesh:
                made.save_mesh(number, face.id, face)
    return {"pictures": pictures, "damaged": damaged, **_since(before, _counts_of(recon))}


def _reconstruct_pictures(
    source: Input, piece: Piece, options: Options, made: _Made
) -> dict[str, Any]:
    recon = _reconstructor(options, temporal=False)
    before = _counts_of(recon)
    pictures = damaged = 0
    assert piece.end is not None
    for number in range(piece.start, piece.end):
        path = Path(source.pictures[number])
        try:
            picture = read_picture(path)
        except UserError as error:
            damaged += 1
            logger.warning("%s; left out", error)
            continue
        faces = recon(Frame(picture.image, number, 0, picture.intrinsics))
        turn_deg = recon.turn_deg
        if turn_deg:
            picture = picture.turned(turn_deg)
            faces = recon(Frame(picture.image, number, 0, picture.intrinsics))
        pictures += 1
        size = (picture.image.shape[1], picture.image.shape[0])
        made.frames.add(
            frame_row(number, None, size, faces, picture=path.name, turned_deg=turn_deg)
        )
        for k, face in enumerate(faces):
            made.faces.add(face_row(number, None, k, face))
            made.add_surface(number, None, k, face)
            if options.mesh_every_s is not None:
                made.save_mesh(number, k, face)
    return {"pictures": pictures, "damaged": damaged, **_since(before, _counts_of(recon))}


def _counts_of(recon: Reconstructor) -> dict[str, int]:
    return {
        "values_dropped": recon.values_dropped,
        "depths_dropped": recon.depths_dropped,
        "faces_without_depth": recon.faces_without_depth,
    }


def _since(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    return {name: now[name] - before[name] for name in now}


def _load_index(path: Path) -> FilmIndex | None:
    try:
        with np.load(path) as data:
            times, zero_ns = data["times_ns"], int(data["zero_ns"])
            return FilmIndex(times, zero_ns, int(data["should_count"])) if len(times) else None
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"cannot read {path}: {error}; remove it and start again") from error


_reconstructors: dict[tuple[str, bool], Reconstructor] = {}


def _reconstructor(options: Options, *, temporal: bool) -> Reconstructor:
    """The one of this process: loading the models takes longer than many pictures."""
    wanted = (repr(options.reconstructor_options()), temporal)
    found = _reconstructors.get(wanted)
    if found is None:
        cv2.setNumThreads(options.threads)
        more: dict[str, Any] = {}
        if not temporal:
            more = {"temporal": False, "passes": _PASSES, "min_face_px": _LEAST_FACE_PX}
        found = Reconstructor(**options.reconstructor_options(), **more)
        for old in [key for key in _reconstructors if key[0] != wanted[0]]:
            _reconstructors.pop(old).close()
        _reconstructors[wanted] = found
    return found


class _Listener(logging.Handler):
    """Keeps what is said for the one who started this."""

    def __init__(self, said: list[tuple[int, str]]) -> None:
        super().__init__(logging.INFO)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._said) < _MOST_SAID:
            self._said.append((record.levelno, record.getMessage()))


@contextmanager
def _heard(said: list[tuple[int, str]]) -> Iterator[None]:
    """What rtrecon logs meanwhile goes to ``said``, wherever this runs."""
    root = logging.getLogger("rtrecon")
    listener = _Listener(said)
    handlers, level, propagate = root.handlers[:], root.level, root.propagate
    root.handlers[:] = [listener]
    root.propagate = False
    if level == logging.NOTSET or level > logging.INFO:
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        root.propagate = propagate
