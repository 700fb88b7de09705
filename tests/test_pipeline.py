from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import rtrecon
from rtrecon.capture import CaptureThread, open_source
from rtrecon.errors import DataError
from rtrecon.live_pipeline import LivePipeline
from rtrecon.pipeline import Reconstructor
from rtrecon.stats import RunStats
from rtrecon.types import Frame, Intrinsics
from tests.outputs.doubles import Noted


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with open_source("demo") as source:
        return [frame for frame, _ in zip(source, range(12), strict=False)]


def test_public_names_are_there() -> None:
    for name in rtrecon.__all__:
        assert getattr(rtrecon, name) is not None
    with pytest.raises(AttributeError):
        _ = rtrecon.nothing


def test_arrays_may_be_kept(dome_model: Path, frames: list[Frame]) -> None:
    """A notebook keeps faces in a list; later frames must not change them."""
    recon = Reconstructor(model=dome_model)
    kept, copies = [], []
    for frame in frames:
        face = recon(frame)[0]
        kept.append((face.points_camera, face.colors, face.depth_m))
        copies.append(tuple(a.copy() for a in kept[-1]))
    for now, before in zip(kept, copies, strict=True):
        for a, b in zip(now, before, strict=True):
            np.testing.assert_array_equal(a, b)
    assert {len(recon(frame)) for frame in frames} == {1}


def test_a_face_that_was_lost_begins_anew(dome_model: Path, frames: list[Frame]) -> None:
    """It comes back under its id, and nothing of where it was before is left in its filters."""
    image = frames[0].image
    nearer = cv2.resize(image[55:425, 75:565], (640, 480))

    def at(picture: np.ndarray, k: int) -> Frame:
        return Frame(picture, k, k * 33_000_000)

    recon, fresh = Reconstructor(model=dome_model), Reconstructor(model=dome_model)
    (before,) = [recon(at(image, k)) for k in range(6)][-1]
    gone = [recon(at(np.zeros_like(image), k)) for k in range(6, 12)]
    assert gone[-1] == []
    (back,) = recon(at(nearer, 12))
    (stranger,) = fresh(at(nearer, 12))
    assert back.id == before.id
    np.testing.assert_array_equal(back.depth_m, stranger.depth_m)
    np.testing.assert_array_equal(back.T_camera_face, stranger.T_camera_face)


def test_ids_are_stable_and_the_scale_is_metric(dome_model: Path, frames: list[Frame]) -> None:
    recon = Reconstructor(model=dome_model, ipd_mm=63.0)
    ids = set()
    for frame in frames:
        face = recon(frame)[0]
        ids.add(face.id)
    assert len(ids) == 1
    # The two eyes, un-projected at the depth found there, are 63 mm apart.
    depth_m = face.depth_in_frame(frame.image.shape)
    k = face.intrinsics
    eyes = []
    for x, y in face.landmarks_px[:2]:
        z = float(depth_m[round(float(y)), round(float(x))])
        eyes.append(np.array([(x - k.cx) / k.fx * z, (y - k.cy) / k.fy * z, z]))
    assert np.linalg.norm(eyes[0] - eyes[1]) == pytest.approx(0.063, abs=0.002)


def test_intrinsics_set_the_distance(dome_model: Path, frames: list[Frame]) -> None:
    near = Reconstructor(model=dome_model, intrinsics=Intrinsics.from_fov(640, 480, 90))
    far = Reconstructor(model=dome_model, intrinsics=Intrinsics.from_fov(640, 480, 45))
    ratio = far(frames[0])[0].z_ref_m / near(frames[0])[0].z_ref_m
    assert ratio == pytest.approx(np.tan(np.radians(45)) / np.tan(np.radians(22.5)), rel=0.15)


def test_one_rule_for_cameras(
    dome_model: Path, frames: list[Frame], caplog: pytest.LogCaptureFixture
) -> None:
    """The user's calibration, the user's field of view, the source's own, 60 degrees."""
    calibration, own = Intrinsics.from_fov(640, 480, 90), Intrinsics.from_fov(640, 480, 45)
    knowing = Frame(frames[0].image, 0, 0, own)

    def used(frame: Frame, **options: object) -> float:
        (face,) = Reconstructor(model=dome_model, **options)(frame)  # type: ignore[arg-type]
        return face.intrinsics.fx

    with caplog.at_level("INFO", "rtrecon"):
        assert used(knowing, intrinsics=calibration, fov_deg=70) == calibration.fx
        assert used(knowing, fov_deg=70) == Intrinsics.from_fov(640, 480, 70).fx
        assert used(knowing) == own.fx
        assert "assumed" not in caplog.text
        assert used(frames[0]) == Intrinsics.from_fov(640, 480, 60).fx
    assert caplog.text.count("60 degrees across the diagonal assumed") == 1


def test_plain_pictures_are_accepted_and_others_refused(
    dome_model: Path, frames: list[Frame]
) -> None:
    recon = Reconstructor(model=dome_model, temporal=False)
    assert len(recon(frames[0].image)) == 1
    with pytest.raises(DataError, match="uint8"):
        recon(frames[0].image.astype(np.float32))
    with pytest.raises(DataError, match="COLOR_GRAY2BGR"):
        recon(frames[0].image[..., 0])


def test_live_pipeline_gives_results_and_ends(dome_model: Path) -> None:
    stats = RunStats()
    source = open_source("demo")
    capture = CaptureThread(source, policy="every", pace=False)
    pipeline = LivePipeline(
        capture, Reconstructor(model=dome_model), stats, keep_every_result=True, max_frames=20
    )
    taken = []
    with pipeline:
        while True:
            running = pipeline.running
            result = pipeline.take(0.1)
            if result is not None:
                taken.append(result.frame.index)
            elif not running:
                break
    assert taken == list(range(20))
    assert stats.frames_processed == 20
    assert not [t for t in threading.enumerate() if t.name.startswith("rtrecon-")]


