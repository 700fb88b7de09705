from __future__ import annotations

import logging
import threading
import time

import pytest

from rtrecon import fanout as module
from rtrecon.errors import NoOutputError
from rtrecon.fanout import Fanout
from rtrecon.output import Run
from tests.outputs.doubles import PATIENCE_S, Noted, result


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("rtrecon-out-")]


def wait_until(true: object) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.005)


def test_every_output_gets_the_results_on_one_thread_of_its_own() -> None:
    a, b = Noted("a"), Noted("b")
    fanout = Fanout([a, b])
    run = Run(source="test")
    fanout.open(run)
    for k in range(5):
        fanout.put(result(k))
        a.wait_for(k)
        b.wait_for(k)
    fanout.close()
    for output in (a, b):
        assert output.run is run
        assert output.calls == ["open", *["write"] * 5, "close"]
        assert output.threads == {"rtrecon-out-noted"}
    assert [(s["name"], s["target"], s["written"], s["dropped"]) for s in fanout.summary()] == [
        ("noted", "a", 5, 0),
        ("noted", "b", 5, 0),
    ]
    assert fanout.summary()[0]["latency_ms"]["p50"] > 0
    assert not fanout.has_failed
    assert not threads()


def test_the_newest_result_wins_and_what_was_dropped_is_counted() -> None:
    slow, quick = Noted("slow"), Noted("quick")
    slow.gate.clear()
    fanout = Fanout([slow, quick])
    fanout.open(Run())
    fanout.put(result(0))
    assert slow.entered.wait(PATIENCE_S)
    for k in range(1, 6):
        fanout.put(result(k))
        quick.wait_for(k)  # whatever the other one does
    slow.gate.set()
    slow.wait_for(5)
    fanout.close()
    assert slow.indices == [0, 5]
    assert quick.indices[-1] == 5
    assert fanout.summary()[0]["dropped"] == 4


def test_a_recording_gets_every_result_where_frames_are_not_paced() -> None:
    recording, view = Noted("all", every=True), Noted("newest")
    recording.gate.clear()
    fanout = Fanout([recording, view])
    fanout.open(Run(paced=False))
    done = threading.Event()

    def work() -> None:
        for k in range(10):
            fanout.put(result(k))
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    # One is being written, one waits, and the worker holds the third: the view has all three.
    view.wait_for(2)
    assert not done.is_set()
    recording.gate.set()
    worker.join(PATIENCE_S)
    fanout.close()
    assert recording.indices == list(range(10))
    assert [s["dropped"] for s in fanout.summary() if s["target"] == "all"] == [0]


def test_a_recording_makes_nobody_wait_where_frames_are_paced() -> None:
    recording = Noted("all", every=True)
    recording.gate.clear()
    fanout = Fanout([recording])
    fanout.open(Run(paced=True))
    fanout.put(result(0))
    assert recording.entered.wait(PATIENCE_S)
    for k in range(1, 4):
        fanout.put(result(k))
    recording.gate.set()
    fanout.close()
    assert recording.indices == [0, 3]  # what waits at the end is written


def test_the_first_error_ends_one_output_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Noted("bad", fails_at="write"), Noted("good")
    fanout = Fanout([bad, good])
    with caplog.at_level(logging.ERROR, "rtrecon"):
        fanout.open(Run())
        for k in range(3):
            fanout.put(result(k))
            good.wait_for(k)
        wait_until(lambda: "close" in bad.calls)
        assert not fanout.is_exhausted
        fanout.close()
    assert bad.calls == ["open", "write", "close"]
    assert good.indices == [0, 1, 2]
    assert [r.message for r in caplog.records] == ["output noted:bad: write of bad failed"]
    assert [s["errors"] for s in fanout.summary()] == [1, 0]
    assert fanout.has_failed


def test_a_run_knows_that_its_last_output_is_gone() -> None:
    bad = Noted("bad", fails_at="write")
    fanout = Fanout([bad])
    fanout.open(Run())
    assert not fanout.is_exhausted
    fanout.put(result(0))
    wait_until(lambda: fanout.is_exhausted)
    fanout.close()
    assert not Fanout().is_exhausted


def test_errors_at_close_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    bad = Noted("bad", fails_at="close")
    fanout = Fanout([bad])
    fanout.open(Run())
    with caplog.at_level(logging.ERROR, "rtrecon"):
        fanout.close()
        fanout.close()
    assert bad.calls == ["open", "close"]
    assert "close of bad failed" in caplog.text
    assert fanout.has_failed


def test_those_that_cannot_be_opened_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Noted("bad", fails_at="open"), Noted("good")
    fanout = Fanout([bad, good])
    with caplog.at_level(logging.ERROR, "rtrecon"):
        fanout.open(Run())
    assert [r.message for r in caplog.records] == ["output noted:bad: open of bad failed"]
    assert fanout.open_outputs == [good]
    fanout.put(result(0))
    good.wait_for(0)
    fanout.close()
    assert bad.calls == ["open"]
    assert fanout.has_failed


