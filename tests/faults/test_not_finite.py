"""What a network or a clock says that is no number never stays: said once, counted, gone."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Sequence

import numpy as np
import pytest

import rtrecon
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.geometry.stage import GeometryStage
from rtrecon.geometry.steady import RotationFilter, ScalarFilter
from rtrecon.pipeline import Reconstructor
from rtrecon.stats import RunStats, Samples
from rtrecon.types import Face, Frame
from tests.faults.models import Change, Faulty, poisoned
from tests.geometry.scenes import average_head

FRAMES, FIRST, STRETCH = 30, 10, 5
STEP_NS = 33_366_667
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """The bundled clip's first frames."""
    with rtrecon.open_source("demo") as clip:
        images = [frame.image.copy() for _, frame in zip(range(FRAMES), clip, strict=False)]
    return [Frame(image, k, k * STEP_NS) for k, image in enumerate(images)]


@pytest.fixture(scope="module")
def recon() -> Reconstructor:
    return Reconstructor(provider="cpu", threads=1)


def run(
    recon: Reconstructor,
    frames: Sequence[Frame],
    change: Change | None = None,
    at: Sequence[int] = (),
) -> list[list[FaceReconstruction]]:
    """All results, from the beginning, with a fault in the network's runs ``at``."""
    model = recon.depth_model
    recon.reset()
    recon._geometry.depths_dropped = recon._geometry.faces_without_depth = 0
    recon._geometry.landmarks_dropped = recon._expression.dropped = 0
    recon._geometry._placer.rotations_dropped = 0
    recon._geometry._placer._said.clear()
    if change is not None:
        recon.depth_model = Faulty(model, change, at)  # type: ignore[assignment]
    try:
        return [recon(frame) for frame in frames]
    finally:
        recon.depth_model = model


@pytest.fixture(scope="module")
def healthy(recon: Reconstructor, frames: list[Frame]) -> list[FaceReconstruction]:
    faces = run(recon, frames)
    assert all(len(found) == 1 for found in faces)
    return [found[0] for found in faces]


def assert_is_as_good(
    face: FaceReconstruction, good: FaceReconstruction, *, by: float = 0.03, px: float = 0.01
) -> None:
    """``by``: of a coefficient. ``px``: of the landmarks, which no fault of the depth touches."""
    both = face.grid.valid & good.grid.valid
    assert both.sum() > 0.98 * good.grid.valid.sum()
    apart = np.abs(face.grid.points_camera - good.grid.points_camera)[both]
    assert np.median(apart) < 0.0015
    turn = face.T_camera_face[:3, :3].T @ good.T_camera_face[:3, :3]
    assert np.degrees(np.arccos(min(1.0, (np.trace(turn) - 1) / 2))) < 1.0
    assert face.expression is not None
    assert good.expression is not None
    np.testing.assert_allclose(np.asarray(face.expression), np.asarray(good.expression), atol=by)
    assert face.landmarks68_px is not None
    np.testing.assert_allclose(face.landmarks68_px, good.landmarks68_px, atol=1.0)
    np.testing.assert_allclose(face.landmarks_px, good.landmarks_px, atol=px)


def assert_is_finite(face: FaceReconstruction) -> None:
    assert np.isfinite(face.grid.points_camera).all()
    assert np.isfinite(face.grid.normals).all()
    assert np.isfinite(face.T_camera_face).all()
    assert np.isfinite(face.z_ref_m)
    assert face.expression is not None
    assert np.isfinite(np.asarray(face.expression)).all()
    assert face.gaze is not None
    assert np.isfinite(
        [*dataclasses.astuple(face.gaze)[0], *dataclasses.astuple(face.gaze)[1]]
    ).all()
    assert face.landmarks68_px is None or np.isfinite(face.landmarks68_px).all()


