"""Each command in a process of its own: no file but ours, no look-up, no listening socket."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from rtrecon.cli import COMMANDS
from rtrecon.depth.store import find_model
from rtrecon.errors import ModelError
from rtrecon.telemetry import OPT_OUTS

Cli = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="HOME and TMPDIR of POSIX")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


class Sandbox(NamedTuple):
    """Empty folders that a child takes for the user's home, its temporary and current folder."""

    home: Path
    temporary: Path
    current: Path
    notes: Path

    def run(
        self, *arguments: object, before: tuple[str, ...] = (), **more: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join([str(HERE / "sitecustomize"), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "RTRECON_TEST_NOTES": str(self.notes),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            **more,
        }
        return subprocess.run(
            [*before, sys.executable, *map(str, arguments)],
            cwd=self.current,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=350,
        )

    def left(self) -> list[str]:
        folders = (self.home, self.temporary, self.current)
        return sorted(str(p) for folder in folders for p in folder.rglob("*"))

    def noted(self) -> list[str]:
        lines = self.notes.read_text(encoding="utf-8").splitlines()
        assert lines[0].endswith("started")  # else nobody watched
        return [line for line in lines if not line.endswith("started")]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    folders = [tmp_path / name for name in ("home", "temporary", "current")]
    for folder in folders:
        folder.mkdir()
    return Sandbox(*folders, notes=tmp_path / "notes.txt")


RUNS: dict[str, tuple[object, ...]] = {
    "run": ("demo", "--view", "none", "--max-frames", 3, "--every-frame"),
    "serve": ("--help",),  # what listens, and where: tests/outputs/web
    "image": (ROOT / "tests" / "data" / "faces", "--formats", "none", "--faces", 1),
    "eval": (ROOT / "tests" / "data" / "head-clip", "--max-frames", 1),
    "bench": ("demo", "--seconds", 0.05, "--repeat", 1),
    "models": ("list",),
    "models verify": ("verify",),
    "outputs": (),
    "calibrate": ("--list",),
    "calibrate-camera": ("--list",),
    "completion": ("bash",),
    "doctor": (),
    # With more it starts Ray, whose processes listen for each other: see tests/archive.
    "archive": (ROOT / "tests" / "data" / "faces", "--out", "archive", "--workers", 1),
    "avatar": (ROOT / "tests" / "data" / "head-moves" / "rest.jpg", "--out", "me.glb"),
    "take": ("",),  # of one that is made first
}


def test_no_command_is_left_out() -> None:
    sends = {"avatar-check"}  # to the addresses that it is given, and does nothing else
    assert {name.split()[0] for name in RUNS} == set(COMMANDS) - sends


@pytest.mark.parametrize("name", RUNS)
def test_a_command_leaves_nothing_and_asks_nobody(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    arguments = RUNS[name]
    if name == "take":
        take = tmp_path / "take"
        run = sandbox.run("-P", "-m", "rtrecon", "run", *RUNS["run"], "--out", f"take:{take}")
        assert run.returncode == 0, run.stderr
        arguments = (take,)
    done = sandbox.run("-P", "-m", "rtrecon", name.split()[0], *arguments)
    assert done.returncode in (0, 1), done.stderr  # eval and doctor may have a finding
    assert "Traceback" not in done.stderr
    asked = {str(sandbox.current / word) for word in arguments if word in ("me.glb", "archive")}
    left = [path for path in sandbox.left() if "/current/archive/" not in path]
    assert set(left) == asked
    assert sandbox.noted() == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace to see what C libraries do")
def test_libraries_in_c_ask_nobody(sandbox: Sandbox, tmp_path: Path) -> None:
    """A patched resolver sees Python's sockets alone; ONNX Runtime's telemetry is C++."""
    trace = tmp_path / "trace.txt"
    watch = ("strace", "-f", "-qq", "-e", "trace=network", "-o", str(trace))
    if subprocess.run([*watch, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    done = sandbox.run("-P", "-m", "rtrecon", "run", *RUNS["run"], before=watch)
    assert done.returncode == 0, done.stderr
    assert sandbox.left() == []
    asked = [line for line in trace.read_text(encoding="utf-8").splitlines() if "AF_INET" in line]
    assert asked == []


def test_the_opt_outs_are_set_before_anything_is_imported(sandbox: Sandbox) -> None:
    program = (
        "import json, os, sys, rtrecon; "
        "print(json.dumps([dict(os.environ), 'onnxruntime' in sys.modules]))"
    )
    environment, loaded = json.loads(sandbox.run("-P", "-c", program).stdout)
    assert not loaded
    assert OPT_OUTS.items() <= environment.items()
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"


def test_what_the_user_has_set_stays(sandbox: Sandbox) -> None:
    program = "import os, rtrecon; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = sandbox.run("-P", "-c", program, ORT_DISABLE_TELEMETRY="0")
    assert done.stdout.strip() == "0"


def test_an_import_that_comes_too_late_is_said(sandbox: Sandbox) -> None:
    done = sandbox.run("-P", "-c", "import onnxruntime, rtrecon")
    assert "onnxruntime was imported before rtrecon" in done.stderr
    done = sandbox.run("-P", "-c", "import onnxruntime, rtrecon", ORT_DISABLE_TELEMETRY="1")
    assert done.stderr == ""


TRAP = "import pathlib; pathlib.Path(r'{folder}', 'sprung').touch()\nraise SystemExit('sprung')\n"


def test_bench_runs_nothing_that_lies_in_the_current_folder(sandbox: Sandbox) -> None:
    traps = [sandbox.current / f"{name}.py" for name in ("cv2", "json", "numpy", "rtrecon")]
    for trap in traps:
        trap.write_text(TRAP.format(folder=sandbox.home), encoding="utf-8")
    # As the console script does: the parent's path has no current folder, the child is on its own.
    program = "import sys; from rtrecon.cli import main; sys.exit(main(sys.argv[1:]))"
    done = sandbox.run("-P", "-c", program, "bench", *RUNS["bench"])
    assert done.returncode == 0, done.stderr
    assert sandbox.left() == [str(trap) for trap in traps]


def test_python_m_runs_nothing_that_lies_in_the_current_folder(sandbox: Sandbox) -> None:
    trap = sandbox.current / "tyro.py"
    trap.write_text(TRAP.format(folder=sandbox.home), encoding="utf-8")
    done = sandbox.run("-m", "rtrecon", "outputs")
    assert done.returncode == 0, done.stderr
    assert sandbox.left() == [str(trap)]


def test_a_folder_of_a_models_name_does_not_replace_it(
    dome_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dome_model, tmp_path / "face-dpt")
    shutil.copytree(dome_model, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_model("face-dpt").resolve() != tmp_path / "face-dpt"
    assert find_model("./face-dpt") == Path("face-dpt")
    assert find_model(Path("mine")) == Path("mine")
    with pytest.raises(ModelError, match=r"no depth model 'mine'.*give \./mine"):
        find_model("mine")
    with pytest.raises(ModelError, match="no depth model"):
        find_model("x" * 5000)


def test_a_users_own_model_of_a_shipped_name_is_said(
    dome_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own = tmp_path / "rtrecon" / "models" / "face-dpt"
    shutil.copytree(dome_model, own)
    monkeypatch.setattr("rtrecon.depth.store.user_models_folder", lambda: own.parent)
    monkeypatch.setattr("rtrecon.depth.store._said", set())
    with caplog.at_level(logging.INFO, "rtrecon"):
        assert find_model("face-dpt") == find_model("face-dpt") == own
    assert caplog.text.count("not the shipped one") == 1


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_export_of_a_local_checkpoint_asks_nobody(sandbox: Sandbox, tmp_path: Path) -> None:
    """transformers looks at its hub, and asks a service to convert weights, if it is let."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.models.checkpoints import save_checkpoint

    checkpoint = tmp_path / "tiny-dpt"
    checkpoint.mkdir()
    save_checkpoint("dpt", checkpoint)
    pictures = ROOT / "tests" / "data" / "faces" / "portrait.jpg"
    done = sandbox.run(
        "-P", "-m", "rtrecon", "models", "export", checkpoint,
        "--out", sandbox.current / "out", "--pictures", pictures, "--size", 70, 70,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sandbox.noted() == []
    out = sandbox.current / "out"
    cache = sandbox.home / ".cache"  # empty folders that torch makes, in ours and not in /tmp
    ours = [cache, cache / "rtrecon", cache / "rtrecon" / "torch"]
    files = [out, out / "fp32.onnx", out / "model.json"]
    assert set(sandbox.left()) - set(map(str, ours)) == set(map(str, files))


def test_figures_may_go_to_standard_output_or_a_pipe(sandbox: Sandbox) -> None:
    done = sandbox.run("-P", "-m", "rtrecon", "run", *RUNS["run"], "--stats", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames_processed"] == 3
    assert sandbox.left() == []
