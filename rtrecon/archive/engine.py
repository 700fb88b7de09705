"""Where tasks are done: in this process, or by Ray on this machine's cores or a cluster's.

Ray schedules: each task takes a core, a worker keeps its `Reconstructor` for the next one, and a
task whose worker or node dies is done again on another (docs/decisions/archive.md).
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from rtrecon.archive.work import Outcome, Task, do_task
from rtrecon.errors import MissingExtraError, RtreconError, UserError

__all__ = ["Engine", "HereEngine", "RayEngine", "import_ray"]

logger = logging.getLogger(__name__)

_MOST_RETRIES = 3  # after workers or nodes that died
_POLL_S = 0.5  # how soon a Ctrl-C is noticed
_ANSWER_S = 5.0  # that a cluster has to answer
_STORE_BYTES = 100 << 20  # results are files: little goes through Ray's memory
_LONGEST_TMP = 40  # Ray's sockets lie below it, and their paths have 107 bytes at most


class Engine(Protocol):
    """Does tasks, several at once."""

    @property
    def capacity(self) -> int:
        """How many tasks it takes at once: those that it does, and some that wait."""

    def submit(self, task: Task) -> None:
        """Begin a task, or have it wait for a worker."""

    def next_done(self) -> tuple[Task, Outcome]:
        """The next one that is done, whichever was begun first."""

    def close(self) -> None:
        """End; what is being done is lost."""


class HereEngine:
    """Does one task after the other in this process."""

    capacity = 1

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """See `Engine`."""
        self._waiting.append(task)

    def next_done(self) -> tuple[Task, Outcome]:
        """See `Engine`."""
        task = self._waiting.popleft()
        return task, do_task(task)

    def close(self) -> None:
        """See `Engine`."""
        self._waiting.clear()


class RayEngine:
    """Does tasks by Ray, one a core.

    Args:
        workers: tasks at once; None: all cores of this machine, or of the cluster.
        address: of a cluster, HOST:PORT or ``auto``; None: this machine alone, for as long as
            this lives.
        gpu_share: of a card, for each task.

    Raises:
        MissingExtraError: Ray is not installed.
        UserError: there is no cluster at ``address``, or it is of another version.
    """

    def __init__(
        self, workers: int | None = None, address: str | None = None, gpu_share: float = 0.0
    ) -> None:
        self._environment: list[str] = []
        if address is None:
            self._keep_others_out()
        self._ray = import_ray()
        self._workers = workers
        self._temporary: Path | None = None
        self._is_ours = not self._ray.is_initialized()
        self._running: dict[Any, Task] = {}
        try:
            if self._is_ours:
                with _signals_kept():
                    self._start(address)
            self._do: Any = self._ray.remote(do_task).options(
                num_cpus=1, num_gpus=gpu_share, max_retries=_MOST_RETRIES, retry_exceptions=False
            )
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """See `Engine`. A few wait, so that no core does; those of a cluster may become more."""
        if self._workers is not None:
            return self._workers if self._temporary is None else self._workers + 2
        return int(self._ray.cluster_resources().get("CPU", 1)) + 2

    def submit(self, task: Task) -> None:
        """See `Engine`."""
        self._running[self._do.remote(task)] = task

    def next_done(self) -> tuple[Task, Outcome]:
        """See `Engine`.

        Raises:
            RtreconError: the cluster was lost.
        """
        done: list[Any] = []
        while not done:
            try:
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_POLL_S)
            except self._ray.exceptions.RaySystemError as error:
                raise RtreconError(f"the Ray cluster was lost: {_first_line(error)}") from error
        task = self._running.pop(done[0])
        try:
            outcome = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:
            return task, _failure_of_worker(task, error)
        except self._ray.exceptions.RayError as error:
            what = task.input.path if task.input is not None else "the first task"
            return task, Outcome(
                error=f"{what}: its worker died {_MOST_RETRIES + 1} times "
                f"({type(error).__name__}: {_first_line(error)})"
            )
        return task, outcome

    def close(self) -> None:
        """See `Engine`."""
        self._running.clear()
        if self._is_ours:
            with _signals_kept():
                self._ray.shutdown()
        for name in self._environment:
            os.environ.pop(name, None)
        self._environment.clear()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _start(self, address: str | None) -> None:
        quiet = {"configure_logging": False, "logging_level": logging.ERROR, "log_to_driver": False}
        if address is not None:
            _check_answers(address)
            self._connect(address, quiet)
            return
        self._temporary = Path(tempfile.mkdtemp(prefix="rtrecon-", dir=_short_folder()))
        try:
            self._ray.init(
                address="local",
                num_cpus=self._workers,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=str(self._temporary),
                **quiet,
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise RtreconError(
                f"Ray does not start here ({_first_line(error)}): --workers 1 does without it"
            ) from error

    def _connect(self, address: str, quiet: dict[str, Any]) -> None:
        try:
            self._ray.init(address=address, **quiet)
        except SystemExit as error:
            raise UserError(
                f"there is no Ray cluster at {address}: is it up (`ray status`)?"
            ) from error
        except Exception as error:
            text = _first_line(error)
            if "ersion mismatch" in str(error):
                raise UserError(
                    f"the Ray cluster at {address} is of another version than what is here, Ray "
                    f"{self._ray.__version__}: install the same Ray and Python on both "
                    f"({' '.join(str(error).split())[:300]})"
                ) from error
            raise UserError(
                f"cannot work on the Ray cluster at {address}: {text} (`ray status` says what is "
                "up; --address is HOST:PORT, or auto on a node of it)"
            ) from error

    def _keep_others_out(self) -> None:
        """Ray's processes listen, for each other: what has not this run's token is refused.

        Ray looks at it when it is imported; else it would make one for good in the user's home.
        """
        if "ray" in sys.modules or "RAY_AUTH_MODE" in os.environ:
            return
        for name, value in (("RAY_AUTH_MODE", "token"), ("RAY_AUTH_TOKEN", secrets.token_hex(32))):
            if name not in os.environ:
                os.environ[name] = value
                self._environment.append(name)


def import_ray() -> Any:
    """The module ``ray``, which reports to nobody.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray sets it to nothing where a task asks for no card, and says that it will not any more.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtraError("Ray", "cluster") from error
    return ray


def _check_answers(address: str) -> None:
    """Ray itself tries for two minutes and then ends the process."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"--address is HOST:PORT of a Ray cluster, or auto, not {address!r}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S):
            return
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address} ({error.strerror or error}): is it up (`ray "
            "start --head` on its first node), the port right (6379), and not behind a firewall?"
        ) from error


def _failure_of_worker(task: Task, error: Any) -> Outcome:
    """What Ray says where our own code was not reached."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, ImportError) or "ModuleNotFoundError" in str(error):
        return Outcome(
            error="a node of the cluster cannot load rtrecon "
            f"({_last_line(error)}): install 'rtrecon[cpu,cluster]', the same version, on all",
            exit_code=2,
            is_fatal=True,
        )
    what = task.input.path if task.input is not None else "a worker"
    return Outcome(error=f"{what} failed: {_last_line(error)}")


def _short_folder() -> str | None:
    """Where sockets can lie: the system's temporary folder, unless its name is too long."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(usual) > _LONGEST_TMP and os.access("/tmp", os.W_OK) else usual


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself."""
    numbers = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # one that was not set by Python
                signal.signal(number, handler)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1][:300] if lines else type(error).__name__
