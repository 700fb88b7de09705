"""On Ray: two nodes of a real cluster on this machine, of which one is killed in the middle."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrecon.archive.cameras import Cameras
from rtrecon.archive.engine import HereEngine, RayEngine
from rtrecon.archive.inputs import find_inputs
from rtrecon.archive.job import ArchiveJob, Tally
from rtrecon.archive.units import Options
from rtrecon.errors import UserError
from rtrecon.pipeline import ReconstructorConfig

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # of this test's cluster; ours makes a token
ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")
cluster_utils = pytest.importorskip("ray.cluster_utils")

Cli = Callable[..., tuple[int, str, str]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    # Ray's own, of its sockets and processes.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

OPTIONS = Options(segment_s=0.5, warm_up_s=0.2, provider="cpu")
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
TABLES = ("frames.parquet", "faces.parquet", "video.json", "index.html")


def started(start: Callable[[], Any]) -> Any:
    """Ray gives a node half a minute to start, whatever else the machine does."""
    try:
        return start()
    except Exception as error:
        if "timed out during startup" not in str(error):
            raise
    return pytest.skip("this machine is too busy for Ray to start")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node with one core; another one comes, and dies."""
    made = started(lambda: cluster_utils.Cluster(initialize_head=True, head_node_args=dict(NODE)))
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def films(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, and one that is corrupt between them."""
    folder = tmp_path_factory.mktemp("films")
    shutil.copy(clip, folder / "a.mp4")
    (folder / "b.mp4").write_bytes(clip.read_bytes()[:5000])
    shutil.copy(clip, folder / "c.mp4")
    return folder


@pytest.fixture(scope="module")
def alone(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process gives."""
    out = tmp_path_factory.mktemp("alone")
    job(films, out).run(HereEngine())
    return out


def job(films: Path, out: Path) -> ArchiveJob:
    inputs, _ = find_inputs([str(films)])
    return ArchiveJob(inputs, OPTIONS, out)


def assert_same(out: Path, alone: Path) -> None:
    for name in ("a.mp4", "c.mp4"):
        for table in TABLES:
            assert (out / name / table).read_bytes() == (alone / name / table).read_bytes()
    assert (out / "archive.json").read_bytes() == (alone / "archive.json").read_bytes()


def test_a_node_is_killed_in_the_middle(
    cluster: Any, films: Path, alone: Path, tmp_path: Path
) -> None:
    doomed = started(lambda: cluster.add_node(**NODE))
    cluster.wait_for_nodes()
    engine = RayEngine(address=cluster.address)
    killed = threading.Event()

    def watch(tally: Tally) -> None:
        if tally.pieces_done >= 3 and not killed.is_set():  # the corrupt one, and two
            killed.set()
            cluster.remove_node(doomed, allow_graceful=False)

    try:
        tally = job(films, tmp_path).run(engine, watch)
    finally:
        engine.close()
    assert killed.is_set()
    assert (tally.done, list(tally.failed)) == (2, [str(films / "b.mp4")])
    assert_same(tmp_path, alone)
    assert not list((tmp_path / ".work").rglob("*.parquet"))


def test_the_driver_is_killed_and_a_second_start_does_what_is_missing(
    cluster: Any, films: Path, alone: Path, tmp_path: Path
) -> None:
    class Death(BaseException):
        pass

    def die(tally: Tally) -> None:
        if tally.pieces_done >= 3:
            raise Death

    engine = RayEngine(workers=1, address=cluster.address)
    try:
        with pytest.raises(Death):
            job(films, tmp_path).run(engine, die)
    finally:
        engine.close()
    kept = len(list((tmp_path / ".work").glob("*/pieces/0*"))) + 3 * (tmp_path / "a.mp4").is_dir()
    assert kept >= 2
    engine = RayEngine(workers=2, address=cluster.address)
    begun: list[str] = []
    submit = engine.submit
    engine.submit = lambda task: (begun.append(task.kind), submit(task))[1]  # type: ignore
    try:
        tally = job(films, tmp_path).run(engine)
    finally:
        engine.close()
    assert begun.count("make") <= 6 - kept
    assert len(tally.failed) == 1
    assert_same(tmp_path, alone)


def test_the_command_on_two_cores_of_its_own(
    run_cli: Cli, films: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    asked = ("--segment-s", 0.5, "--warm-up-s", 0.2, "--provider", "cpu", "--workers", 2)
    code, _, errors = run_cli("archive", films, "--out", tmp_path / "out", *asked)
    if "Ray does not start here" in errors:
        pytest.skip("this machine is too busy for Ray to start")
    assert code == 1
    assert errors.count("b.mp4 is not a video that can be read") == 1
    assert "2 inputs done, 0 there before, 1 failed" in errors
    assert_same(tmp_path / "out", alone)
    assert list((tmp_path / "home").iterdir()) == []


def test_cameras_each_with_its_ring_and_one_depth_model(cluster: Any, clip: Path) -> None:
    other = clip.with_name("other.mp4")
    shutil.copy(clip, other)
    sources = [str(clip), str(other), str(clip.with_name("none.mp4"))]
    config = ReconstructorConfig(provider="cpu")
    with Cameras(
        sources, config, address=cluster.address, loop=True, cores_each=0.2, shared_depth=True
    ) as cameras:
        seen: dict[str, set[int]] = {name: set() for name in sources[:2]}
        while min(map(len, seen.values())) < 2:
            for name, result in cameras.newest().items():
                if result.faces:
                    seen[name].add(result.frame)
                    assert result.faces[0].expression is not None
                    assert result.state == "running"
        assert list(cameras.errors) == [sources[2]]
        assert "none.mp4" in cameras.errors[sources[2]]


def test_a_cluster_that_is_not_there(films: Path, run_cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address, message in (
        (f"127.0.0.1:{port}", "no Ray cluster answers at"),
        ("nonsense", "HOST:PORT of a Ray cluster"),
        ("a:b", "HOST:PORT of a Ray cluster"),
    ):
        code, _, errors = run_cli("archive", films, "--out", tmp_path, "--address", address)
        assert code == 2
        assert message in errors


def test_a_cluster_of_another_version(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.__version__", "1.0.0")
    with pytest.raises(UserError, match=r"is of another version than what is here, Ray 1\.0\.0"):
        RayEngine(address=cluster.address)
    assert not ray.is_initialized()
