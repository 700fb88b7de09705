import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.faces.boxes import iou
from rtrecon.faces.tracker import FaceTracker
from rtrecon.types import Face
from tests.faces.scenes import HEIGHT, Pose, portrait, scene, unit

RATE_HZ = 30
ALICE = portrait()
BERTA = portrait(tint=(1.5, 0.8, 0.5), mirrored=True)


def _t_ns(k):
    return round(k * 1e9 / RATE_HZ)


def _play(tracker, frames, start=0):
    """Feed pictures; gives the tracked faces of each."""
    return [tracker.update(image, _t_ns(start + k)) for k, image in enumerate(frames)]


def _center(tracked):
    return tracked.face.landmarks_px.mean(axis=0)


def _wander(k):
    t = k / RATE_HZ
    return Pose(
        320 + 140 * np.sin(1.7 * t),
        240 + 50 * np.sin(2.3 * t),
        140 + 40 * np.sin(0.9 * t),
        0.25 * np.sin(1.3 * t),
    )


def test_a_moving_face_is_never_lost_and_never_far(mtcnn):
    rng = np.random.default_rng(0)
    tracker = FaceTracker(mtcnn)
    for k in range(300):
        pose = _wander(k)
        image = scene([(ALICE, pose)], noise=rng, gain=1 + 0.4 * np.sin(0.8 * k / RATE_HZ))
        (tracked,) = tracker.update(image, _t_ns(k))
        assert tracked.id == 0
        assert tracked.age_frames == k
        truth = pose.landmarks()
        off = np.linalg.norm(tracked.face.landmarks_px - truth, axis=1).max()
        assert off < 0.12 * unit(truth)
        if k > 5 and abs(pose.roll_rad) < 0.1:
            # The box of the portrait, moved as its landmarks are.
            M = pose.matrix()
            corners = np.array([[181.0, 62.2], [267.7, 172.0]]) @ M[:, :2].T + M[:, 2]
            assert iou(tracked.face.box_px, corners.reshape(4)) > 0.7
    stats = tracker.stats
    assert stats.faces_lost == 0
    assert stats.newcomers == 1
    assert stats.tracked_frames == 300
    assert stats.full_detections < 10


def test_a_still_face_is_still(mtcnn):
    rng = np.random.default_rng(1)
    tracker = FaceTracker(mtcnn)
    images = (scene([(ALICE, Pose(330, 240))], noise=rng) for _ in range(90))
    marks = np.array([faces[0].face.landmarks_px for faces in _play(tracker, images)])
    assert marks[20:].std(axis=0).max() < 0.1
    assert np.abs(np.diff(marks[20:], axis=0)).max() < 0.15


def test_a_fast_face_is_followed_without_visible_lag(mtcnn):
    tracker = FaceTracker(mtcnn)
    lags = []
    for k in range(40):
        pose = Pose(140 + 9 * k, 240)  # 270 px/s: five lengths a second
        (tracked,) = tracker.update(scene([(ALICE, pose)]), _t_ns(k))
        lags.append(pose.x - _center(tracked)[0])
    still = FaceTracker(mtcnn).update(scene([(ALICE, Pose(300, 240))]), 0)[0]
    lag = np.mean(lags[15:]) - (300 - _center(still)[0])
    assert abs(lag) < 0.03 * HEIGHT


def test_a_lost_face_is_counted_once_and_returns_under_its_id(mtcnn):
    tracker = FaceTracker(mtcnn)
    here, empty = scene([(ALICE, Pose(300, 240))]), scene([])
    _play(tracker, [here] * 5)
    gone = _play(tracker, [empty] * 12, start=5)
    assert all(faces == [] for faces in gone)
    assert tracker.stats.faces_lost == 1
    back = _play(tracker, [here] * 3, start=17)
    assert [f.id for faces in back for f in faces] == [0, 0, 0]
    assert tracker.stats.newcomers == 1


def test_after_long_it_is_another_face(mtcnn):
    tracker = FaceTracker(mtcnn)
    here, empty = scene([(ALICE, Pose(300, 240))]), scene([])
    _play(tracker, [here] * 3)
    tracker.update(empty, _t_ns(4))
    tracker.update(empty, _t_ns(20))
    assert tracker.stats.faces_lost == 1
    (face,) = tracker.update(here, _t_ns(51))
    assert face.id == 1
    assert face.age_frames == 0


