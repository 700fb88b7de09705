"""A tenth of the light: faces are found and followed as in daylight, which stays as it was."""

import cv2
import numpy as np
import pytest

from rtrecon.errors import RtreconError
from rtrecon.faces.boxes import iou
from rtrecon.faces.detect import detect_faces
from rtrecon.faces.light import brighten, gain_beside_lamps, gain_for
from rtrecon.faces.tracker import FaceTracker
from tests.faces.scenes import DATA, Pose, portrait, scene, unit

HEADS = DATA.parent / "head-clip" / "rgb"
FULL_WELL = 8000  # electrons at white; noise of a small sensor
READ_NOISE = 2.0


def tenth_of_the_light(image, rng):
    """What a camera sees whose exposure cannot follow: a tenth of the photons, 8 bit sRGB."""
    encoded = image.astype(np.float32) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    electrons = rng.poisson(0.1 * FULL_WELL * linear) + rng.normal(0, READ_NOISE, image.shape)
    dark = np.clip(electrons / FULL_WELL, 0, 1)
    encoded = np.where(dark <= 0.0031308, 12.92 * dark, 1.055 * dark ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def tenth_of_the_levels(image, rng):
    """Harsher: a tenth of the grey levels, of which noise covers two."""
    return np.clip(np.round(0.1 * image + rng.normal(0, 2, image.shape)), 0, 255).astype(np.uint8)


def share_found(detect, images, darken):
    """Of the faces that ``detect`` finds by day, how many it finds in the dark."""
    rng = np.random.default_rng(0)
    found = total = 0
    for image in images:
        by_day = [face for face in detect(image) if face.score > 0.9]
        in_the_dark = detect(darken(image, rng))
        found += sum(any(iou(a.box_px, b.box_px) > 0.5 for b in in_the_dark) for a in by_day)
        total += len(by_day)
    assert total > 0.8 * len(images)
    return found / total


@pytest.fixture(scope="module")
def pictures():
    """Portraits, several in a room, and drawn heads: twenty faces."""
    names = ["portrait.jpg", "several.jpg", "rotated.jpg", "border.jpg", "odd.jpg", "small.jpg"]
    heads = sorted(HEADS.glob("*.png"))[::2]
    return [cv2.imread(str(path)) for path in [*(DATA / name for name in names), *heads]]


@pytest.fixture(scope="module")
def strangers(shared_data, face_model_path):
    """Official portraits, and stills of heads drawn for this."""
    pytest.importorskip("moderngl")
    from rtrecon.train.face_model import FaceModel
    from rtrecon.train.heads.frames import FrameRenderer

    try:
        renderer = FrameRenderer(FaceModel.load(face_model_path), 320)
    except RtreconError as error:
        pytest.skip(str(error))
    names = ("obama.jpg", "biden.jpg", "astronaut.png")
    images = [cv2.imread(str(shared_data / "faces" / name)) for name in names]
    images = [cv2.resize(image, (480, 480 * len(image) // image.shape[1])) for image in images]
    images += [renderer.still(seed, most_yaw_deg=30).image for seed in range(600, 616)]
    renderer.close()
    return [image for image in images if detect_faces(image)]


@pytest.mark.parametrize("darken", [tenth_of_the_light, tenth_of_the_levels])
def test_it_costs_no_more_than_one_face_in_ten(mtcnn, pictures, darken):
    assert share_found(detect_faces, pictures, darken) >= 0.9
    live = [image for image in pictures if min(image.shape[:2]) >= 320]
    assert share_found(lambda image: mtcnn.detect_live(image, 40), live, darken) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("darken", [tenth_of_the_light, tenth_of_the_levels])
def test_nor_of_strangers(strangers, darken):
    assert share_found(detect_faces, strangers, darken) >= 0.9


@pytest.mark.parametrize("darken", [tenth_of_the_light, tenth_of_the_levels])
def test_a_face_in_the_dark_is_followed_as_truly_as_by_day(mtcnn, darken):
    rng = np.random.default_rng(1)
    tracker = FaceTracker(mtcnn)
    for k in range(40):
        pose = Pose(250 + 3 * k, 240, 150)
        image = darken(scene([(portrait(), pose)]), rng)
        (tracked,) = tracker.update(image, round(k * 1e9 / 30))
        off = np.linalg.norm(tracked.face.landmarks_px - pose.landmarks(), axis=1).max()
        assert off < 0.15 * unit(pose.landmarks())
    assert tracker.stats.faces_lost == 0
    assert tracker.stats.full_detections == 1


def test_a_lamp_in_the_picture_hides_no_face(mtcnn, pictures):
    def with_lamp(image, rng):
        dark = tenth_of_the_levels(image, rng)
        radius = round(0.09 * min(dark.shape[:2]))
        cv2.circle(dark, (radius, radius), radius, (235, 250, 255), -1)
        return dark

    live = [image for image in pictures if min(image.shape[:2]) >= 320]
    assert share_found(lambda image: mtcnn.detect_live(image, 40), live, with_lamp) >= 0.85


def test_a_window_behind_the_head_does_not_lose_it(mtcnn):
    rng = np.random.default_rng(2)
    pose = Pose(320, 240, 150)
    image = tenth_of_the_levels(scene([(portrait(), pose)]), rng)
    window = np.full(image.shape[:2], 255, dtype=np.uint8)
    cv2.ellipse(window, (320, 235), (62, 92), 0, 0, 360, 0, -1)
    window[235:, 220:420] = 0
    image[window > 0] = 240
    square = np.array([[240, 160, 400, 320]], dtype=np.float32)
    assert mtcnn.refine(image, square)[0].score > 0.9


def test_there_is_no_face_in_an_empty_dark_room(mtcnn):
    rng = np.random.default_rng(3)
    for level in (0, 2, 8):
        noise = rng.normal(level, 3, (480, 640, 3)).clip(0, 255).astype(np.uint8)
        assert mtcnn.detect_live(noise) == []
    empty = cv2.imread(str(DATA / "none.jpg"))
    for darken in (tenth_of_the_light, tenth_of_the_levels):
        assert detect_faces(darken(empty, rng)) == []


def test_daylight_is_left_as_it_is(mtcnn, pictures):
    for image in pictures:
        assert gain_for(image) == 1.0
        assert brighten(image, 1.0) is image
        plain, lit = mtcnn.detect(image), mtcnn.detect(image, evens_dark=True)
        np.testing.assert_array_equal([f.box_px for f in lit], [f.box_px for f in plain])
        np.testing.assert_array_equal(
            [f.landmarks_px for f in lit], [f.landmarks_px for f in plain]
        )


def test_a_lit_face_before_a_black_wall_is_not_dark():
    image = np.full((480, 640, 3), 6, dtype=np.uint8)
    image[200:260, 300:352] = 150  # a hundredth of the picture
    assert gain_for(image) == 1.0
    assert gain_beside_lamps(image) > 10


def test_the_gain_fades_and_is_bounded():
    gains = [gain_for(np.full((90, 120, 3), level, dtype=np.uint8)) for level in range(256)]
    brightness = np.array(gains) * np.arange(256)
    assert max(gains) == 20.0
    assert gains[128:] == [1.0] * 128
    assert np.abs(np.diff(brightness)).max() < 21  # never from one look to another
    assert (np.diff(gains) <= 0).all()
    assert gain_for(np.full((90, 120, 3), (0, 0, 200), dtype=np.uint8)) == 1.0  # red light
