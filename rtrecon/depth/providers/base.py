"""The contract of a provider, and what it is given."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

__all__ = ["ModelSource", "Provider", "ProviderEntry", "Runner"]

ProviderEntry = str | tuple[str, dict[str, str]]


class Runner(Protocol):
    """What a `DepthModel` needs of a session; ONNX Runtime's own has it."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, np.ndarray[Any, Any]]
    ) -> Sequence[Any]:
        """The named outputs, as arrays of the caller's own."""

    def get_inputs(self) -> Sequence[Any]:
        """Nodes with ``name``, ``type`` and ``shape``."""

    def get_outputs(self) -> Sequence[Any]:
        """Nodes with ``name``, ``type`` and ``shape``."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """One ONNX file and what engines built from it are known by.

    ``shape`` (n, 3, h, w) is what it is run with, ``sha256`` that of the file if known,
    ``origin`` the checkpoint that it was exported from. ``outputs`` are those that are asked
    for, where not all are. ``content`` is the file as it was read and compared with its hash:
    what a session is opened with, so that nobody can change it in between.
    """

    path: Path
    precision: str = "fp32"
    shape: tuple[int, int, int, int] = (1, 3, 192, 192)
    sha256: str | None = None
    origin: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    outputs: tuple[str, ...] = ()
    content: bytes | None = field(default=None, repr=False, hash=False, compare=False)

    def digest(self) -> str:
        """SHA-256 of the file; read from the disk only where it is not known."""
        if self.sha256 is not None:
            return self.sha256
        if self.content is not None:
            return hashlib.sha256(self.content).hexdigest()
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class Provider(ABC):
    """One kind of device. Stateless: sessions belong to the caller.

    `open` must raise for anything that keeps the model from running there, and must never
    leave the work to another provider without saying so.
    """

    name: ClassVar[str]
    """Short name, as on the command line."""
    ort_name: ClassVar[str]
    """ONNX Runtime's name."""
    remedy: ClassVar[str]
    """The command that installs what is missing."""
    is_gpu: ClassVar[bool] = False
    """Whether ``auto`` takes it without timing it against the processor."""

    @abstractmethod
    def entries(self, source: ModelSource) -> list[ProviderEntry]:
        """ONNX Runtime's provider list, this one first, with options."""

    def is_available(self, installed: Sequence[str]) -> bool:
        """Whether the ONNX Runtime that is installed, with these providers, has it."""
        return self.ort_name in installed

    def ready_for_auto(self, source: ModelSource) -> bool:  # noqa: ARG002
        """Whether ``auto`` may try it: nothing there may take minutes."""
        return True

    def problem(self) -> str | None:
        """Why it cannot work on this machine, as far as can be told before trying."""
        return None

    def explain(self, reason: str) -> str:
        """``reason``, from ONNX Runtime, in words that help."""
        return reason

    def open(self, ort: Any, source: ModelSource, options: Any) -> Runner:
        """A session on this provider; ``options`` are the caller's session options.

        Raises:
            RuntimeError: ONNX Runtime turned to another provider.
            Exception: of ONNX Runtime, one class for each status.
        """
        runner: Runner = self.open_session(ort, source, options, self.entries(source))
        return runner

    def graph(self, source: ModelSource) -> str | bytes:
        """What a session is opened with: the model in memory, or the file's path."""
        return str(source.path) if source.content is None else source.content

    def open_session(
        self, ort: Any, source: ModelSource, options: Any, entries: list[ProviderEntry]
    ) -> Any:
        """An ONNX Runtime session that really is on this provider."""
        session = ort.InferenceSession(self.graph(source), options, providers=entries)
        session.disable_fallback()
        running = session.get_providers()
        if not running or running[0] != self.ort_name:
            raise RuntimeError(
                self.problem() or "its libraries did not load, ONNX Runtime left it out"
            )
        return session