def test_a_jump_of_the_face_is_found_at_once(mtcnn):
    tracker = FaceTracker(mtcnn)
    _play(tracker, [scene([(ALICE, Pose(150, 200))])] * 5)
    seen = _play(tracker, [scene([(ALICE, Pose(500, 300))])] * 8, start=5)
    assert [len(faces) for faces in seen[-3:]] == [1, 1, 1]
    assert np.abs(_center(seen[-1][0]) - [500, 300]).max() < 5


@pytest.mark.parametrize("offset_px", [0, 25])
def test_two_faces_keep_their_ids_when_they_cross(mtcnn, offset_px):
    """One passes behind the other; both are named at the end as at the start."""
    tracker = FaceTracker(mtcnn, max_faces=2)
    rng = np.random.default_rng(2)
    names = {}
    for k in range(100):
        back = Pose(120 + 4 * k, 240 - offset_px, 110)
        front = Pose(520 - 4 * k, 245, 130)
        faces = tracker.update(scene([(BERTA, back), (ALICE, front)], noise=rng), _t_ns(k))
        for name, pose in (("front", front), ("back", back)):
            near = [f.id for f in faces if np.abs(_center(f) - [pose.x, pose.y]).max() < 25]
            names.setdefault(name, []).append(near)
    assert names["front"][5] != names["back"][5]
    assert names["front"][-1] == names["front"][5] != []
    assert names["back"][-1] == names["back"][5] != []
    assert tracker.stats.newcomers == 2


def test_newcomers_are_found_and_the_first_stays_first(mtcnn):
    tracker = FaceTracker(mtcnn, max_faces=3, redetect_every=10)
    alone = [(ALICE, Pose(180, 240, 130))]
    _play(tracker, [scene(alone)] * 5)
    both = [*alone, (BERTA, Pose(470, 240, 170))]
    seen = _play(tracker, [scene(both)] * 12, start=5)
    assert [f.id for f in seen[-1]] == [0, 1]
    assert abs(_center(seen[-1][0])[0] - 180) < 8
    assert tracker.stats.newcomers == 2


def test_one_face_asked_for_stays_with_the_first(mtcnn):
    tracker = FaceTracker(mtcnn, max_faces=1, redetect_every=3)
    alone = [(ALICE, Pose(180, 240, 130))]
    _play(tracker, [scene(alone)] * 5)
    both = [*alone, (BERTA, Pose(470, 240, 200))]
    for faces in _play(tracker, [scene(both)] * 20, start=5):
        assert [f.id for f in faces] == [0]
        assert abs(_center(faces[0])[0] - 180) < 8


def test_the_largest_is_taken_first(mtcnn):
    image = scene([(ALICE, Pose(160, 240, 110)), (BERTA, Pose(450, 240, 200))])
    (face,) = FaceTracker(mtcnn, max_faces=1).update(image, 0)
    assert abs(_center(face)[0] - 450) < 10


def test_a_track_on_something_else_is_dropped(mtcnn):
    tracker = FaceTracker(mtcnn)
    _play(tracker, [scene([(ALICE, Pose(300, 240))])] * 3)
    noise = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert _play(tracker, [noise] * 6, start=3)[-1] == []
    assert tracker.stats.faces_lost == 1


def test_a_face_at_the_border_is_followed(mtcnn):
    tracker = FaceTracker(mtcnn)
    for k in range(60):
        pose = Pose(300 - 4.6 * k, 240, 150)  # ends with an eye outside
        faces = tracker.update(scene([(ALICE, pose)]), _t_ns(k))
        if pose.x > 60:
            (face,) = faces
            off = np.linalg.norm(face.face.landmarks_px - pose.landmarks(), axis=1).max()
            assert off < 0.2 * unit(pose.landmarks())


def test_depends_on_the_frames_times_alone(mtcnn):
    def run():
        rng = np.random.default_rng(4)
        tracker = FaceTracker(mtcnn)
        images = [scene([(ALICE, _wander(k))], noise=rng) for k in range(20)]
        return [faces[0].face.landmarks_px for faces in _play(tracker, images)]

    np.testing.assert_array_equal(run(), run())


