"""Files that the page offers."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from dataclasses import replace

import aiohttp
import cv2
import numpy as np
import pytest

from rtrecon.outputs.web import models
from rtrecon.outputs.web.output import WebOutput
from tests.draw.heads import head
from tests.outputs.doubles import PATIENCE_S
from tests.outputs.web.conftest import Start
from tests.outputs.web.pages import fetch, run
from tests.outputs.web.test_output import seen


def test_a_face_as_a_file_once_one_was_seen(start: Start) -> None:
    output = start()

    async def work() -> None:
        for name in ("face.glb", "person.vrm", "avatar.glb"):
            status, _, body = await fetch(output, name)
            assert status == 404
            assert b"no face was seen yet" in body
        output.write(seen(0))
        status, headers, body = await fetch(output, "face.glb")
        assert (status, headers["Content-Type"]) == (200, "model/gltf-binary")
        magic, version, length = struct.unpack("<4sII", body[:12])
        assert (magic, version, length) == (b"glTF", 2, len(body))
        document = json.loads(body[20 : 20 + struct.unpack("<I", body[12:16])[0]])
        assert document["images"]
        again = {"If-None-Match": headers["ETag"]}
        assert (await fetch(output, "face.glb", headers=again))[0] == 304
        output.write(seen(1, z_m=0.5))
        assert (await fetch(output, "face.glb", headers=again))[0] == 200

    run(work)


def test_the_avatar_is_made_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"an avatar"

    monkeypatch.setattr(models, "_mean_avatar", make)
    output = start()

    async def work() -> None:
        for _ in range(2):
            status, _, body = await fetch(output, "avatar.vrm")
            assert (status, body) == (200, b"an avatar")

    run(work)
    assert made == [1]


def test_a_head_is_made_of_the_view_from_ahead(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_person", lambda seen, *_: b"%d" % seen.frame.index)
    output = start()
    ahead, turned = seen(3), seen(4)
    face = head()
    face.T_camera_face[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.6, 0.0]))[0]
    output.write(ahead)
    output.write(replace(turned, faces=[face]))

    async def work() -> None:
        assert (await fetch(output, "person.vrm"))[2] == b"3"

    run(work)
    output.write(
        replace(turned, frame=replace(turned.frame, t_capture_ns=60 * 10**9), faces=[face])
    )

    async def later() -> None:
        assert (await fetch(output, "person.vrm"))[2] == b"4"

    run(later)


def test_what_fails_is_said_and_is_no_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bytes:
        raise MemoryError("no room")

    monkeypatch.setattr(models, "_mean_avatar", fail)
    output = start()

    async def work() -> None:
        assert (await fetch(output, "avatar.vrm"))[0] == 500
        assert (await fetch(output, "head.json"))[0] == 200

    run(work)


def test_the_end_does_not_wait_for_a_file_that_is_being_made(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def make() -> bytes:
        began.set()
        may_end.wait(PATIENCE_S)
        return b"late"

    monkeypatch.setattr(models, "_mean_avatar", make)
    output = start()
    asking = threading.Thread(target=lambda: run(lambda: _ask_in_vain(output)), daemon=True)
    asking.start()
    try:
        assert began.wait(PATIENCE_S)
        output.close()
        assert "rtrecon-web" not in [thread.name for thread in threading.enumerate()]
    finally:
        may_end.set()
        asking.join(PATIENCE_S)


async def _ask_in_vain(output: WebOutput) -> None:
    with contextlib.suppress(aiohttp.ClientError):
        await fetch(output, "avatar.vrm")
