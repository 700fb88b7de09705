"""Each example runs as its first lines say, on the bundled clip, and is short enough to be read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MOST_LINES = 40

pytestmark = pytest.mark.timeout(330)  # imports alone take minutes on a machine that is busy


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the bundled clip: enough for every example, at the clip's own rate."""
    import av

    from rtrecon.capture.sources import DEMO_CLIP

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(DEMO_CLIP)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None or float(packet.pts * packet.time_base) > 2.0:
                break
            packet.stream = stream
            target.mux(packet)
    return path


def run(name: str, folder: Path, *arguments: object, needs: str = "") -> str:
    """What ``examples/NAME`` prints; skips without the package that it is about."""
    if needs and find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed: pip install '.[examples]'")
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_camera_loop(clip: Path, tmp_path: Path) -> None:
    lines = run("camera_loop.py", tmp_path, clip).splitlines()
    assert len(lines) > 40
    assert all("face 0" in line and " m  jaw 0." in line for line in lines)


def test_callback(clip: Path, tmp_path: Path) -> None:
    lines = run("callback.py", tmp_path, clip).splitlines()
    assert "ms old" in lines[0]
    assert "frames a second" in lines[-1]
    assert len(lines) > 5


def test_several_outputs(clip: Path, tmp_path: Path) -> None:
    printed = run("several_outputs.py", tmp_path, clip)
    for name in ("record", "csv", "vmc"):
        assert f"{name}: " in printed
    assert (tmp_path / "recording" / "preview.mp4").stat().st_size > 10_000
    assert len((tmp_path / "coefficients.csv").read_text(encoding="utf-8").splitlines()) > 5


def test_picture_to_glb(repository: Path, tmp_path: Path) -> None:
    picture = repository / "tests" / "data" / "faces" / "portrait.jpg"
    assert " triangles, " in run("picture_to_glb.py", tmp_path, picture)
    for name in ("face.glb", "head.glb"):
        assert (tmp_path / name).read_bytes()[:4] == b"glTF"


def test_rerun(clip: Path, tmp_path: Path) -> None:
    run("rerun_log.py", tmp_path, clip, "face.rrd", needs="rerun")
    assert (tmp_path / "face.rrd").read_bytes()[:3] == b"RRF"


def test_viser(clip: Path, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    printed = run("viser_scene.py", tmp_path, clip, port, needs="viser")
    assert str(port) in printed


def test_osc(clip: Path, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    printed = run("osc_receiver.py", tmp_path, clip, port, needs="pythonosc")
    assert "/rtrecon/jawOpen 0." in printed
    assert "/rtrecon/head/rotation" in printed


def test_custom_output(clip: Path, tmp_path: Path) -> None:
    run("custom_output.py", tmp_path, "demo")
    rows = [row.split() for row in (tmp_path / "smiles.txt").read_text("utf-8").splitlines()]
    assert rows
    assert [what for _, what in rows] == [("begins", "ends")[k % 2] for k in range(len(rows))]


def test_custom_output_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of pyproject.toml that it shows are those that make it an output by name."""
    text = (EXAMPLES / "custom_output.py").read_text(encoding="utf-8")
    group, entry = text.split('[project.entry-points."')[1].split("\n\n")[0].split('"]\n')
    name, _, value = entry.strip().replace('"', "").partition(" = ")
    module, _, attribute = value.partition(":")
    package = text.partition("\nwith rtrecon.live")[0]
    (tmp_path / f"{module}.py").write_text(package, encoding="utf-8")
    facts = tmp_path / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{attribute}\n")
    command = "-m rtrecon run demo --every-frame --max-frames 3 --view none --quiet --out"
    done = subprocess.run(
        [sys.executable, *command.split(), f"{name}:log.txt?least=0.3"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), str(tmp_path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log.txt").exists()


def test_torch_dataset(clip: Path, tmp_path: Path) -> None:
    lines = run("torch_dataset.py", tmp_path, clip, needs="torch").splitlines()
    assert len(lines) > 4
    assert lines[0] == (
        "{'rgb': (8, 3, 192, 192), 'depth_m': (8, 192, 192), 'T_camera_face': (8, 4, 4), "
        "'expression': (8, 51)}"
    )


@pytest.mark.slow
def test_ray(clip: Path, tmp_path: Path) -> None:
    lines = run("ray_actors.py", tmp_path, clip, "demo", needs="ray").splitlines()
    assert sorted(line.partition(": ")[0] for line in lines) == sorted([str(clip), "demo"])
    assert all(" m away on average" in line for line in lines)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_short_and_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MOST_LINES
    head = text.split('"""')[1]
    assert "Install:" in head
    assert "pip install 'rtrecon[" in head
    assert "Run:" in head
    assert f"python {path.name}" in head
    assert f"({path.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
