"""Ray that does not start, is not there, or that the caller has started: without starting it."""

from __future__ import annotations

import os
import signal
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from rtrecon.archive.ray_session import RaySession, import_ray
from rtrecon.errors import MissingExtraError, RtreconError, UserError


class FakeRay(types.ModuleType):
    """What a session asks of Ray; ``init`` raises ``error``."""

    __version__ = "9.9"

    def __init__(self, error: BaseException | None = None, *, running: bool = False) -> None:
        super().__init__("ray")
        self.error, self.running = error, running
        self.asked: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.shutdowns = 0

    def is_initialized(self) -> bool:
        return self.running

    def init(self, **asked: Any) -> None:
        self.asked, self.environment = asked, dict(os.environ)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray's is set
        if self.error is not None:
            raise self.error

    def shutdown(self) -> None:
        self.shutdowns += 1


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts a module in place of Ray, that is imported when it is asked for."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def put(module: FakeRay) -> FakeRay:
        monkeypatch.delitem(sys.modules, "ray", raising=False)

        def imported() -> FakeRay:
            return module

        monkeypatch.setattr("rtrecon.archive.ray_session.import_ray", imported)
        return module

    return put


def test_a_local_one_has_a_token_of_its_own_and_leaves_nothing(install: Any) -> None:
    ray = install(FakeRay())
    handler = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        mine = signal.getsignal(signal.SIGTERM)
        session = RaySession(3)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, handler)
    folder = ray.asked["_temp_dir"]
    assert ray.asked["address"] == "local"
    assert ray.asked["num_cpus"] == 3
    assert ray.asked["include_dashboard"] is False
    assert os.path.isdir(folder)  # noqa: PTH112
    assert len(folder) < 60
    assert ray.environment["RAY_AUTH_MODE"] == "token"
    assert len(ray.environment["RAY_AUTH_TOKEN"]) == 64
    assert ray.environment["RAY_USAGE_STATS_ENABLED"] == "0"
    session.close()
    assert ray.shutdowns == 1
    assert not os.path.exists(folder)  # noqa: PTH110
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_one_that_does_not_start_says_what_does_without(install: Any) -> None:
    ray = install(FakeRay(Exception("The current node timed out during startup.\nmore")))
    with pytest.raises(RtreconError, match=r"timed out.*--workers 1 does without Ray") as error:
        RaySession(2)
    assert error.value.exit_code == 1
    assert not os.path.exists(ray.asked["_temp_dir"])  # noqa: PTH110
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_the_callers_own_stays(install: Any) -> None:
    ray = install(FakeRay(running=True))
    session = RaySession()
    session.close()
    assert ray.asked == {}
    assert ray.shutdowns == 0
    assert not session.is_local


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.1"),
            "another vers",
        ),
        (SystemExit(15), "there is no Ray cluster at auto"),
        (ConnectionError("Could not find any running Ray instance."), "cannot work on the Ray"),
    ],
)
def test_a_cluster_that_cannot_be_used(install: Any, error: BaseException, message: str) -> None:
    install(FakeRay(error))
    with pytest.raises(UserError, match=message) as raised:
        RaySession(address="auto")
    assert raised.value.exit_code == 2


def test_usage_is_reported_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="cluster"):
        import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
