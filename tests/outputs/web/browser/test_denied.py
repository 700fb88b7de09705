"""A person who does not give the camera is told what to do about it, and may watch all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import web_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium that has a camera and whose user says no."""
    flags = ("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    with web_page.chromium(flags=flags) as started:
        yield started


def test_a_camera_that_is_denied(
    open_page: Callable[..., Any], serve: Callable[..., web_page.Server]
) -> None:
    page = open_page(serve(), "?view=face&camera=1")
    web_page.wait_until(page, "rtreconDebug.camera.error === 'denied'")
    assert "Allow it in the browser" in page.inner_text("body")
    assert page.is_enabled("#use-camera")
