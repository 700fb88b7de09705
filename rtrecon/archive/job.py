"""An archive from its inputs: what is missing is made, what is there stays."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rtrecon._version import __version__
from rtrecon.archive.engine import Engine
from rtrecon.archive.inputs import claim_names
from rtrecon.archive.page import index_html
from rtrecon.archive.places import PAGE, RECORD, Places, read_record
from rtrecon.archive.tables import SCHEMA_VERSION, import_pyarrow
from rtrecon.archive.units import (
    Input,
    Options,
    Piece,
    differences,
    pieces_of_film,
    pieces_of_pictures,
)
from rtrecon.archive.work import Outcome, Task
from rtrecon.errors import MissingExtraError, OutputError, RtreconError, UserError
from rtrecon.files import check_target, json_bytes, make_folder, write_files
from rtrecon.shown import counted

__all__ = ["ArchiveJob", "Tally"]

logger = logging.getLogger(__name__)

_INDEX = "archive.json"
_OPTIONS = {"fov_deg": "--fov", "mesh_every_s": "--mesh-every"}  # that are called otherwise


@dataclass(slots=True)
class Tally:
    """How far a job is.

    ``pieces`` are known so far, those of videos that were not looked at yet counting as one;
    ``pictures`` were reconstructed in this run.
    """

    inputs: int = 0
    there: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    pieces: int = 0
    pieces_done: int = 0
    pictures: int = 0
    provider: str = ""
    start_s: float = field(default_factory=time.monotonic)
    end_s: float | None = None

    @property
    def pictures_per_s(self) -> float:
        """From when the first worker was ready until now, or until all was done."""
        end_s = time.monotonic() if self.end_s is None else self.end_s
        return self.pictures / max(end_s - self.start_s, 1e-9)


@dataclass(slots=True)
class _Begun:
    """An input that is being worked on."""

    input: Input
    pieces: tuple[Piece, ...] = ()
    missing: int = 0


class ArchiveJob:
    """Makes the results of all inputs that are not there yet.

    Args:
        inputs: of `find_inputs`.
        options: how; the provider may be ``auto``: the first worker finds it.
        out: folder of the results.
        overwrite: make again what was made with other options.

    Raises:
        UserError: results are there that were made with other options, or files of somebody else
            where results would go.
        OutputError: ``out`` cannot be written.
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(
        self, inputs: Sequence[Input], options: Options, out: Path, *, overwrite: bool = False
    ) -> None:
        import_pyarrow()
        self._options, self._out = options, make_folder(out).absolute()
        check_target(self._out / _INDEX)
        found = dict(self._found())
        taken = {name: str(record.get("source")) for name, record in found.items()}
        self._missing: list[Input] = []
        self.tally = Tally(inputs=len(inputs))
        if not found and read_record(self._out / _INDEX, "archive") is None:
            self._check_free(self._out / _INDEX)
            self._check_free(self._out / PAGE)
        for one in claim_names(inputs, taken):
            record = found.get(one.name)
            if record is None:
                self._check_free(self._out / one.name)
            if record is None or not self._stays(one, record, overwrite):
                self._missing.append(one)
            else:
                self.tally.there += 1
        self.tally.pieces = len(self._missing)
        self._todo: deque[Task] = deque()
        self._begun: dict[str, _Begun] = {}
        self._said: set[str] = set()

    @property
    def is_done(self) -> bool:
        """Whether nothing is missing."""
        return not self._missing

    def run(self, engine: Engine, show: Callable[[Tally], None] = lambda _: None) -> Tally:
        """Make what is missing.

        Args:
            engine: does it; its owner closes it.
            show: called after each step.

        Raises:
            OutputError: the disk is full, or cannot be written.
            UserError: the model or an option cannot be used.
        """
        if self.is_done:
            self._write_index()
            return self.tally
        places = Places(self._out, "")
        make_folder(places.work)
        with _locked(places.work):
            places.remove_drafts()
            self._find_facts(engine)
            self._plan()
            self.tally.start_s = time.monotonic()
            try:
                self._work(engine, show)
            finally:
                self.tally.end_s = time.monotonic()
                self._write_index()
        if not self.tally.failed:
            places.remove_if_done()
        return self.tally

    def _find_facts(self, engine: Engine) -> None:
        """One provider for all, so that all give the same."""
        engine.submit(Task(kind="facts", options=self._options, places=Places(self._out, "")))
        _, outcome = engine.next_done()
        self._repeat(outcome, "")
        if outcome.error is not None:
            raise _error_of(outcome)
        self.tally.provider = str(outcome.facts["provider"])
        self._options = replace(self._options, provider=self.tally.provider)

    def _plan(self) -> None:
        self._places = Places(self._out, self._options.key(__version__))
        for one in self._missing:
            self._begun[one.name] = _Begun(one)
            if one.kind == "video":
                self._todo.append(self._task("scan", one))
            else:
                self._todo.extend(self._tasks_for(one, pieces_of_pictures(one.pictures)))

    def _work(self, engine: Engine, show: Callable[[Tally], None]) -> None:
        running = 0
        while self._todo or running:
            capacity = engine.capacity
            while self._todo and running < capacity:
                engine.submit(self._todo.popleft())
                running += 1
            task, outcome = engine.next_done()
            running -= 1
            assert task.input is not None
            self._repeat(outcome, task.input.name)
            if outcome.is_fatal:
                raise _error_of(outcome)
            if outcome.error is not None:
                self._fail(task.input, outcome.error)
            else:
                self._go_on(task, outcome)
            show(self.tally)

    def _go_on(self, task: Task, outcome: Outcome) -> None:
        """What comes after a task that is done: before all else, so that videos get finished."""
        assert task.input is not None
        begun = self._begun.get(task.input.name)
        if begun is None:  # another piece of it has failed
            return
        if task.kind == "scan":
            pieces = pieces_of_film(outcome.facts["duration_ns"], self._options)
            self._todo.extendleft(reversed(self._tasks_for(task.input, pieces)))
        elif task.kind == "make":
            self.tally.pieces_done += 1
            self.tally.pictures += int(outcome.facts["pictures"])
            begun.missing -= 1
            if begun.missing == 0:
                self._todo.appendleft(self._task("join", begun.input, begun.pieces))
        else:
            self.tally.done += 1
            del self._begun[task.input.name]
            logger.info(
                "%s: %s, %d with a face, %s",
                task.input.name,
                counted(outcome.facts["pictures"], "picture"),
                outcome.facts["with_face"],
                counted(len(outcome.facts["faces"]), "face"),
            )

    def _tasks_for(self, one: Input, found: Iterator[Piece]) -> list[Task]:
        """The pieces of it that are missing; where none is, they are joined."""
        begun, pieces = self._begun[one.name], tuple(found)
        missing = [
            piece
            for piece in pieces
            if not self._places.piece(one.name, one.stamp, piece.folder).is_dir()
        ]
        begun.pieces, begun.missing = pieces, len(missing)
        self.tally.pieces += len(pieces) - 1
        self.tally.pieces_done += len(pieces) - len(missing)
        if not missing:
            return [self._task("join", one, pieces)]
        return [self._task("make", one, (piece,)) for piece in missing]

    def _fail(self, one: Input, error: str) -> None:
        if one.name not in self._begun:
            return
        begun = self._begun.pop(one.name)
        self.tally.failed[one.path] = error
        self.tally.pieces_done += max(1, begun.missing)
        self._todo = deque(t for t in self._todo if t.input is None or t.input.name != one.name)
        logger.error("%s", error)

    def _task(self, kind: Any, one: Input, pieces: tuple[Piece, ...] = ()) -> Task:
        return Task(kind=kind, options=self._options, places=self._places, input=one, pieces=pieces)

    def _repeat(self, outcome: Outcome, name: str) -> None:
        """What a worker has said, once."""
        if outcome.trace:
            logger.debug("%s", outcome.trace)
        for level, text in outcome.said:
            if text not in self._said:
                self._said.add(text)
                logger.log(level, "%s%s", f"{name}: " if name and name not in text else "", text)

    def _found(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Records of the results that are there."""
        for path in sorted(self._out.glob(f"*/{RECORD}")):
            record = read_record(path, "archive.video")
            if record is not None:
                yield path.parent.name, record

    @staticmethod
    def _check_free(target: Path) -> None:
        """What is there and not an archive's is somebody's: perhaps the pictures themselves."""
        if not os.path.lexists(target):
            return
        if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
            return
        raise UserError(
            f"{target} is there, and no archive has made it: it is not replaced; give another --out"
        )

    def _stays(self, one: Input, record: Mapping[str, Any], overwrite: bool) -> bool:
        if record.get("stamp") != one.stamp:
            logger.warning("%s has changed since its results were made: made again", one.path)
            return False
        asked = self._options.facts()
        differ = differences(record.get("made_with") or {}, asked)
        if self._options.provider == "auto" and "provider" in differ:
            differ.remove("provider")
        if not differ:
            return True
        if overwrite:
            return False
        options = ", ".join(_OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in differ)
        raise UserError(
            f"{self._out / one.name} is there, made with another {options}: give another --out, or "
            "--overwrite to make it again"
        )

    def _write_index(self) -> None:
        videos = [
            {
                "name": name,
                "source": record["source"],
                "pictures": record["pictures"],
                "damaged": record["damaged"],
                "with_face": record["with_face"],
                "faces": len(record["faces"]),
                "seconds": record["seconds"],
            }
            for name, record in self._found()
        ]
        failed = [{"source": source, "error": e} for source, e in sorted(self.tally.failed.items())]
        data = {
            "schema": {"name": "archive", "version": SCHEMA_VERSION},
            "inputs": videos,
            "failed": failed,
        }
        write_files(
            {
                self._out / _INDEX: json_bytes(data),
                self._out / PAGE: index_html(videos, failed).encode("utf-8", "replace"),
            }
        )


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """Two runs on one folder would remove each other's drafts."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError("filelock", "cluster") from error
    lock = FileLock(work / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another `rtrecon archive` works on {work.parent}: wait for it, or give another --out"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write {work / 'lock'}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _error_of(outcome: Outcome) -> RtreconError:
    kind = UserError if outcome.exit_code == 2 else RtreconError
    return kind(outcome.error)
