"""The whole command, with real measured processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from rtrecon.bench.combination import Combination
from rtrecon.bench.machine import machine_line
from rtrecon.bench.pictures import load_footage, write_pictures
from rtrecon.bench.process import ChildError, MeasuredProcess
from rtrecon.bench.report import read_report
from rtrecon.capture.sources import DEMO_CLIP
from rtrecon.host import describe_machine, parse_gpu_memory

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pictures of the clip as a folder."""
    folder = tmp_path_factory.mktemp("clip")
    video = cv2.VideoCapture(str(DEMO_CLIP))
    for k in range(8):
        _, image = video.read()
        cv2.imwrite(str(folder / f"{k}.png"), image)
    video.release()
    return folder


@pytest.fixture(scope="module")
def pictures(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "one.npy"
    write_pictures(load_footage(str(clip)), (640, 480), 1, path)
    return path


def test_a_failing_row_among_good_ones(
    run_cli: Cli, clip: Path, dome_model: Path, tmp_path: Path
) -> None:
    code, out, err = run_cli(
        "bench", clip, "--models", dome_model, "no-such-model", "--faces", 1, 2,
        "--seconds", 0.2, "--repeat", 2, "--json", tmp_path / "b.json", "--csv", tmp_path / "b.csv",
        "--plot", tmp_path / "b.png", "--html", tmp_path / "b.html", "--trace", tmp_path / "t.json",
    )  # fmt: skip
    assert code == 1, err
    report = read_report(tmp_path / "b.json")
    good, bad = report.rows[:2], report.rows[2:]
    assert [row.asked.faces for row in good] == [1, 2]
    for row in good:
        assert row.error is None
        assert row.rounds == 2
        assert row.used.provider == "cpu"
        assert row.first_frame_s > 0
        assert row.peak_rss_mb > 10
        assert row.unpaced.faces_per_frame == row.asked.faces
        assert len(row.unpaced.round_fps) == 2
        assert row.paced.frames_captured == 12
        assert row.idle_cpu_s <= 0.05
    for row in bad:
        assert "no-such-model" in row.error
        assert row.unpaced is None
    assert report.interrupted is False
    assert "no-such-model" in out
    assert "round 2 of 2" in err
    assert cv2.imread(str(tmp_path / "b.png")) is not None
    assert (tmp_path / "b.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len((tmp_path / "b.csv").read_text(encoding="utf-8").splitlines()) == 5
    trace = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert len([e for e in trace["traceEvents"] if e.get("cat") == "frame" and e["ph"] == "X"]) >= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "b.csv", "b.html", "b.json", "b.png", "t.json",
    ]  # fmt: skip


def test_one_stage_and_the_comparison_with_itself(
    run_cli: Cli, clip: Path, dome_model: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    command = [
        "bench", clip, "--models", dome_model, "--stage", "geometry", "align",
        "--seconds", 0.1, "--repeat", 2,
    ]  # fmt: skip
    assert run_cli(*command, "--json", old)[0] == 0
    alone = read_report(old).rows[0].stages_alone
    assert alone is not None
    assert set(alone) == {"geometry", "align"}
    assert alone["geometry"] is not None
    assert 0 < alone["geometry"].min_ms <= alone["geometry"].median_ms
    report = json.loads(old.read_text(encoding="utf-8"))
    report["rows"][0]["stages_alone"]["geometry"]["round_medians_ms"] = [0.0, 1e9]
    report["machine"]["cpu"] = "Another"
    old.write_text(json.dumps(report), encoding="utf-8")
    code, out, err = run_cli(*command, "--compare", old)
    assert code == 0
    assert "geometry: no difference within the spread" in out
    assert "another machine: cpu: Another" in err


def test_a_source_without_faces_is_refused(run_cli: Cli, tmp_path: Path) -> None:
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((120, 160, 3), 40 * k, np.uint8))
    code, _, err = run_cli("bench", tmp_path, "--seconds", 0.1)
    assert code == 2
    assert "no face is found" in err
    assert "Traceback" not in err


def test_what_cannot_be_written_is_said_before_anything_is_measured(
    run_cli: Cli, clip: Path, tmp_path: Path
) -> None:
    code, _, err = run_cli("bench", clip, "--json", tmp_path / "no" / "b.json")
    assert code == 1
    assert "no folder" in err
    assert "round" not in err
    same = tmp_path / "b.json"
    assert run_cli("bench", clip, "--json", same, "--csv", same)[0] == 2
    assert run_cli("bench", clip, "--plot", tmp_path / "b.pdf")[0] == 2


def test_compare_refuses_what_is_no_benchmark(run_cli: Cli, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "stats.json"
    other.write_text("{}", encoding="utf-8")
    code, _, err = run_cli("bench", clip, "--compare", other)
    assert code == 2
    assert "no benchmark" in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_keeps_the_rows_measured_so_far(
    clip: Path, dome_model: Path, tmp_path: Path, repository: Path
) -> None:
    path = tmp_path / "b.json"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "rtrecon", "bench", str(clip), "--models", str(dome_model),
            "gone", "--seconds", "0.1", "--repeat", "1000", "--json", str(path),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(repository)},
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if ": 2 of 1000 done" in line:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    report = read_report(path)
    assert report.interrupted is True
    assert report.rows[0].rounds >= 2
    assert report.rows[0].unpaced.fps > 0
    assert "gone" in report.rows[1].error
    assert "frame ms" in out
    assert not [child for child in children if child.is_running()]


def test_a_process_stands_still_between_rounds(dome_model: Path, pictures: Path) -> None:
    combination = Combination(str(dome_model), "auto", None, 640, 480, 1, None)
    process = MeasuredProcess(combination, pictures, 30.0)
    try:
        assert process.started["faces"] == 1
        handle = psutil.Process(process.pid)
        process.ask("round", 60.0, seconds=0.1, view="none")
        while handle.status() != psutil.STATUS_STOPPED:  # the signal takes a moment
            time.sleep(0.01)
        before_s = process.cpu_s()
        time.sleep(0.3)
        assert process.cpu_s() == before_s
        with pytest.raises(ChildError, match="KeyError"):
            process.ask("stages", 60.0, stages=["nothing"], seconds=0.1, view="none")
        # It lives on after an error, and says how it ended when it has.
        assert process.ask("round", 60.0, seconds=0.1, view="offscreen")["paced"]["view_ms"]
        handle.kill()
        with pytest.raises(ChildError, match=r"ended with|was killed"):
            process.ask("round", 60.0, seconds=0.1, view="none")
    finally:
        process.close()
    assert not handle.is_running()


def test_gpu_memory_is_that_of_the_process() -> None:
    assert parse_gpu_memory(["12, 300", "77, 1024", "12, 200"], 12) == 500.0
    assert parse_gpu_memory(["12, [N/A]"], 12) is None
    assert parse_gpu_memory([], 12) is None


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine["cores_usable"] >= 1
    assert machine["memory_gb"] > 0
    assert "numpy" in machine["versions"]
    assert json.loads(json.dumps(machine)) == machine
    line = machine_line(machine)
    assert "threads" in line
    assert "None" not in line
