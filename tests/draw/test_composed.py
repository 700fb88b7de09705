"""The preview video: it decodes, has all frames, and shows what it should."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.draw.composed import PreviewWriter, compose, depth_picture
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.turning import TurningHead
from rtrecon.errors import OutputError
from tests.draw.heads import FIGURES, GREEN, RED, head, picture_of, share_of, view_of


def read_video(path: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = video.read()
        if not ok:
            break
        frames.append(frame)
    video.release()
    return frames


def test_video_decodes_with_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "preview.mp4"
    writer = PreviewWriter(path, rate_hz=30)
    for k in range(12):
        writer.write(view_of(head(x_m=0.004 * k)), k / 30)
        assert not path.exists()
    assert writer.close() == path
    frames = read_video(path)
    assert len(frames) == writer.count == 12
    third = frames[0].shape[1] - frames[0].shape[0]
    for frame in frames:
        assert frame[:, :third].mean() > 40  # the picture
        assert frame[:, third:].max(axis=-1).mean() > 40  # the turning cloud
    assert np.abs(frames[0][:, third:].astype(int) - frames[-1][:, third:]).mean() > 2
    assert [p.name for p in tmp_path.iterdir()] == ["preview.mp4"]


def test_the_size_stays_when_faces_go_or_the_picture_changes(tmp_path: Path) -> None:
    writer = PreviewWriter(tmp_path / "preview.mp4")
    writer.write(view_of(head()), 0.0)
    writer.write(ViewFrame(picture_of(), (), 0, FIGURES), 0.1)
    writer.write(ViewFrame(np.full((720, 1281, 3), 80, np.uint8), (), 0, FIGURES), 0.2)
    path = writer.close()
    assert path is not None
    assert len({frame.shape for frame in read_video(path)}) == 1


def test_nothing_written_is_no_file(tmp_path: Path) -> None:
    assert PreviewWriter(tmp_path / "preview.mp4").close() is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    writer = PreviewWriter(tmp_path / "missing" / "preview.mp4")
    with pytest.raises(OutputError, match=r"preview\.part\.mp4"):
        writer.write(view_of(head()), 0.0)


def test_the_cloud_is_turned_to_and_fro() -> None:
    view = view_of(head())
    right = compose(view, 1.0)[:, -360:]
    left = compose(view, 3.0)[:, -360:]
    assert share_of(right, GREEN).sum() > share_of(right, RED).sum()
    assert share_of(left, RED).sum() > share_of(left, GREEN).sum()


def test_depth_is_brighter_where_it_is_nearer() -> None:
    image = depth_picture(head(), (256, 256)).astype(int).sum(axis=-1)
    row = image[128]
    inside = np.flatnonzero(row[:220] > 3 * 30)
    assert row[inside].argmax() == pytest.approx(len(inside) / 2, abs=len(inside) * 0.15)
    assert row[inside].max() > row[inside[3]] + 100


def test_the_head_is_drawn_again_only_when_it_has_turned_a_little() -> None:
    turning, size = TurningHead(), (160, 160)
    first = turning.draw([head()], size, 1.0)
    again = turning.draw([head()], size, 1.03)
    np.testing.assert_array_equal(again, first)
    assert (turning.draw([head()], size, 1.08) != first).any()
    assert turning.draw([head()], (120, 120), 1.09).shape == (120, 120, 3)
    lost = turning.draw([], size, 1.1)
    assert lost.mean() < 0.9 * first.mean()
    assert turning.draw([head()], size, 1.11).mean() > 0.9 * first.mean()
