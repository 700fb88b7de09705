"""A number that a camera's picture carries through a browser, a codec and back.

Sixteen squares along the lower edge: white and black as measure, twelve bits of the number in Gray
code, parity, and its opposite. They are read by brightness alone from the middle of each square, so
they survive VP8, JPEG and another size (down to some 96 px of width), and what is not certain is
read as no number at all. `JS_READ` is the same reader for a page.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from rtrecon.types import BgrImage

__all__ = ["JS_READ", "MOST", "STRIP_SHARE", "burn", "read", "write_clip"]

CELLS = 16
BITS = 12
MOST = 1 << BITS
STRIP_SHARE = 1 / 15
"""Height of the strip as a share of the picture's."""
_LEAST_CONTRAST = 60.0
_CERTAIN = 0.2
"""A square's brightness must be this share of the contrast away from the middle."""


def burn(image: BgrImage, number: int) -> None:
    """Paint a number (modulo `MOST`) into a picture (h, w, 3)."""
    height, width = image.shape[:2]
    number %= MOST
    gray = number ^ (number >> 1)
    bits = [gray >> k & 1 for k in reversed(range(BITS))]
    parity = sum(bits) & 1
    top = height - round(height * STRIP_SHARE)
    edges = np.linspace(0, width, CELLS + 1).round().astype(int)
    for k, bit in enumerate([1, 0, *bits, parity, 1 - parity]):
        image[top:, edges[k] : edges[k + 1]] = 235 if bit else 20


def read(image: BgrImage) -> int | None:
    """The number in a picture (h, w, 3), None where it cannot be read for certain."""
    height, width = image.shape[:2]
    strip = height * STRIP_SHARE
    rows = slice(int(height - 0.7 * strip), max(int(height - 0.3 * strip), 1))
    cell = width / CELLS
    means = [
        float(image[rows, int((k + 0.3) * cell) : max(int((k + 0.7) * cell), 1)].mean())
        for k in range(CELLS)
    ]
    white, black = means[:2]
    if white - black < _LEAST_CONTRAST:
        return None
    shares = [(mean - black) / (white - black) - 0.5 for mean in means[2:]]
    if min(abs(share) for share in shares) < _CERTAIN:
        return None
    *bits, parity, opposite = (int(share > 0) for share in shares)
    if parity == opposite or sum(bits) & 1 != parity:
        return None
    number = 0
    for bit in bits:
        number = number << 1 | (bit ^ number & 1)
    return number


JS_READ = """
// Promise of a VideoFrame's number, or of null.
window.rtreconReadTimeCode = async (frame) => {
  const CELLS = 16, BITS = 12, SHARE = 1 / 15;
  const width = frame.visibleRect.width, height = frame.visibleRect.height;
  const strip = height * SHARE, even = (value) => 2 * Math.floor(value / 2);
  const top = even(height - 0.7 * strip), deep = Math.max(even(0.4 * strip), 2);
  const rect = {
    x: frame.visibleRect.x, y: frame.visibleRect.y + top, width: even(width), height: deep,
  };
  const bytes = new Uint8Array(frame.allocationSize({rect}));
  const [plane] = await frame.copyTo(bytes, {rect});
  const planar = /^(I4|NV)/.test(frame.format), step = planar ? 1 : 4, cell = width / CELLS;
  const means = [];
  for (let k = 0; k < CELLS; k++) {
    let sum = 0, count = 0;
    const from = Math.floor((k + 0.3) * cell);
    const to = Math.max(Math.floor((k + 0.7) * cell), from + 1);
    for (let row = 0; row < deep; row++)
      for (let column = from; column < to; column++, count++)
        sum += bytes[plane.offset + row * plane.stride + column * step + (planar ? 0 : 1)];
    means.push(sum / count);
  }
  const [white, black] = means;
  if (white - black < 60) return null;
  const shares = means.slice(2).map((mean) => (mean - black) / (white - black) - 0.5);
  if (shares.some((share) => Math.abs(share) < 0.2)) return null;
  const bits = shares.map((share) => (share > 0 ? 1 : 0));
  const parity = bits.slice(0, BITS).reduce((a, b) => a ^ b, 0);
  if (bits[BITS] !== parity || bits[BITS + 1] === parity) return null;
  let number = 0;
  for (let k = 0; k < BITS; k++) number = (number << 1) | (bits[k] ^ (number & 1));
  return number;
};
// From now on: rtreconCaptured has [number, time by performance.now()] of each picture of a track
// when it was captured, the newest thousand. A video element shows pictures late and not all of
// them, and to draw one on a canvas and read that back costs 100 ms where GL is software.
window.rtreconWatchCamera = async (track) => {
  window.rtreconCaptured = [];
  window.rtreconCameraSizes = [];
  const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
  let offset_ms = Infinity;
  for (;;) {
    const {value: frame, done} = await reader.read();
    if (done) return;
    const now_ms = performance.now(), stamp_ms = frame.timestamp / 1000;
    offset_ms = Math.min(offset_ms, now_ms - stamp_ms);
    const size = [frame.displayWidth, frame.displayHeight];
    const number = await window.rtreconReadTimeCode(frame);
    frame.close();
    if (number !== null) window.rtreconCaptured.push([number, stamp_ms + offset_ms]);
    if (window.rtreconCaptured.length > 1000) window.rtreconCaptured.shift();
    if (String(size) !== String(window.rtreconCameraSizes.at(-1)))
      window.rtreconCameraSizes.push(size);
  }
};
"""
"""Defines ``window.rtreconReadTimeCode`` and ``rtreconWatchCamera`` in a page (Chromium alone)."""


def write_clip(
    path: Path, images: Iterable[BgrImage], *, size: tuple[int, int] | None = None
) -> int:
    """Write what Chromium takes for a camera, each picture with its number; gives the count.

    ``.mjpeg``: JPEGs one after the other, 4:2:0 (4:4:4 is black, without a word). Anything else:
    a ``.y4m`` at 30 a second, which costs the browser less and the disk more. ``size``: another
    (width, height).
    """
    count = 0
    with path.open("wb") as file:
        for image in images:
            picture = np.array(image) if size is None else cv2.resize(image, size)
            burn(picture, count)
            if path.suffix == ".mjpeg":
                content = simplejpeg.encode_jpeg(
                    picture, quality=90, colorspace="BGR", colorsubsampling="420"
                )
            else:
                height, width = picture.shape[:2]
                if not count:
                    file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
                file.write(b"FRAME\n")
                content = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).tobytes()
            file.write(content)
            count += 1
    return count
