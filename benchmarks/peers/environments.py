"""The peers' own virtual environments, made when they are missing.

Neither peer can live beside rtrecon: mediapipe 0.10.21 wants numpy 1, protobuf 4 and Python
3.12 at most, facenet-pytorch 2.5.3 forbids the torch that it runs on very well. Both are
installed without what they ask for, then with the parts that are really used.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FACENET", "MEDIAPIPE", "Environment", "python_of"]

_TORCH_CPU = "https://download.pytorch.org/whl/cpu"  # the usual wheels for Linux bring CUDA along


@dataclass(frozen=True)
class Environment:
    """What to install, as lists of pip's arguments, and the Python that it needs.

    ``by_hand`` is what to make where the installation fails.
    """

    name: str
    module: str
    newest_python: tuple[int, int]
    installs: tuple[tuple[str, ...], ...]
    by_hand: str


MEDIAPIPE = Environment(
    "mediapipe",
    "mediapipe",
    (3, 12),
    (
        ("--no-deps", "mediapipe==0.10.21"),
        (
            "absl-py",
            "attrs",
            "flatbuffers",
            "matplotlib",
            "numpy<2",
            "protobuf>=4.25.3,<5",
            "opencv-contrib-python-headless<4.12",
        ),
    ),
    "an environment with mediapipe 0.10.21",
)
FACENET = Environment(
    "facenet",
    "facenet_pytorch",
    (3, 13),
    (
        ("--no-deps", "facenet-pytorch==2.5.3"),
        # This index alone: pip would go on without one that it cannot reach, and take gigabytes.
        ("--index-url", _TORCH_CPU, "torch", "torchvision"),
        ("numpy", "pillow", "requests"),
    ),
    "an environment with torch and torchvision from wherever you can have them, numpy, pillow, "
    "requests, and facenet-pytorch 2.5.3 installed with --no-deps",
)


def python_of(environment: Environment, folder: Path, given: Path | None = None) -> Path:
    """The Python of ``environment``: ``given``, or one in ``folder``, installed if missing.

    Raises:
        SystemExit: there is no fitting Python, pip failed, or ``given`` lacks the package.
    """
    if given is not None:
        if not _imports(given, environment.module):
            raise SystemExit(f"{given} cannot import {environment.module}")
        return given
    home = folder / environment.name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = home / "installed.json"
    wanted = json.dumps(environment.installs)
    if python.exists() and done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    base = _base_python(environment)
    print(f"making {home} with {base}; some minutes", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    _must([base, "-m", "venv", str(home)], f"cannot make {home}")
    for arguments in environment.installs:
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _must(
            [*pip, *arguments],
            f"cannot install {environment.name}, pip has said why above. If its index cannot be "
            f"reached from here, make {environment.by_hand}, then give "
            f"--{environment.name}-python PATH",
        )
    if not _imports(python, environment.module):
        raise SystemExit(f"{environment.module} was installed in {home} but cannot be imported")
    done.write_text(wanted, encoding="utf-8")
    return python


def _base_python(environment: Environment) -> str:
    """This Python, or an older one from the path."""
    newest = environment.newest_python
    if sys.version_info[:2] <= newest:
        return sys.executable
    for minor in range(newest[1], 9, -1):
        found = shutil.which(f"python3.{minor}")
        # A shim of pyenv is there for every version and runs for few.
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    raise SystemExit(
        f"{environment.name} needs Python 3.{newest[1]} or older, and none is on the path: "
        f"make {environment.by_hand}, then give --{environment.name}-python PATH"
    )


def _imports(python: Path, module: str) -> bool:
    try:
        done = subprocess.run([str(python), "-I", "-c", f"import {module}"], capture_output=True)
    except OSError as error:
        raise SystemExit(f"{python}: {error.strerror}") from error
    return done.returncode == 0


def _must(command: list[str], remedy: str) -> None:
    if subprocess.run(command).returncode != 0:
        raise SystemExit(f"{remedy} ({' '.join(command)})")
