"""Ray for as long as it is needed: started here on a few cores, or a cluster that is up."""

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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rtrecon.errors import MissingExtraError, RtreconError, UserError

__all__ = ["RaySession", "first_line", "import_ray", "last_line"]

logger = logging.getLogger(__name__)

_ANSWER_S = 5.0  # that a cluster has to answer
_STORE_BYTES = 100 << 20  # results are files: little goes through Ray's memory
_LONGEST_TMP = 40  # Ray's sockets lie below it, and their paths have 107 bytes at most


class RaySession:
    """Ray, from here on until `close`. One that the caller has started stays as it is.

    Args:
        cores: of this machine; None: all of them.
        address: of a cluster, HOST:PORT or ``auto``; None: this machine alone.

    Attributes:
        ray: the module.
        is_local: it was started here, and ends with this.

    Raises:
        MissingExtraError: Ray is not installed.
        UserError: there is no cluster at ``address``, or it is of another version.
        RtreconError: it does not start.
    """

    def __init__(self, cores: int | None = None, address: str | None = None) -> None:
        self._environment: list[str] = []
        if address is None:
            self._keep_others_out()
        self.ray = import_ray()
        self._temporary: Path | None = None
        self._is_ours = not self.ray.is_initialized()
        self.is_local = self._is_ours and address is None
        try:
            if self._is_ours:
                with _signals_kept():
                    self._start(cores, address)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, or leave the cluster; what is being done is lost."""
        if self._is_ours:
            with _signals_kept():
                self.ray.shutdown()
        for name in self._environment:
            os.environ.pop(name, None)
        self._environment.clear()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _start(self, cores: int | None, address: str | None) -> None:
        quiet = {"configure_logging": False, "logging_level": logging.ERROR, "log_to_driver": False}
        if address is not None:
            _check_answers(address)
            self._connect(address, quiet)
            return
        self._temporary = Path(tempfile.mkdtemp(prefix="rtrecon-", dir=_short_folder()))
        try:
            self.ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=str(self._temporary),
                **quiet,
            )
        except Exception as error:  # Ray raises plain ones
            raise RtreconError(
                f"Ray does not start here ({first_line(error)}): is the machine very busy, or out "
                "of memory? --workers 1 does without Ray"
            ) from error

    def _connect(self, address: str, quiet: dict[str, Any]) -> None:
        try:
            self.ray.init(address=address, **quiet)
        except SystemExit as error:
            raise UserError(
                f"there is no Ray cluster at {address}: is it up (`ray status`)?"
            ) from error
        except Exception as error:
            text = first_line(error)
            if "ersion mismatch" in str(error):
                raise UserError(
                    f"the Ray cluster at {address} is of another version than what is here, Ray "
                    f"{self.ray.__version__}: install the same Ray and Python on both "
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


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def last_line(error: BaseException) -> str:
    """The end of what an error says, where Ray has what was raised on a worker."""
    lines = str(error).strip().splitlines()
    return lines[-1][:300] if lines else type(error).__name__
