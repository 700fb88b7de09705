"""Closed streams, full disks behind them, no home, other locales, names that are not UTF-8."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rtrecon
from rtrecon.capture.sources import DEMO_CLIP
from rtrecon.depth import store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")

RUN = [sys.executable, "-m", "rtrecon", "run"]
FEW = ["--view", "none", "--max-frames", "3", "--every-frame", "--threads", "1"]


def call(
    command: list[str | bytes], env: dict[str, str | None] | None = None, shell: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run it; ``shell``: what a shell does to its streams, such as ``2>&-``."""
    if shell:
        command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
    changed = {k: v for k, v in {**os.environ, **(env or {})}.items() if v is not None}
    return subprocess.run(
        command, env=changed, capture_output=True, text=True, errors="replace", timeout=100,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_run_whose_streams_are_closed_does_its_work(
    closed: str, dome_model: Path, tmp_path: Path
) -> None:
    """And no file of it gets what libraries print on standard error."""
    take, stats = tmp_path / "take", tmp_path / "stats.json"
    done = call(
        [*RUN, "demo", *FEW, "--model", str(dome_model), "--record", str(take),
         "--stats", str(stats)],
        shell=closed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(stats.read_text(encoding="utf-8"))["frames_processed"] == 3
    rows = (take / "poses.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 3
    assert all(json.loads(row)["faces"] for row in rows)


def test_a_full_disk_behind_standard_output_is_said() -> None:
    done = call([sys.executable, "-m", "rtrecon", "outputs"], shell=">/dev/full")
    assert done.returncode != 0
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("home", ["/dev/null", "/nonexistent", "not absolute", ""])
def test_a_home_that_is_none(home: str, dome_model: Path) -> None:
    done = call([*RUN, "demo", *FEW, "--model", str(dome_model)], env={"HOME": home})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(store.platformdirs, "user_data_dir", none)
    assert "face-dpt" in store.list_models()
    with pytest.raises(rtrecon.ModelError, match="no depth model"):
        store.find_model("absent")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_home_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    monkeypatch.setattr(store, "user_models_folder", lambda: locked / "models")
    try:
        assert "face-dpt" in store.list_models()
    finally:
        locked.chmod(0o700)


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """German and Turkish, made here: few machines have them."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/tr_TR").exists():
        pytest.skip("localedef and its sources are needed: apt-get install locales")
    folder = tmp_path_factory.mktemp("locales")
    for name in ("de_DE", "tr_TR"):
        subprocess.run(
            ["localedef", "-i", name, "-f", "UTF-8", str(folder / f"{name}.UTF-8")],
            check=False,
            capture_output=True,
        )
        assert (folder / f"{name}.UTF-8").is_dir()
    return folder


# As a library does that sets all of the program's locale, so that 0,5 is a number for C.
SET = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")
assert locale.localeconv()["decimal_point"] == ",", locale.localeconv()
from rtrecon.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", ["de_DE.UTF-8", "tr_TR.UTF-8"])
def test_other_locales_write_the_same_numbers(
    name: str, locales: Path, dome_model: Path, tmp_path: Path
) -> None:
    env = {"LOCPATH": str(locales), "LC_ALL": name, "LANG": name, "PYTHONUTF8": "0"}
    take, stats = tmp_path / "take", tmp_path / "stats.json"
    done = call(
        [sys.executable, "-c", SET, "run", "demo", *FEW, "--model", str(dome_model),
         "--record", str(take), "--stats", str(stats), "--fov", "61.5"],
        env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(stats.read_text(encoding="utf-8"))["frames_with_face"] == 3
    for row in (take / "poses.jsonl").read_text(encoding="utf-8").splitlines():
        assert 0.2 < json.loads(row)["faces"][0]["z_ref_m"] < 2.0
    with rtrecon.open_source(take / "preview.mp4") as video:
        assert sum(1 for _ in video) == 3


def test_the_plainest_locale(dome_model: Path) -> None:
    env = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = call([*RUN, "demo", *FEW, "--model", str(dome_model)], env=env)
    assert done.returncode == 0, done.stderr
    done = call([*RUN, "dön-ő", *FEW, "--model", str(dome_model)], env=env)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has UTF-8 names alone")
def test_names_that_are_not_utf_8(dome_model: Path, tmp_path: Path) -> None:
    base = os.fsencode(tmp_path)
    film, take, stats = (base + b"/" + name for name in (b"f\xff.mp4", b"r\xfe", b"s\xfd.json"))
    shutil.copy(DEMO_CLIP, film)
    done = call([*RUN, film, *FEW, "--model", str(dome_model), "--record", take, "--stats", stats])
    assert done.returncode == 0, done.stderr
    with open(stats, encoding="utf-8") as file:  # noqa: PTH123
        assert json.load(file)["frames_processed"] == 3
    assert {b"poses.jsonl", b"preview.mp4"} <= set(os.listdir(take))  # noqa: PTH208
    absent = call([*RUN, base + b"/no\xff.mp4", *FEW, "--model", str(dome_model)])
    assert absent.returncode == 2
    assert "Traceback" not in absent.stderr
    doctored = call(
        [sys.executable, "-m", "rtrecon", "models", "list"],
        env={"HOME": os.fsdecode(base + b"/h\xfc")},
    )
    assert doctored.returncode == 0, doctored.stderr


# Makes every thread after the first few fail, as a container's limit does.
FEW_THREADS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
static int made = 0;
typedef int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    const char *most = getenv("MOST_THREADS");
    if (most && __sync_add_and_fetch(&made, 1) > atoi(most)) return EAGAIN;
    return ((create)dlsym(RTLD_NEXT, "pthread_create"))(t, a, f, x);
}
"""

PICTURES = """
import hashlib, sys
import rtrecon
try:
    with rtrecon.open_source(sys.argv[1]) as source:
        for frame, _ in zip(source, range(5)):
            print(hashlib.sha256(frame.image.tobytes()).hexdigest())
except rtrecon.RtreconError as error:
    print("error:", error)
"""


@pytest.fixture(scope="module")
def few_threads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a C compiler on Linux is needed")
    folder = tmp_path_factory.mktemp("threads")
    (folder / "few.c").write_text(FEW_THREADS)
    library = folder / "few.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, folder / "few.c", "-ldl"], check=True
    )
    return library


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_without_threads_there_is_an_error_or_the_picture_never_garbage(
    most: int, few_threads: Path
) -> None:
    with rtrecon.open_source("demo") as source:
        true = [
            hashlib.sha256(frame.image.tobytes()).hexdigest()
            for frame, _ in zip(source, range(5), strict=False)
        ]
    done = call(
        [sys.executable, "-c", PICTURES, "demo"],
        # What numpy's own library does without threads is to interrupt the program.
        env={
            "LD_PRELOAD": str(few_threads),
            "MOST_THREADS": str(most),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    pictures = [line for line in lines if not line.startswith("error")]
    assert set(pictures) <= set(true)
    assert len(pictures) == 5 or lines[-1].startswith("error")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("most", [2, 4, 6, 8])
def test_a_run_without_threads_ends_with_a_word(
    most: int, few_threads: Path, dome_model: Path, tmp_path: Path
) -> None:
    done = call(
        [*RUN, "demo", *FEW, "--model", str(dome_model), "--record", str(tmp_path / "take")],
        env={
            "LD_PRELOAD": str(few_threads),
            "MOST_THREADS": str(most),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    assert done.returncode in (0, 1, 2), done.stderr
    if done.returncode:
        assert "rtrecon: error:" in done.stderr
    assert "Traceback" not in done.stderr