@pytest.mark.parametrize(
    ("value", "stretch"), [(NAN, 1), (NAN, STRETCH), (INF, 1), (3e38, 1)], ids=lambda v: f"{v:g}"
)
@pytest.mark.parametrize("output", ["value", "mask_logit", "expression", "landmarks68", "rotation"])
def test_a_fault_of_the_network_does_not_stay(
    output: str,
    value: float,
    stretch: int,
    recon: Reconstructor,
    frames: list[Frame],
    healthy: list[FaceReconstruction],
    caplog: pytest.LogCaptureFixture,
) -> None:
    at = range(FIRST, FIRST + stretch)
    with caplog.at_level(logging.WARNING, "rtrecon"):
        faces = run(recon, frames, poisoned(output, value), at)
    assert all(len(found) == 1 for found in faces)  # it is in the picture all the time
    for (face,) in faces:
        assert_is_finite(face)
    # While it lasts the face keeps the shape that it had.
    for k in at:
        shown = faces[k][0].grid.valid
        assert shown.sum() > 0.9 * healthy[k].grid.valid.sum()
        assert abs(faces[k][0].z_ref_m / healthy[k].z_ref_m - 1.0) < 0.05
    for k in range(FRAMES - 3, FRAMES):
        assert_is_as_good(faces[k][0], healthy[k])
    counted = recon.depths_dropped if output in ("value", "mask_logit") else recon.values_dropped
    assert counted >= stretch
    assert len(caplog.records) == 1
    assert "counted" in caplog.text


@pytest.mark.parametrize("output", ["value", "mask_logit"])
def test_one_pixel_is_enough(
    output: str, recon: Reconstructor, frames: list[Frame], healthy: list[FaceReconstruction]
) -> None:
    faces = run(recon, frames, poisoned(output, NAN, share=0.0), [FIRST])
    assert recon.depths_dropped == 1
    assert_is_as_good(faces[FIRST + 8][0], healthy[FIRST + 8])