def test_closing_early_ends_all_threads(dome_model: Path) -> None:
    source = open_source("demo", loop=True)
    capture = CaptureThread(source, policy="newest", pace=True)
    pipeline = LivePipeline(capture, Reconstructor(model=dome_model), RunStats())
    with pipeline:
        assert pipeline.take(10.0) is not None
    deadline = time.monotonic() + 5
    while [t for t in threading.enumerate() if t.name.startswith("rtrecon-")]:
        assert time.monotonic() < deadline, "a thread did not end"
        time.sleep(0.02)


def test_frames_that_nobody_wants_are_left_out(dome_model: Path) -> None:
    noted = Noted()
    noted.wants_result = lambda: False  # type: ignore[method-assign]
    capture = CaptureThread(open_source("demo", loop=True), policy="newest", pace=True)
    recon, stats = Reconstructor(model=dome_model), RunStats()
    with LivePipeline(capture, recon, stats, outputs=[noted], sparing=True) as pipeline:
        while stats.frames_processed < 5:  # faces are followed all the same
            pipeline.take(1.0)
        assert capture.stats.frames_captured > 2 * stats.frames_processed
        noted.wants_result = lambda: True  # type: ignore[method-assign]
        while len(noted.indices) < 8:
            pipeline.take(1.0)
    assert noted.calls[-1] == "close"


def test_a_workers_exception_reaches_the_caller(
    dome_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recon = Reconstructor(model=dome_model)
    monkeypatch.setattr(recon.tracker, "update", lambda *_: (_ for _ in ()).throw(DataError("bad")))
    capture = CaptureThread(open_source("demo"), policy="newest", pace=True)
    with LivePipeline(capture, recon, RunStats()) as pipeline:
        while pipeline.running:
            time.sleep(0.01)
        with pytest.raises(DataError, match="bad"):
            pipeline.take(0.1)


def test_shipped_model_gives_expression_gaze_and_landmarks(frames: list[Frame]) -> None:
    recon = Reconstructor(provider="cpu", threads=1)
    face = [recon(frame)[0] for frame in frames][-1]
    assert face.expression is not None
    assert 0.0 <= face.expression["jawOpen"] <= 1.0
    assert np.asarray(face.expression).shape == (51,)
    assert face.gaze is not None
    np.testing.assert_allclose(np.linalg.norm(face.gaze.directions_camera, axis=1), 1.0)
    np.testing.assert_array_equal(face.gaze.R_camera_face, face.T_camera_face[:3, :3])
    assert face.landmarks68_px is not None
    assert face.landmarks68_camera is not None
    # The tip of the nose and the corners of the mouth are where the detector sees them.
    off = face.landmarks68_px[[30, 48, 54]] - face.landmarks_px[2:]
    assert np.linalg.norm(off, axis=1).max() < 0.12 * face.crop.side_px / 3.8
    tip, chin = face.landmarks68_camera[[30, 8]]
    assert tip[2] < chin[2]
    assert 0.03 < chin[1] - tip[1] < 0.11
    assert recon.values_dropped == 0


def test_pictures_are_raw(frames: list[Frame]) -> None:
    recon = Reconstructor(provider="cpu", threads=1, temporal=False)
    first = recon(frames[0])[0].expression
    recon(frames[11])
    np.testing.assert_array_equal(recon(frames[0])[0].expression, first)


def test_a_model_without_them_gives_none_and_says_so_once(
    dome_model: Path, frames: list[Frame], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rtrecon")
    recon = Reconstructor(model=dome_model)
    for frame in frames[:3]:
        face = recon(frame)[0]
    assert face.expression is face.gaze is face.landmarks68_px is None
    said = [r.message for r in caplog.records if "face.expression" in r.message]
    assert said == ["model dome gives no face.landmarks68_px, face.expression, face.gaze: None"]


def test_expression_may_be_left_out(frames: list[Frame]) -> None:
    face = Reconstructor(provider="cpu", threads=1, expression=False)(frames[0])[0]
    assert face.expression is face.gaze is None
    assert face.landmarks68_px is not None


def test_heads_for_those_who_ask(frames: list[Frame]) -> None:
    """In video the person is learnt; of pictures each is for itself."""
    with Reconstructor(provider="cpu", threads=1) as recon:
        heads = [recon.head(recon(frame)[0]) for frame in frames[:4]]
        assert np.abs(heads[-1].identity).max() > 0.05
        assert heads[-1].scale == pytest.approx(heads[-2].scale, rel=0.02)
        recon.reset()
        again = recon.head(recon(frames[0])[0])
        np.testing.assert_allclose(again.identity, heads[0].identity, atol=0.02)
    with Reconstructor(provider="cpu", threads=1, temporal=False) as recon:
        face = recon(frames[0])[0]
        first, second = recon.head(face), recon.head(face)
        np.testing.assert_array_equal(first.identity, second.identity)
        points = face.points_camera
        nose = first.vertices_camera()[first.model.landmarks[30]]
        assert np.linalg.norm(points - nose, axis=1).min() < 0.006


def test_a_head_without_landmarks_and_expression(dome_model: Path, frames: list[Frame]) -> None:
    with Reconstructor(dome_model, provider="cpu", temporal=False) as recon:
        head = recon.head(recon(frames[0])[0])
    assert np.isfinite(head.vertices_camera()).all()
    assert 0.3 < head.t[2] < 1.5