def test_another_size_or_an_earlier_time_begins_anew(mtcnn):
    tracker = FaceTracker(mtcnn)
    image = scene([(ALICE, Pose(300, 240))])
    assert tracker.update(image, _t_ns(100))[0].id == 0
    assert tracker.update(image, _t_ns(1))[0].id == 1
    small = scene([(ALICE, Pose(150, 110, 90))], 320, 240)
    assert tracker.update(small, _t_ns(2))[0].id == 2
    assert tracker.stats.faces_lost == 2


def test_the_same_time_twice_is_no_harm(mtcnn):
    tracker = FaceTracker(mtcnn)
    image = scene([(ALICE, Pose(300, 240))])
    for _ in range(3):
        (face,) = tracker.update(image, 5)
        assert np.isfinite(face.face.landmarks_px).all()


class _Scripted:
    """A detector that finds what a test says: ``detected``, and when following ``followed``."""

    def __init__(self, detected, followed):
        self.detected, self.followed = detected, followed

    def detect_live(self, image, min_face_px):
        return self.detected

    def refine(self, image, squares):
        return [self.followed] * len(squares)


def _face(score):
    marks = Pose(300, 240).landmarks().astype(np.float32)
    return Face(np.array([230, 150, 370, 300], dtype=np.float32), marks, score)


def test_a_doubtful_face_that_the_detector_no_longer_finds_is_dropped():
    detector = _Scripted([_face(0.95)], _face(0.65))
    tracker = FaceTracker(detector, redetect_every=10)
    empty = scene([])
    assert len(tracker.update(empty, 0)) == 1
    detector.detected = []
    seen = [len(faces) for faces in _play(tracker, [empty] * 60, start=1)]
    assert seen[0] == 1
    assert seen[-1] == 0
    assert tracker.stats.faces_lost == 1


def test_a_sure_face_that_the_detector_misses_is_kept():
    detector = _Scripted([_face(0.99)], _face(0.99))
    tracker = FaceTracker(detector, redetect_every=5)
    empty = scene([])
    tracker.update(empty, 0)
    detector.detected = []
    seen = _play(tracker, [empty] * 100, start=1)
    assert all(len(faces) == 1 for faces in seen)


def test_a_doubtful_newcomer_is_taken_only_where_there_is_no_other():
    sure, doubtful = _face(0.99), _face(0.8)
    doubtful = Face(doubtful.box_px + 250, doubtful.landmarks_px + 250, doubtful.score)
    empty = scene([])
    both = FaceTracker(_Scripted([sure, doubtful], sure), max_faces=2)
    assert len(both.update(empty, 0)) == 1
    alone = FaceTracker(_Scripted([doubtful], doubtful), max_faces=2)
    assert len(alone.update(empty, 0)) == 1


def test_full_detection_is_rare_while_all_are_followed():
    detector = _Scripted([_face(0.99)], _face(0.99))
    empty = scene([])
    full, room = FaceTracker(detector), FaceTracker(detector, max_faces=2)
    for k in range(121):
        full.update(empty, _t_ns(k))
        room.update(empty, _t_ns(k))
    assert full.stats.full_detections == 2
    assert room.stats.full_detections == 5


def test_says_what_it_did(mtcnn, caplog):
    tracker = FaceTracker(mtcnn)
    here, empty = scene([(ALICE, Pose(300, 240))]), scene([])
    with caplog.at_level("INFO", logger="rtrecon"):
        tracker.update(here, 0)
        assert tracker.stats.detect_ns > 0
        assert tracker.stats.track_ns == 0
        tracker.update(here, _t_ns(1))
        assert tracker.stats.detect_ns == 0
        assert tracker.stats.track_ns > 0
        _play(tracker, [empty] * 8, start=2)
        _play(tracker, [here] * 2, start=10)
        _play(tracker, [empty] * 8, start=12)
    assert tracker.stats.faces_lost == 2
    assert [r.message for r in caplog.records].count("face 0 was lost; looking for it") == 1


def test_refuses_what_is_no_picture(mtcnn):
    with pytest.raises(DataError, match="BGR"):
        FaceTracker(mtcnn).update(np.zeros((48, 48), dtype=np.uint8), 0)
