"""Videos with bytes that are not what they were: pictures, or an error of ours that names the file.

``python -m tests.faults.test_damaged_videos SECONDS`` goes on for longer, with other damage.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from rtrecon.capture import open_source
from rtrecon.errors import RtreconError
from tests.faults.videos import browser_webm, write_video

KINDS = ("a.mp4", "fragmented.mp4", "a.mkv", "browser.webm", "a.avi", "a.ts", "raw.h264")
ROUNDS = 12
MOST_PICTURES = 200


def make(folder: Path, kind: str) -> bytes:
    stamps = [k * 40 for k in range(12)]
    path = folder / kind
    if kind == "browser.webm":
        return browser_webm(path, stamps).read_bytes()
    if kind == "fragmented.mp4":
        write_video(path, stamps, movflags="frag_keyframe+empty_moov")
    elif kind == "a.avi":
        write_video(path, stamps, codec="mpeg4")
    else:
        write_video(path, stamps)
    return path.read_bytes()


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, most of them at the ends, where headers are; now and then cut or doubled."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        near = int(rng.integers(0, min(900, len(made))))
        at = near if rng.random() < 0.6 else len(made) - 1 - near
        made[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))]))
    how = rng.random()
    if how < 0.15:
        del made[int(rng.integers(1, len(made))) :]
    elif how < 0.25:
        at = int(rng.integers(0, len(made)))
        made[at:at] = made[at : at + 200]
    return bytes(made)


def play(path: Path) -> str:
    """What became of it; anything else that is raised is a fault of ours."""
    try:
        with open_source(path) as source:
            last_ns, count = -1, 0
            for frame in source:
                assert frame.t_media_ns is not None
                assert frame.t_media_ns > last_ns
                last_ns, count = frame.t_media_ns, count + 1
                if count > MOST_PICTURES:
                    break
    except RtreconError as error:
        said = str(error)
    else:
        return "played"
    assert path.name in said
    return "refused"


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_video_is_played_or_refused_by_name(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make(tmp_path, kind)
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(ROUNDS):
        path = tmp_path / f"bad-{kind}"
        path.write_bytes(damage(data, rng))
        play(path)
    assert "Traceback" not in capfd.readouterr().err


def main(seconds: float) -> None:
    logging.getLogger("rtrecon").setLevel(logging.CRITICAL)
    until_s, seed = time.monotonic() + seconds, int(time.time())
    counts = {"played": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = {kind: make(folder, kind) for kind in KINDS}
        while time.monotonic() < until_s:
            seed += 1
            kind = KINDS[seed % len(KINDS)]
            path = folder / f"bad-{kind}"
            path.write_bytes(damage(sound[kind], np.random.default_rng(seed)))
            try:
                counts[play(path)] += 1
            except BaseException:
                print("seed", seed, kind)  # noqa: T201
                raise
    print(counts)  # noqa: T201


if __name__ == "__main__":
    main(float(sys.argv[1]))
