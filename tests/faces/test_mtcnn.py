import json
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

import rtrecon.faces
from rtrecon.errors import DataError, ModelError
from rtrecon.faces.boxes import iou
from rtrecon.faces.mtcnn import Mtcnn, _shipped_folder
from tests.faces.scenes import DATA, Pose, portrait, scene

SHARED = Path(__file__).parents[3] / "shared/data/faces"


def _goldens():
    for folder in (DATA, SHARED):
        path = folder / "mtcnn_golden.json"
        if path.is_file():
            golden = json.loads(path.read_text(encoding="utf-8"))
            for entry in golden["images"]:
                yield pytest.param(
                    folder / entry["file"], golden["parameters"], entry["faces"], id=entry["file"]
                )


@pytest.mark.parametrize(("path", "parameters", "expected"), list(_goldens()))
def test_gives_the_answers_of_facenet_pytorch(mtcnn, path, parameters, expected):
    faces = mtcnn.detect(
        cv2.imread(str(path)),
        min_face_px=parameters["min_face_size"],
        thresholds=tuple(parameters["thresholds"]),
        factor=parameters["factor"],
    )
    assert len(faces) == len(expected)
    for face, truth in zip(faces, expected, strict=True):
        assert iou(face.box_px, np.array(truth["box"])) > 0.99
        np.testing.assert_allclose(face.landmarks_px, truth["landmarks"], atol=0.2)
        assert face.score == pytest.approx(truth["prob"], abs=0.001)
        assert face.box_px.dtype == face.landmarks_px.dtype == np.float32


def test_finds_no_face_below_the_least_size(mtcnn):
    image = cv2.imread(str(DATA / "small.jpg"))
    assert len(mtcnn.detect(image, min_face_px=20)) == 1
    assert mtcnn.detect(image, min_face_px=80) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (12, 12), (48, 31), (480, 640)])
def test_a_black_picture_of_any_size_has_no_face(mtcnn, shape):
    assert mtcnn.detect(np.zeros((*shape, 3), dtype=np.uint8)) == []


def test_reads_a_view_that_is_not_contiguous(mtcnn):
    image = cv2.imread(str(DATA / "portrait.jpg"))
    wide = np.zeros((512, 700, 3), dtype=np.uint8)
    wide[:, 100:612] = image
    view = wide[:, 100:612]
    np.testing.assert_array_equal(mtcnn.detect(view)[0].box_px, mtcnn.detect(image)[0].box_px)


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        (np.zeros((40, 40), dtype=np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((40, 40, 1), dtype=np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((40, 40, 4), dtype=np.uint8), "COLOR_BGRA2BGR"),
        (np.zeros((40, 40, 3), dtype=np.uint16), "uint16"),
        (np.zeros((40, 40, 3), dtype=np.float32), "float32"),
        (np.zeros((0, 40, 3), dtype=np.uint8), "empty"),
        ([[1, 2], [3, 4]], "list"),
        (None, "NoneType"),
    ],
)
def test_refuses_what_is_no_picture_and_says_what_to_do(image, remedy):
    with pytest.raises(DataError, match=remedy):
        rtrecon.faces.detect_faces(image)


def test_refuses_parameters_out_of_range(mtcnn):
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="min_face_px"):
        mtcnn.detect(image, min_face_px=0)
    with pytest.raises(DataError, match="factor"):
        mtcnn.detect(image, factor=1.0)


def test_detect_faces_serves_several_threads():
    image = cv2.imread(str(DATA / "several.jpg"))
    found = {}

    def work(k):
        found[k] = [rtrecon.faces.detect_faces(image) for _ in range(2)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [face.box_px for face in rtrecon.faces.detect_faces(image)]
    for answers in found.values():
        for faces in answers:
            np.testing.assert_array_equal([f.box_px for f in faces], expected)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (1919, 1081), (3840, 2160)])
def test_live_detection_finds_the_same_face_at_every_size(mtcnn, size):
    width, height = size
    pose = Pose(0.6 * width, 0.45 * height, height_px=0.3 * height, roll_rad=0.1)
    image = scene([(portrait(), pose)], width, height)
    (face,) = mtcnn.detect_live(image, min_face_px=60)
    error = np.abs(face.landmarks_px - pose.landmarks()).max()
    assert error < 0.03 * pose.height_px


def test_refine_finds_the_landmarks_where_the_square_is_off(mtcnn):
    pose = Pose(300, 220, height_px=150)
    image = scene([(portrait(), pose)])
    squares = [
        (300 + dx - half, 215 + dy - half, 300 + dx + half, 215 + dy + half)
        for dx, dy, half in ((0, 0, 70), (12, -8, 70), (-10, 10, 80), (0, 0, 62))
    ]
    faces = mtcnn.refine(image, np.array(squares, dtype=np.float32))
    assert len(faces) == len(squares)
    for face in faces:
        assert face.score > 0.95
        assert np.abs(face.landmarks_px - pose.landmarks()).max() < 6


def test_refine_keeps_landmarks_true_at_the_border(mtcnn):
    inside = scene([(portrait(), Pose(300, 220, height_px=150))])
    (whole,) = mtcnn.refine(inside, np.array([[228, 143, 372, 287]], dtype=np.float32))
    cut = np.ascontiguousarray(inside[:, 250:])
    (part,) = mtcnn.refine(cut, np.array([[-22, 143, 122, 287]], dtype=np.float32))
    visible = [1, 2, 4]  # right eye, nose, right mouth corner
    shift = whole.landmarks_px[visible] - part.landmarks_px[visible]
    np.testing.assert_allclose(shift, np.tile([250, 0], (3, 1)), atol=12)


def test_refine_of_nothing_is_no_face(mtcnn):
    image = np.full((100, 100, 3), 90, dtype=np.uint8)
    squares = np.array([[-300, -300, -200, -200], [500, 20, 560, 80], [40, 40, 40, 40]], np.float32)
    assert all(face.score < 0.5 for face in mtcnn.refine(image, squares))


def test_damaged_networks_are_refused(tmp_path):
    folder = tmp_path / "mtcnn"
    shutil.copytree(_shipped_folder(), folder)
    content = bytearray((folder / "rnet.onnx").read_bytes())
    content[1000] ^= 1
    (folder / "rnet.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"rnet\.onnx is damaged"):
        Mtcnn(folder)
    (folder / "rnet.onnx").unlink()
    with pytest.raises(ModelError, match=r"rnet\.onnx"):
        Mtcnn(folder)
