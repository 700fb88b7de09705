"""What is behind a URL: a film plays once and ends, a live stream comes back or is given up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtrecon.capture import CaptureThread, Source, open_source
from rtrecon.errors import SourceError, SourceLostError
from tests.faults.servers import Http, mjpeg, plain_file, ranged_file, rtsp, serving
from tests.faults.videos import browser_webm, write_video

Cli = Callable[..., tuple[int, str, str]]
PATIENCE_S = 40.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def read_to_the_end(thread: CaptureThread) -> int:
    count = 0
    while not thread.ended:
        count += thread.read(0.5) is not None
    return count


@pytest.mark.parametrize("serve", [plain_file, ranged_file])
def test_a_film_plays_once_and_ends(
    tmp_path: Path, serve: Callable[[Path], object], dome_model: Path, run_cli: Cli
) -> None:
    path = write_video(tmp_path / "a.mp4", [k * 40 for k in range(20)], movflags="faststart")
    stats = tmp_path / "s.json"
    with serving(serve(path)) as server:  # type: ignore[arg-type]
        code, _, err = run_cli(
            "run", f"{server.address}/a.mp4", "--view", "none", "--model", dome_model,
            "--stats", stats,
        )  # fmt: skip
    assert code == 0, err
    said = json.loads(stats.read_text(encoding="utf-8"))
    assert said["frames_captured"] == 20
    assert said["capture"] == {"state": "ended", "reconnects": 0, "frames_corrupt": 0}
    assert "again" not in err


def test_a_browsers_recording_behind_a_url_is_a_film_too(tmp_path: Path) -> None:
    """It says neither a length nor a rate."""
    path = browser_webm(tmp_path / "a.webm", [0, 35, 99, 130, 161])
    with serving(plain_file(path)) as server, open_source(f"{server.address}/a.webm") as source:
        assert not source.is_live
        assert [round((f.t_media_ns or 0) / 1e6) for f in source] == [0, 35, 99, 130, 161]


def test_a_film_can_be_played_over_and_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 40, 80], movflags="faststart")
    with (
        serving(plain_file(path)) as server,
        open_source(f"{server.address}/a.mp4", loop=True) as source,
    ):
        assert [f.index for f, _ in zip(source, range(7), strict=False)] == list(range(7))


def test_a_film_that_breaks_off_is_lost_and_not_ended(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", [k * 40 for k in range(200)], movflags="faststart", size=(320, 240)
    )
    size = path.stat().st_size
    with (
        serving(plain_file(path, upto=size * 6 // 10)) as server,
        open_source(f"{server.address}/a.mp4") as source,
        pytest.raises(SourceLostError, match="lost"),
    ):
        assert sum(1 for _ in source) == 0


def test_a_film_whose_server_cannot_begin_in_its_middle_says_what_helps(tmp_path: Path) -> None:
    """Its index is at its end."""
    path = write_video(tmp_path / "a.mp4", [k * 40 for k in range(50)], size=(320, 240))
    data = path.read_bytes()
    start = data.find(b"mdat") - 4
    # More before its index than FFmpeg keeps.
    path.write_bytes(
        data[:start] + (1 << 20).to_bytes(4, "big") + b"free" + bytes((1 << 20) - 8) + data[start:]
    )
    with serving(plain_file(path)) as server, pytest.raises(SourceError, match="curl -LO http"):
        open_source(f"{server.address}/a.mp4")


def test_an_address_that_is_not_there_says_what_the_server_says() -> None:
    with (
        serving(lambda request: request.send_error(404)) as server,
        pytest.raises(SourceError, match="404"),
    ):
        open_source(f"{server.address}/a.mp4?token=secret")


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrecon.capture.films._TIMEOUT_S", 0.5)
    with (
        serving(lambda _: time.sleep(5)) as server,
        pytest.raises(SourceError, match="does not answer in time"),
    ):
        open_source(f"{server.address}/live")


def test_a_page_is_no_film() -> None:
    def page(request: Http) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "13")
        request.end_headers()
        request.wfile.write(b"<html></html>")

    with serving(page) as server, pytest.raises(SourceError, match="cannot be opened"):
        open_source(f"{server.address}/")


def test_a_live_stream_has_no_times_of_its_own() -> None:
    with serving(mjpeg(None)) as server, open_source(f"{server.address}/live") as source:
        assert source.is_live
        frame = source.read()
    assert frame is not None
    assert frame.t_media_ns is None
    assert frame.t_ns == frame.t_capture_ns


def test_a_live_stream_that_ends_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    with serving(mjpeg(30)) as server:
        thread = CaptureThread(open_source(f"{server.address}/live"))
        thread.start()
        wait_for(lambda: thread.stats.reconnects >= 2)
        thread.close()
    assert len(server.asked) >= 3
    assert "gives no pictures; opening it again" in caplog.text


def test_a_stream_that_opens_and_stays_silent_is_given_up_with_a_reason() -> None:
    """Every open succeeds: that alone must not begin the patience anew."""
    rounds: list[float] = []

    class Silent(Source):
        name, is_live = "http://there/live", True

        def grab(self) -> bool:
            return False

        def retrieve(self, out: object = None) -> None:
            return None

        def close(self) -> None:
            pass

        def again(self) -> Source:
            rounds.append(time.monotonic())
            return Silent()

    thread = CaptureThread(Silent(), stall_timeout_s=0.2, give_up_s=4.0)
    thread.start()
    with pytest.raises(SourceLostError, match="opens and gives no picture"):
        read_to_the_end(thread)
    thread.close()
    assert 2 <= len(rounds) <= 4  # half a second, one, two: never at once again


def test_a_stream_that_stops_answering_is_given_up(
    dome_model: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtrecon.capture.films._TIMEOUT_S", 1.0)
    calls: list[int] = []

    def answer(request: Http) -> None:
        calls.append(1)
        if len(calls) == 1:
            mjpeg(60)(request)
        else:
            time.sleep(3)

    stats = tmp_path / "s.json"
    with serving(answer) as server:
        code, _, err = run_cli(
            "run", f"{server.address}/live", "--view", "none", "--model", dome_model,
            "--stall-timeout", 0.5, "--give-up", 3, "--stats", stats,
        )  # fmt: skip
    assert code == 1
    assert "did not come back" in err
    assert "does not answer in time" in err
    said = json.loads(stats.read_text(encoding="utf-8"))
    assert said["capture"]["state"] == "failed"
    assert said["frames_captured"] > 10


def test_patience_must_be_above_zero(run_cli: Cli) -> None:
    code, _, err = run_cli("run", "demo", "--give-up", 0)
    assert code == 2
    assert "--give-up" in err


def test_a_camera_over_rtsp_plays_and_its_password_is_not_shown() -> None:
    with rtsp(None) as url, open_source(url) as source:
        assert source.is_live
        assert (source.width, source.height) == (64, 48)
        assert "secret" not in source.name
        frames = [source.read() for _ in range(20)]
    assert all(frame is not None and frame.image.shape == (48, 64, 3) for frame in frames)


def test_a_camera_over_rtsp_that_hangs_up_is_opened_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with rtsp(60) as url:
        thread = CaptureThread(open_source(url))
        thread.start()
        wait_for(lambda: thread.stats.reconnects >= 1 and thread.stats.state == "running")
        thread.close()
    assert "secret" not in caplog.text


def test_a_film_over_rtsp_ends_when_its_server_hangs_up() -> None:
    with rtsp(75, rate_hz=100.0, length_s=0.75) as url, open_source(url) as source:
        assert not source.is_live
        assert sum(1 for _ in source) >= 70


def test_a_film_over_rtsp_that_hangs_up_in_its_middle_is_lost() -> None:
    with (
        rtsp(75, rate_hz=100.0, length_s=30.0) as url,
        open_source(url) as source,
        pytest.raises(SourceLostError, match="lost"),
    ):
        assert sum(1 for _ in source) == 0


def test_what_was_recorded_of_a_film_that_is_lost_is_whole(
    tmp_path: Path, dome_model: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server stays silent in the middle."""
    import av

    monkeypatch.setattr("rtrecon.capture.films._TIMEOUT_S", 1.0)
    path = write_video(
        tmp_path / "a.mp4", [k * 40 for k in range(200)], movflags="faststart", size=(320, 240)
    )
    data = path.read_bytes()

    def answer(request: Http) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[: len(data) * 6 // 10])
        time.sleep(4)

    with serving(answer) as server:
        code, _, err = run_cli(
            "run", f"{server.address}/a.mp4", "--view", "none", "--model", dome_model,
            "--record", tmp_path / "take",
        )  # fmt: skip
    assert code == 1
    assert "a.mp4 was lost" in err
    with av.open(str(tmp_path / "take" / "preview.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 50


def test_schemes_are_read_in_any_case(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a b.mp4", [0, 40], movflags="faststart")
    with serving(plain_file(path)) as server:
        for url in (
            server.address.replace("http", "HTTP"),
            f"FILE://{str(path).replace(' ', '%20')}",
        ):
            with open_source(url) as source:
                assert sum(1 for _ in source) == 2


@pytest.mark.parametrize("ends", [True, False])
def test_a_list_of_segments_is_a_film_if_it_says_its_end(ends: bool, tmp_path: Path) -> None:
    """HLS: the size of the list is not that of a film."""
    write_video(
        tmp_path / "list.m3u8", [k * 40 for k in range(50)],
        container="hls", hls_time="1", hls_list_size="0", hls_playlist_type="vod",
    )  # fmt: skip
    if not ends:
        text = (tmp_path / "list.m3u8").read_text(encoding="utf-8")
        for line in ("#EXT-X-ENDLIST", "#EXT-X-PLAYLIST-TYPE:VOD\n"):
            text = text.replace(line, "")
        (tmp_path / "list.m3u8").write_text(text, encoding="utf-8")

    def answer(request: Http) -> None:
        plain_file(tmp_path / request.path.lstrip("/"))(request)

    with serving(answer) as server, open_source(f"{server.address}/list.m3u8") as source:
        assert source.is_live is not ends
        if ends:
            assert sum(1 for _ in source) == 50
        else:
            assert source.read() is not None
