#!/usr/bin/env python3
"""Make wheel and sdist, look into them, and run the demo on the wheel in a new environment."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 60_000_000
NOT_IN_WHEEL = ("tests/", "docs/", "tools/", "benchmarks/", "examples/")
ONLY_TRAINING = "models/face-dpt/weights.safetensors"
IN_SDIST = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "mkdocs.yml",
    "scripts/test.sh",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="take build tools and dependencies from this environment instead of the index",
    )
    arguments = parser.parse_args()
    out: Path = arguments.out
    if out.exists():
        shutil.rmtree(out)
    isolation = ["--no-isolation"] if arguments.offline else []
    run(sys.executable, "-m", "build", *isolation, "--outdir", out, ROOT)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check_wheel(wheel)
    check_sdist(sdist)
    with tempfile.TemporaryDirectory() as folder:
        try_wheel(wheel, Path(folder), arguments.offline)
    for path in (wheel, sdist):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, as it should be")


def run(*command: object, cwd: Path | None = None) -> None:
    """Or end with the command's own words."""
    # What is on PYTHONPATH would come before the wheel.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def check_wheel(wheel: Path) -> None:
    """All of the package, each model whole and with its licence, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        manifests = [name for name in names if name.endswith("/model.json")]
        wanted = {name.rpartition("/")[0] + "/LICENSE" for name in manifests}
        for name in manifests:
            files = json.loads(archive.read(name)).get("files", {})
            for key, facts in files.items():
                wanted.add(f"{name.rpartition('/')[0]}/{facts.get('file', key)}")
    package = ROOT / "rtrecon"
    wanted |= {
        str(path.relative_to(ROOT).as_posix())
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if len(manifests) < 3 or wanted - names:
        sys.exit(f"{wheel}: {sorted(wanted - names)} are not in it")
    extra = [n for n in names if n.startswith(NOT_IN_WHEEL) or n.endswith(ONLY_TRAINING)]
    if extra:
        sys.exit(f"{wheel}: {extra} do not belong into it")
    if wheel.stat().st_size > MOST_BYTES:
        sys.exit(f"{wheel}: {wheel.stat().st_size} bytes are more than {MOST_BYTES}")


def check_sdist(sdist: Path) -> None:
    """What the wheel and the tests are made from."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {*IN_SDIST, ONLY_TRAINING, "tests/conftest.py"}
    if wanted - names:
        sys.exit(f"{sdist}: {sorted(wanted - names)} are not in it")


def try_wheel(wheel: Path, folder: Path, offline: bool) -> None:
    """Install it where nothing of it is, and run the demo and the check of the models."""
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if offline:
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
        borrowed = json.dumps([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        code = "import sysconfig, pathlib; pathlib.Path(sysconfig.get_path('purelib'), 'z.pth')"
        code += f".write_text('\\n'.join({borrowed}))"
        run(python, "-c", code)
    else:
        run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cpu]")
    code = "import rtrecon, sys; sys.exit(not rtrecon.__file__.startswith(sys.prefix))"
    run(python, "-P", "-c", code, cwd=folder)
    rtrecon = python.parent / "rtrecon"
    options = "--view none --every-frame --max-frames 20 --record rec --stats stats.json --quiet"
    run(rtrecon, "run", "demo", *options.split(), cwd=folder)
    stats = json.loads((folder / "stats.json").read_text(encoding="utf-8"))
    if stats["frames_with_face"] < 19 or not (folder / "rec" / "preview.mp4").is_file():
        sys.exit(f"{wheel}: the demo did not see the face: {stats}")
    run(rtrecon, "models", "verify", cwd=folder)


if __name__ == "__main__":
    main()
