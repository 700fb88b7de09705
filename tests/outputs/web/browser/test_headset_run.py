"""A headset (in software: iwer) that watches a real run."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import web_page

from rtrecon.types import BgrImage
from tests.outputs.web.browser.looks import changed_share, skin_share
from tests.outputs.web.test_headset import DEVICE, IWER

# The picture of the next frame that is drawn, which nobody can read any more after it.
LOOK = """() => new Promise((done) => {
    const {stage} = rtreconPage;
    stage.addEventListener('drawn', () => {
        const gl = stage.renderer.getContext();
        const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
        const pixels = new Uint8Array(width * height * 4);
        gl.bindFramebuffer(gl.FRAMEBUFFER, null);
        gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
        let text = '';
        for (let k = 0; k < pixels.length; k += 8192)
            text += String.fromCharCode(...pixels.subarray(k, k + 8192));
        done([width, height, btoa(text)]);
    }, {once: true});
    stage.invalidate();
})"""


def eyes(page: Any) -> tuple[BgrImage, BgrImage]:
    """What the left and the right eye see."""
    width, height, text = page.evaluate(LOOK)
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    image = np.ascontiguousarray(rgba[::-1, :, 2::-1])
    return image[:, : width // 2], image[:, width // 2 :]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_headset_sees_the_face_of_a_run_in_both_eyes_and_it_moves(
    open_page: Callable[..., Any], serve: Callable[..., web_page.Server]
) -> None:
    server = serve("demo")
    init = IWER.read_text(encoding="utf-8") + DEVICE
    page = open_page(server, "?view=face", init=init)
    web_page.wait_until(page, "rtreconResults.length >= 3")
    page.click("#enter-vr")
    web_page.wait_until(page, "rtreconPage.stage.renderer.xr.isPresenting")
    drawn = page.evaluate("rtreconDebug.drawn")
    web_page.wait_until(page, f"rtreconDebug.drawn >= {drawn + 5}")
    before = eyes(page)
    for eye in before:
        assert 0.01 < skin_share(eye) < 0.5  # 0.7 m away, not all over
    assert changed_share(*before) > 0.01  # two places see two pictures
    drawn = page.evaluate("rtreconDebug.drawn")
    web_page.wait_until(page, f"rtreconDebug.drawn >= {drawn + 5}")
    assert changed_share(before[0], eyes(page)[0]) > 0.001  # it lives
    page.evaluate("device.position.set(0.2, 1.6, 0)")
    aside = eyes(page)
    columns = [np.nonzero(eye.max(axis=2) > 90)[1].mean() for eye in (before[0], aside[0])]
    assert columns[1] < columns[0] - 0.05 * before[0].shape[1]  # to the right: it is at the left
    page.evaluate("rtreconPage.stage.renderer.xr.getSession().end()")
    web_page.wait_until(page, "!rtreconPage.stage.renderer.xr.isPresenting")
    drawn = page.evaluate("rtreconDebug.drawn")
    web_page.wait_until(page, f"rtreconDebug.drawn >= {drawn + 3}")
