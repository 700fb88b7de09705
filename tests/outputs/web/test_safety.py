"""Who may come in, what is refused, and that the others do not notice."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from rtrecon.errors import ArgumentError, DataError
from rtrecon.outputs.web import certificate, invite
from rtrecon.outputs.web.output import WebOutput
from tests.outputs.web.conftest import Start
from tests.outputs.web.pages import fetch, page_of, run
from tests.outputs.web.test_output import seen, shown

TOKEN = "open-sesame"


def test_without_its_token_nothing_is_given(start: Start) -> None:
    output = start(token=TOKEN)

    async def work() -> None:
        for path in ("", "head.json", "static/main.js", "nothing", "?token=wrong-one"):
            status, headers, body = await fetch(output, path)
            assert status == 403, path
            assert b"link that the terminal shows" in body
            assert "Set-Cookie" not in headers
        for query in ("", "?token=wrong-one"):
            async with page_of(output, query) as page:
                assert await page.end() == 4001

    run(work)


def test_a_cookie_carries_the_token_on(start: Start) -> None:
    output = start(token=TOKEN)
    assert output.url.endswith(f"/?token={TOKEN}")

    async def work() -> None:
        status, headers, _ = await fetch(output, f"?token={TOKEN}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        carried = {"Cookie": cookie.partition(";")[0]}
        assert (await fetch(output, "head.json", headers=carried))[0] == 200
        async with page_of(output, headers=carried) as page:
            assert (await page.text("welcome"))["has_token"]
        async with page_of(output, f"?token={TOKEN}") as page:
            assert await page.text("welcome")

    run(work)


def test_pages_of_others_may_not_use_it(start: Start) -> None:
    output = start()

    async def work() -> None:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://[", ""):
            async with page_of(output, headers={"Origin": origin}) as page:
                assert await page.end() == 4002
        own = output.url.rstrip("/")
        async with page_of(output, headers={"Origin": own}) as page:
            assert await page.text("welcome")

    run(work)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.0.2.1", "[::"])
def test_a_name_of_elsewhere_that_leads_here_is_refused(start: Start, host: str) -> None:
    output = start()

    async def work() -> None:
        status, _, body = await fetch(output, "", headers={"Host": host})
        assert status == 421
        assert b"localhost" in body
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with page_of(output, headers={"Host": host}):
                pass
        assert (await fetch(output, "", headers={"Host": "localhost:1"}))[0] == 200

    run(work)


def test_answers_say_what_a_page_may_do(start: Start) -> None:
    output = start()

    async def work() -> None:
        _, headers, body = await fetch(output, "")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
        assert ("sha256-" in policy) == (b"importmap" in body)
        assert "camera=(self)" in headers["Permissions-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"

    run(work)


def test_files_outside_are_not_served(start: Start) -> None:
    output = start()
    host, _, port = output.target.partition(":")
    for path in (
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static//etc/passwd",
        "/..%2f",
    ):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert raw.recv(100).split()[1] in (b"403", b"404"), path


def test_no_more_pages_than_allowed(start: Start) -> None:
    output = start(peers=1)

    async def work() -> None:
        async with page_of(output) as first:
            await first.text("welcome")
            async with page_of(output) as second:
                assert await second.end() == 4003
            await shown_by(first, output)
        while output._server.peers:
            await asyncio.sleep(0.01)
        async with page_of(output) as third:
            await third.text("welcome")

    run(work)


async def shown_by(page, output: WebOutput) -> None:  # type: ignore[no-untyped-def]
    await page.send("want", layers=[])
    await page.send("ping", t=0)
    await page.text("pong")
    await shown(page, output, 0)


Nuisance = Callable[..., Awaitable[object]]
NUISANCES: dict[str, tuple[Nuisance, int | None]] = {
    "many texts": (
        lambda page: asyncio.gather(*(page.send("ping", t=k) for k in range(200))),
        4004,
    ),
    "a long text": (lambda page: page.socket.send_str('{"x":"' + "y" * 70_000 + '"}'), 4004),
    "a huge message": (lambda page: page.socket.send_bytes(bytes(2_100_000)), 1009),
    "many pictures": (
        lambda page: asyncio.gather(*(page.socket.send_bytes(b"RTP1") for _ in range(300))),
        4004,
    ),
    "no JSON": (lambda page: page.socket.send_str("{{{{"), None),
    "deep JSON": (lambda page: page.socket.send_str("[" * 30_000), None),
    "no object": (lambda page: page.socket.send_str("[1, 2]"), None),
    "unknown": (lambda page: page.send("make coffee"), None),
    "bad layers": (lambda page: page.send("want", layers=[1]), None),
    "bad layer": (lambda page: page.send("want", layers=["soul"]), None),
    "bad size": (lambda page: page.send("want", layers=[], picture_px="big"), None),
    "infinite": (lambda page: page.socket.send_str('{"type":"want","max_hz":1e999}'), None),
    "odd ask": (lambda page: page.send("ask", what={"a": 1}), None),
}


@pytest.mark.parametrize("name", NUISANCES)
def test_a_nuisance_is_told_or_hung_up_on_and_the_others_go_on(start: Start, name: str) -> None:
    output = start()
    be_one, code = NUISANCES[name]

    async def work() -> None:
        async with page_of(output) as good, page_of(output) as bad:
            await bad.text("welcome")
            await good.send("want", layers=[])
            await good.send("ping", t=0)
            await good.text("pong")
            try:
                await be_one(bad)
                if code is None:
                    error = await bad.text("error")
                    assert error["message"]
                    await bad.send("ping", t=9)
                    await bad.text("pong")
                else:
                    assert await bad.end() == code
            except ConnectionError:  # hung up on before all was sent
                assert code is not None
            await shown(good, output, 0)

    run(work)


def test_another_protocol_is_told_to_reload(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output, greet=False) as page:
            await page.send("want", layers=[])
            assert (await page.text("error"))["code"] == "hello"
            await page.send("hello", protocol=2)
            assert await page.end() == 4006
            assert (await page.text("error"))["code"] == "protocol"

    run(work)


def scan(address: tuple[str, int]) -> None:
    """What is sent by whoever looks for something else."""
    for data in (
        b"",
        b"\x16\x03\x01",
        b"\0" * 300,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"x" * 9000,
    ):
        with socket.create_connection(address) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(20)
            try:
                while raw.recv(4096):
                    pass
            except ConnectionError:
                continue


def test_scanners_end_nothing_and_fill_no_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    output = start()
    host, _, port = output.target.partition(":")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            scan((host, int(port)))
    assert caplog.text.count("what is no request") == 1
    assert len(caplog.records) == 1

    async def work() -> None:
        async with page_of(output) as page:
            await page.text("welcome")

    run(work)


def test_other_machines_get_a_token_and_tls(
    start: Start, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    output = start("0.0.0.0:0")
    assert output.url.startswith("https://localhost:")
    said = capsys.readouterr().out
    assert "token=" in said
    assert "https://" in said
    assert output._token not in caplog.text
    port = output._server.port
    with caplog.at_level(logging.INFO):
        scan(("127.0.0.1", port))
    assert "Traceback" not in caplog.text
    assert len(caplog.records) <= 1

    async def work() -> None:
        pem = next(iter(_folder().glob("certificate.pem")))
        trusting = ssl.create_default_context(cafile=str(pem))
        status, headers, _ = await fetch(output, f"?token={output._token}", ssl=trusting)
        assert status == 200
        assert "Secure" in headers["Set-Cookie"]
        async with page_of(output, f"?token={output._token}", ssl=trusting) as page:
            await page.text("welcome")
        assert (await fetch(output, "", ssl=trusting))[0] == 403

    run(work)


def _folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("rtrecon", appauthor=False)) / "web"


def test_a_certificate_is_kept_for_the_user_alone_and_used_again(tmp_path: Path) -> None:
    certificate.own_context(["localhost", "127.0.0.1"], tmp_path)
    path = tmp_path / "certificate.pem"
    made = path.read_bytes()
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    certificate.own_context(["127.0.0.1"], tmp_path)
    assert path.read_bytes() == made
    certificate.own_context(["192.0.2.7"], tmp_path)  # another network
    assert path.read_bytes() != made
    assert set(certificate._kept(path)[0]) == {"localhost", "127.0.0.1", "192.0.2.7"}


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_one_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    certificate.own_context(["localhost"], tmp_path)
    path = tmp_path / "certificate.pem"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"-----BEGIN PRIV")] if damage is None else damage)
    certificate.own_context(["localhost"], tmp_path)
    assert b"PRIVATE KEY" in path.read_bytes()


def test_one_that_cannot_be_kept_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "web").write_text("a file", encoding="utf-8")
    certificate.own_context(["localhost"], tmp_path / "web")
    assert "ends with this run" in caplog.text


def test_the_users_own_certificate(start: Start, tmp_path: Path) -> None:
    certificate.own_context(["127.0.0.1"], tmp_path)
    pem = tmp_path / "certificate.pem"
    output = start(tls_cert=pem)

    async def work() -> None:
        trusting = ssl.create_default_context(cafile=str(pem))
        assert (await fetch(output, "", ssl=trusting))[0] == 200

    run(work)
    with pytest.raises(DataError, match="cannot be used"):
        start(tls_cert=tmp_path / "absent.pem")
    other = tmp_path / "other"
    certificate.own_context(["127.0.0.1"], other)
    with pytest.raises(DataError, match="cannot be used"):
        start(tls_cert=pem, tls_key=other / "certificate.pem")
    with pytest.raises(ArgumentError, match="certificate"):
        WebOutput(tls_key=pem)


@pytest.mark.parametrize("token", ["abc", "with space", "ä" * 10, "x" * 201])
def test_tokens_that_cannot_be(token: str) -> None:
    with pytest.raises(ArgumentError, match="token"):
        WebOutput(token=token)


def test_a_code_is_drawn_in_half_blocks() -> None:
    pytest.importorskip("segno")
    code = invite.code_of("https://192.0.2.7:8765/?token=abcdefgh")
    rows = code.split("\n")
    assert len({len(row) for row in rows}) == 1
    assert set(code) <= set("█▀▄ \n")
    assert abs(len(rows[0]) - 2 * len(rows)) <= 1  # a square
    assert invite.code_of("x", "ascii") == ""


def test_a_page_that_is_asleep_is_no_reason_to_stop(start: Start) -> None:
    output = start()

    async def work() -> None:
        async with page_of(output) as page:
            await page.text("welcome")
            page.socket._writer.transport.abort()  # type: ignore[union-attr]
        await asyncio.to_thread(output.write, seen(0))
        async with page_of(output) as page:
            await page.text("welcome")

    run(work)
