"""Where tasks are done: in this process, or by Ray on this machine's cores or a cluster's.

Ray schedules: each task takes a core, a worker keeps its `Reconstructor` for the next one, and a
task whose worker or node dies is done again on another (docs/decisions/archive.md).
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Protocol

from rtrecon.archive.ray_session import RaySession, first_line, last_line
from rtrecon.archive.work import Outcome, Task, do_task
from rtrecon.errors import RtreconError

__all__ = ["Engine", "HereEngine", "RayEngine"]

logger = logging.getLogger(__name__)

_MOST_RETRIES = 3  # after workers or nodes that died
_POLL_S = 0.5  # how soon a Ctrl-C is noticed


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
        self._session = RaySession(workers, address)
        self._ray, self._workers, self._gpu_share = self._session.ray, workers, gpu_share
        self._said_idle = False
        self._running: dict[Any, Task] = {}
        self._do: Any = self._ray.remote(do_task).options(
            num_cpus=1, num_gpus=gpu_share, max_retries=_MOST_RETRIES, retry_exceptions=False
        )

    @property
    def capacity(self) -> int:
        """See `Engine`. A few wait, so that no core does; those of a cluster may become more."""
        if self._workers is not None:
            return self._workers + 2 if self._session.is_local else self._workers
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
                self._say_if_idle()
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_POLL_S)
            except self._ray.exceptions.RaySystemError as error:
                raise RtreconError(f"the Ray cluster was lost: {first_line(error)}") from error
        task = self._running.pop(done[0])
        try:
            outcome = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:
            return task, _failure_of_worker(task, error)
        except self._ray.exceptions.RayError as error:
            what = task.input.path if task.input is not None else "the first task"
            return task, Outcome(
                error=f"{what}: its worker died {_MOST_RETRIES + 1} times "
                f"({type(error).__name__}: {first_line(error)})"
            )
        return task, outcome

    def close(self) -> None:
        """See `Engine`."""
        self._running.clear()
        self._session.close()

    def _say_if_idle(self) -> None:
        """Ray waits for ever for a core, or a card, that no node has."""
        have = self._ray.cluster_resources()
        lacking = [
            name
            for name, share in (("CPU", 1.0), ("GPU", self._gpu_share))
            if have.get(name, 0.0) < share
        ]
        if lacking and not self._said_idle:
            logger.warning("no node of Ray has a %s to give: waiting for one", lacking[0])
        self._said_idle = bool(lacking)


def _failure_of_worker(task: Task, error: Any) -> Outcome:
    """What Ray says where our own code was not reached."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, ImportError) or "ModuleNotFoundError" in str(error):
        return Outcome(
            error="a node of the cluster cannot load rtrecon "
            f"({last_line(error)}): install 'rtrecon[cpu,cluster]', the same version, on all",
            exit_code=2,
            is_fatal=True,
        )
    what = task.input.path if task.input is not None else "a worker"
    return Outcome(error=f"{what} failed: {last_line(error)}")