def test_if_none_can_be_opened_all_reasons_are_one_error() -> None:
    fanout = Fanout([Noted("a", fails_at="open"), Noted("b", fails_at="open")])
    with pytest.raises(NoOutputError) as caught:
        fanout.open(Run())
    assert "noted:a: open of a failed" in str(caught.value)
    assert "noted:b: open of b failed" in str(caught.value)
    assert caught.value.exit_code == 2
    fanout.close()


def test_an_output_that_never_opens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_OPEN_TIMEOUT_S", 0.1)
    gate = threading.Event()

    class Slow(Noted):
        def open(self, run: Run) -> None:
            assert gate.wait(PATIENCE_S)
            super().open(run)

    slow, good = Slow("slow"), Noted("good")
    fanout = Fanout([slow, good])
    with caplog.at_level(logging.ERROR, "rtrecon"):
        fanout.open(Run())
    assert "noted:slow: it does not open" in caplog.text
    fanout.put(result(0))
    good.wait_for(0)
    gate.set()  # too late: it is closed again, and was given nothing
    wait_until(lambda: "close" in slow.calls)
    assert slow.calls == ["open", "close"]
    fanout.close()


def test_an_output_that_blocks_for_ever_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_STUCK_S", 0.1)
    stuck, good = Noted("stuck", every=True), Noted("good")
    stuck.gate.clear()
    fanout = Fanout([stuck, good])
    fanout.open(Run(paced=False))
    with caplog.at_level(logging.ERROR, "rtrecon"):
        for k in range(5):  # the worker waits for the recording, but not for ever
            fanout.put(result(k))
            good.wait_for(k)
    assert len(caplog.records) == 1
    assert "noted:stuck" in caplog.text
    assert "given up" in caplog.text
    stuck.gate.set()
    fanout.close()
    wait_until(lambda: "close" in stuck.calls)
    assert stuck.calls.count("close") == 1


def test_closing_does_not_wait_for_one_that_blocks(caplog: pytest.LogCaptureFixture) -> None:
    stuck = Noted("stuck")
    stuck.close_timeout_s = 0.05
    stuck.gate.clear()
    fanout = Fanout([stuck])
    fanout.open(Run())
    fanout.put(result(0))
    assert stuck.entered.wait(PATIENCE_S)
    with caplog.at_level(logging.ERROR, "rtrecon"):
        fanout.close()
    assert "does not end" in caplog.text
    assert "close" not in stuck.calls  # it would be called while `write` runs
    stuck.gate.set()
    wait_until(lambda: "close" in stuck.calls)
    assert fanout.has_failed


def test_a_window_is_written_to_by_the_thread_that_ticks() -> None:
    window, other = Noted("window", main=True), Noted("other")
    fanout = Fanout([window, other])
    fanout.open(Run())
    for k in range(3):
        fanout.put(result(k))
    assert window.calls == ["open"]
    assert fanout.tick()
    assert window.indices == [2]
    assert fanout.summary()[0]["dropped"] == 2
    window.ends_run = True
    assert not fanout.tick()
    fanout.put(result(3))
    fanout.close()
    assert window.indices == [2, 3]
    assert window.calls[-1] == "close"
    assert window.threads == {threading.current_thread().name}


@pytest.mark.parametrize("call", ["write", "tick"])
def test_a_window_that_fails_is_closed(call: str) -> None:
    window = Noted("window", main=True, fails_at=call)
    fanout = Fanout([window])
    fanout.open(Run())
    fanout.put(result(0))
    assert fanout.tick()
    assert fanout.tick()
    fanout.close()
    assert window.calls.count("close") == 1
    assert fanout.is_exhausted


def test_outputs_come_and_go_during_a_run() -> None:
    first, second = Noted("first"), Noted("second")
    fanout = Fanout([first])
    fanout.open(Run())
    fanout.put(result(0))
    first.wait_for(0)
    assert fanout.add(second)
    fanout.put(result(1))
    second.wait_for(1)
    fanout.remove(second)
    wait_until(lambda: "close" in second.calls)
    fanout.put(result(2))
    first.wait_for(2)
    assert not fanout.add(Noted("third", fails_at="open"))
    fanout.close()
    assert second.indices == [1]
    assert second.calls.count("close") == 1
    assert [s["target"] for s in fanout.summary()] == ["first", "second", "third"]


def test_strangers_errors_say_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Noted):
        def write(self, result: object) -> None:
            raise ZeroDivisionError("by zero")

    fanout = Fanout([Odd("odd")])
    fanout.open(Run())
    with caplog.at_level(logging.ERROR, "rtrecon"):
        fanout.put(result(0))
        wait_until(lambda: fanout.is_exhausted)
    fanout.close()
    assert "ZeroDivisionError('by zero')" in caplog.text
