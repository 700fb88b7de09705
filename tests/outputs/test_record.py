from __future__ import annotations

from pathlib import Path

from rtrecon.outputs.record import Recorder, unused_folder


def test_a_second_recording_leaves_the_first_alone(tmp_path: Path) -> None:
    first = unused_folder(tmp_path / "out")
    assert first == tmp_path / "out"
    Recorder(first, 30.0, live=True).close(())
    second = unused_folder(first)
    assert second.parent == first
    assert Recorder(second, 30.0, live=True).close(()) == [second / "poses.jsonl"]
    assert (first / "poses.jsonl").exists()
