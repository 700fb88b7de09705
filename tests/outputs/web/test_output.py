"""What a page is told and sent, over real sockets of the loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import subprocess
import sys

import numpy as np
import pytest

from rtrecon.errors import ArgumentError, OutputError
from rtrecon.output import Command, Run
from rtrecon.outputs.registry import make_output
from rtrecon.outputs.web.output import WebOutput
from rtrecon.result import LiveResult
from rtrecon.types import Frame
from tests.draw.heads import head, picture_of
from tests.outputs.web.conftest import Start
from tests.outputs.web.pages import Page, fetch, page_of, run


def seen(index: int, z_m: float = 0.6) -> LiveResult:
    face = head(z_m=z_m)
    return LiveResult(Frame(picture_of(face), index, index * 33_000_000), [face], 12.0)


async def shown(page: Page, output: WebOutput, index: int) -> None:
    """Have the page draw one result."""
    await asyncio.to_thread(output.write, seen(index))
    await page.result()


def test_a_page_is_greeted_and_told_how_it_stands(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            welcome = await page.text("welcome")
            assert welcome["protocol"] == 1
            assert (welcome["camera"], welcome["source"]) == ("server", "a test")
            assert welcome["limits"]["peers"] == 8
            state = await page.text("state")
            assert state["viewers"] == 1
            assert state["sender"] is None
            await page.send("ping", t=17.5)
            pong = await page.text("pong")
            assert pong["t"] == 17.5
            assert pong["server_t_ms"] > 0

    run(work)


def test_results_hold_what_a_page_wants_and_no_more(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            await page.send("want", layers=["depth", "texture"], texture_px=128)
            await page.send("ping", t=0)
            await page.text("pong")
            await asyncio.to_thread(output.write, seen(3, z_m=0.5))
            received = await page.result()
            face, expected = received.face, head(z_m=0.5)
            assert received.header["picture"] is None
            assert face["head"] is None
            assert received.header["avatar"]["state"] == "tracked"
            np.testing.assert_allclose(received.depth_m(), expected.depth_m, atol=0.6e-4)
            np.testing.assert_allclose(face["box"], expected.box_px, atol=0.06)
            assert received.jpeg(face["texture"]).shape == (128, 128, 3)
            await page.send("want", layers=["picture"], picture_px=64)
            received = await page.result()  # the newest once more, though nothing new came
            assert received.face["depth"] is None
            assert received.jpeg(received.header["picture"]).shape == (48, 64, 3)

    run(work)


def test_points_of_depth_lie_on_the_rays(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            await page.send("want", layers=["depth"])
            await page.send("ping", t=0)
            await page.text("pong")
            await asyncio.to_thread(output.write, seen(0))
            received = await page.result()
            z = received.depth_m()
            rows, columns = np.nonzero(np.isfinite(z))
            rays = np.array(received.face["depth"]["rays"]).reshape(3, 3)
            pixels = np.stack([columns, rows, np.ones(len(rows))])
            points = (z[rows, columns] * (rays @ pixels)).T
            expected = head().grid.points_camera[rows, columns]
            np.testing.assert_allclose(points, expected, atol=1e-4)

    run(work)


def test_a_head_comes_with_its_colours_once(start: Start) -> None:
    output = start()

    async def work() -> None:
        status, _, text = await fetch(output, "head.json")
        assert status == 200
        topology = json.loads(text)
        rest = np.frombuffer(base64.b64decode(topology["rest"]), "<f4").reshape(-1, 3)
        triangles = np.frombuffer(base64.b64decode(topology["triangles"]), "<u2")
        assert topology["vertices"] == len(rest) == triangles.max() + 1
        assert len(topology["arkit"]) == 52
        async with page_of(output) as page:
            await page.send("want", layers=["head"])
            await page.send("ping", t=0)
            await page.text("pong")
            await asyncio.to_thread(output.write, seen(0))
            first = await page.result()
            points, share = first.head_camera(rest)
            assert share.max() == 255
            front = points[points[:, 2].argmin()]
            assert np.linalg.norm(front - (0, 0.02, 0.6)) < 0.05
            tint = first.blob(first.face["head"]["tint"])
            assert tint
            await page.send("ping", t=0)
            await page.text("pong")  # what it said before has come, too
            await asyncio.to_thread(output.write, seen(1))
            second = await page.result()
            assert second.face["head"]["tint"] is None
            assert second.face["head"]["tint_key"] == first.face["head"]["tint_key"]
            async with page_of(output) as other:
                await other.send("want", layers=["head"])
                received = await other.result()
                assert received.face["head"]["tint"] is not None

    run(work)


def test_of_faces_that_are_not_drawn_only_the_place_is_sent(start: Start) -> None:
    output = start()
    faces = [head(x_m=-0.1), head(x_m=0.1, face_id=1)]
    result = LiveResult(Frame(picture_of(*faces), 0, 0), faces, 12.0)

    async def work() -> None:
        async with page_of(output) as page:
            for layers, textures in ((["head", "texture"], 1), (["depth", "texture"], 2)):
                await page.send("want", layers=layers)
                await page.send("ping", t=0)
                await page.text("pong")
                await asyncio.to_thread(output.write, result)
                found = (await page.result()).header["faces"]
                assert all(face["T"] for face in found)
                assert sum(face["texture"] is not None for face in found) == textures

    run(work)


def test_nothing_is_made_for_a_page_that_wants_little_before_it_is_time(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            await page.send("want", layers=[], max_hz=0.1)
            await page.send("ping", t=0)
            await page.text("pong")
            assert output.wants_result()
            await shown(page, output, 0)
            await page.send("ping", t=1)
            await page.text("pong")
            assert not output.wants_result()

    run(work)


def test_one_that_does_not_follow_gets_the_newest_and_holds_up_nobody(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as slow, page_of(output) as quick:
            for page in (slow, quick):
                await page.send("want", layers=[])
                await page.send("ping", t=0)
                await page.text("pong")
            for index in range(12):
                await shown(quick, output, index)
            await slow.send("ping", t=1)
            await slow.text("pong")
            assert [r.header["t_ms"] for r in slow.results] == [0.0, 33.0]
            await slow.send("shown", seq=slow.results[-1].seq)
            await slow.until(lambda page: len(page.results) == 3)
            assert slow.results[-1].header["t_ms"] == 11 * 33.0

    run(work)
    counts = output.counts()
    assert (counts["pages"], counts["sent"], counts["refused"]) == (2, 12 + 3, 0)
    assert counts["packing_ms"]["p50"] > 0.0


def test_one_that_sleeps_costs_nothing_and_wakes_to_the_newest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtrecon.outputs.web.peer._ASLEEP_S", 0.0)
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            await page.send("want", layers=[])
            await page.send("ping", t=0)
            await page.text("pong")
            for index in range(2):
                await asyncio.to_thread(output.write, seen(index))
                await page.until(lambda page, n=index + 1: len(page.results) == n)  # type: ignore[misc]
            packed = output._packing_ms.count
            for index in range(2, 6):
                await asyncio.to_thread(output.write, seen(index))
            assert output._packing_ms.count == packed
            await page.send("shown", seq=page.results[-1].seq)
            await page.until(lambda page: len(page.results) == 3)
            assert page.results[-1].header["t_ms"] == 5 * 33.0  # of the newest

    run(work)


def test_nothing_is_made_for_nobody(start: Start) -> None:
    output = start()
    output.write(seen(0))

    async def work() -> None:
        async with page_of(output) as page:
            await page.text("welcome")
            output.write(seen(1))

    run(work)
    assert output._packing_ms.count == 0
    assert output._packer._head is None


def test_a_busy_page_is_no_reason_to_reconstruct(start: Start) -> None:
    output = start()

    async def work() -> None:
        assert not output.wants_result()  # there is no page
        async with page_of(output) as page:
            await page.send("want", layers=["depth"])
            await page.send("ping", t=0)
            await page.text("pong")
            assert output.wants_result()
            for index in range(2):
                await asyncio.to_thread(output.write, seen(index))
                await page.until(lambda page, n=index + 1: len(page.results) == n)  # type: ignore[misc]
            assert not output.wants_result()  # it has shown neither
            await page.send("shown", seq=page.results[0].seq)
            await page.send("ping", t=1)
            await page.text("pong")
            assert output.wants_result()

    run(work)


def test_what_a_page_asks_reaches_the_run(start: Start) -> None:
    asked: list[Command] = []
    output = start(run=Run(ask=asked.append))

    async def work() -> None:
        async with page_of(output) as page:
            await page.send("ask", what="calibrate")
            await page.send("ask", what="quit")
            error = await page.text("error")
            assert "calibrate" in error["message"]

    run(work)
    assert asked == ["calibrate"]


def test_the_end_of_the_run_is_said(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            await page.text("welcome")
            closing = asyncio.create_task(asyncio.to_thread(output.close))
            assert await page.end() == 4005
            assert page.texts[-1]["state"] == "ended"
            await closing

    run(work)


def test_a_port_that_is_taken(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match="or name another port"):
            start(f"127.0.0.1:{port}")


def test_the_next_port_is_taken_where_none_was_named(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("rtrecon.outputs.web.output.DEFAULT_PORT", port)
        with caplog.at_level(logging.WARNING, "rtrecon"):
            output = start("127.0.0.1")
    assert output.url != f"http://127.0.0.1:{port}/"
    assert f"port {port} is taken" in caplog.text


def test_options_are_read_from_the_command_line() -> None:
    output = make_output("web:127.0.0.1:9000?open=0&token=abcdef&peers=2")
    assert isinstance(output, WebOutput)
    assert output.target == "127.0.0.1:9000"
    with pytest.raises(ArgumentError, match="peers"):
        make_output("web?peers=0")


def test_what_is_missing_is_named_with_the_command_that_mends_it() -> None:
    program = (
        "import sys; sys.modules['aiohttp'] = None; "
        "from rtrecon.outputs.web.output import WebOutput; print(WebOutput.missing())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'rtrecon[web]'" in done.stdout, done.stderr