@pytest.mark.parametrize("output", ["value", "mask_logit"])
def test_the_first_frame_of_all(
    output: str,
    recon: Reconstructor,
    frames: list[Frame],
    healthy: list[FaceReconstruction],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is known yet: a face without depth, and counted as one."""
    with caplog.at_level(logging.WARNING, "rtrecon"):
        faces = run(recon, frames, poisoned(output, NAN), [0, 1])
    assert not faces[0][0].grid.valid.any()
    assert recon.faces_without_depth == 2
    assert "no depth" in caplog.text
    assert_is_as_good(faces[-1][0], healthy[-1])


def test_a_fault_that_lasts_is_not_hidden_behind_an_old_shape(
    recon: Reconstructor, frames: list[Frame], healthy: list[FaceReconstruction]
) -> None:
    at = range(2, 25)
    faces = run(recon, frames, poisoned("mask_logit", NAN), at)
    assert faces[2 + 10][0].grid.valid.any()
    assert not faces[24][0].grid.valid.any()
    assert recon.depths_dropped == len(at)
    assert recon.faces_without_depth > 5
    assert faces[-1][0].grid.valid.sum() > 0.98 * healthy[-1].grid.valid.sum()


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("kind", ["inverse", "metric"])
def test_networks_of_other_kinds(kind: str, value: float) -> None:
    """Which have a memory of their own: of slope and offset, of the distance."""
    scene = average_head((10.0, 5.0, 0.0))
    crop = scene.crop()
    good = scene.metric(crop) if kind == "metric" else scene.inverse(crop, 3.0, 0.4)
    stages = [GeometryStage(ipd_mm=scene.ipd_m * 1e3) for _ in range(2)]
    for k in range(14):
        said = poisoned("value", value)(good) if k == 6 else good
        bad, well = (
            scene.reconstruct(prediction, crop, stage, k * STEP_NS)
            for prediction, stage in zip((said, good), stages, strict=True)
        )
        assert np.isfinite(bad.points_camera).all()
        assert bad.z_ref_m == pytest.approx(well.z_ref_m, rel=0.01)
        assert (bad.grid.valid == well.grid.valid).all()
    np.testing.assert_allclose(bad.points_camera, well.points_camera, atol=1e-3)
    assert stages[0].depths_dropped == 1


def test_a_live_run_counts_it(frames: list[Frame]) -> None:
    recon = Reconstructor(provider="cpu", threads=1)
    recon.depth_model = Faulty(recon.depth_model, poisoned("mask_logit", NAN), [8, 9])  # type: ignore[assignment]
    with rtrecon.live("demo", reconstructor=recon, every_frame=True, max_frames=15) as session:
        session.wait()
        latest = session.latest()
    stats = session.stats()
    assert stats["depths_dropped"] == 2
    assert stats["faces_without_depth"] == 0
    assert stats["frames_with_face"] == 15
    assert latest is not None
    assert latest.faces[0].grid.valid.sum() > 10_000


@pytest.mark.parametrize("output", ["value", "mask_logit"])
def test_a_picture_keeps_what_is_sound(output: str, frames: list[Frame]) -> None:
    still = Reconstructor(provider="cpu", threads=1, temporal=False)
    (good,) = still(frames[0])
    still.depth_model = Faulty(still.depth_model, poisoned(output, NAN, share=0.05), [0])  # type: ignore[assignment]
    (face,) = still(frames[0])
    assert 0.25 < face.grid.valid.sum() / good.grid.valid.sum() < 1.0
    assert np.isfinite(face.points_camera).all()
    assert still.depths_dropped == 1


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(lambda k: -STEP_NS // 2 if k == FIRST else 0, id="one from before the last"),
        pytest.param(lambda k: -2 * STEP_NS if k >= FIRST else 0, id="set back by two frames"),
        pytest.param(lambda k: -STEP_NS if k == FIRST else 0, id="the same time twice"),
        pytest.param(lambda k: 86_400_000_000_000 if k >= FIRST else 0, id="a day later"),
        pytest.param(lambda k: 86_400_000_000_000 if k == FIRST else 0, id="a day, and back"),
        pytest.param(lambda k: -86_400_000_000_000 if k >= FIRST else 0, id="a day before"),
    ],
)
def test_times_that_no_clock_gives(
    times: object,
    recon: Reconstructor,
    frames: list[Frame],
    healthy: list[FaceReconstruction],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert callable(times)
    recon.times_refused = 0
    late = [Frame(f.image, f.index, f.t_capture_ns + times(k)) for k, f in enumerate(frames)]
    back = any(b.t_capture_ns < a.t_capture_ns for a, b in itertools.pairwise(late))
    with caplog.at_level(logging.WARNING, "rtrecon"):
        faces = run(recon, late)
    refused = recon.times_refused
    assert all(len(found) == 1 for found in faces)
    for (face,) in faces:
        assert_is_finite(face)
    assert_is_as_good(faces[-1][0], healthy[-1], by=0.08, px=2.0)
    assert (refused > 0) == back
    assert len(caplog.records) == back


def test_a_detector_that_goes_wrong_loses_a_frame_and_no_more(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recon = Reconstructor(provider="cpu", threads=1)
    refine, calls = Mtcnn.refine, iter(range(1000))

    def wrong(self: Mtcnn, *arguments: object) -> list[Face]:
        found = refine(self, *arguments)  # type: ignore[arg-type]
        if next(calls) != FIRST:
            return found
        return [dataclasses.replace(f, box_px=np.full(4, NAN, np.float32)) for f in found]

    monkeypatch.setattr(Mtcnn, "refine", wrong)
    with caplog.at_level(logging.WARNING, "rtrecon"):
        faces = [recon(frame) for frame in frames[:25]]
    assert {face.id for found in faces for face in found} == {0}
    assert sum(len(found) for found in faces) >= 24
    assert np.isfinite(faces[-1][0].box_px).all()
    assert recon.values_dropped == 1
    assert len(caplog.records) == 1


def test_filters_refuse_what_is_not_finite() -> None:
    number, turn = ScalarFilter(0.001, 0.0001), RotationFilter(0.004, 0.0003)
    for _ in range(20):
        number.update(0.5, 0.033)
        turn.update(np.eye(3), 0.033)
    for wrong in (NAN, INF, -INF):
        assert number.update(wrong, 0.033) == pytest.approx(0.5)
        np.testing.assert_allclose(turn.update(np.full((3, 3), wrong), 0.033), np.eye(3), atol=1e-9)
    assert number.update(0.5, 0.033) == pytest.approx(0.5)


def test_figures_stay_numbers() -> None:
    samples = Samples(8)
    for value in (1.0, NAN, INF, -5.0, 3.0):
        samples.add(value)
    assert samples.percentiles()["p50"] == 2.0
    assert samples.refused == 3
    stats = RunStats()
    for t_ns in (10**9, 2 * 10**9, 10**9, 0):  # a clock that was set back
        stats.add_frame(0, t_ns, has_face=True)
    assert stats.recent_fps == 0.0
    assert stats.fps >= 0.0
