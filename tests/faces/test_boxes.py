import numpy as np
import pytest

from rtrecon.faces.boxes import iou, move, nms, nms_min, square


def _boxes(*rows):
    return np.array(rows, dtype=np.float32)


def test_nms_keeps_the_best_of_each_cluster_best_first():
    boxes = _boxes([0, 0, 10, 10], [100, 0, 110, 10], [1, 0, 11, 10], [101, 1, 111, 11])
    scores = np.array([0.8, 0.7, 0.9, 0.95], dtype=np.float32)
    assert nms(boxes, scores, 0.5).tolist() == [3, 2]


def test_nms_keeps_an_overlap_of_just_the_threshold():
    boxes = _boxes([0, 0, 10, 10], [0, 0, 10, 5])
    scores = np.array([0.9, 0.8], dtype=np.float32)
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.49).tolist() == [0]


def test_nms_spares_what_only_overlaps_a_box_that_is_gone():
    boxes = _boxes([0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10])
    scores = np.array([0.9, 0.8, 0.7], dtype=np.float32)
    assert nms(boxes, scores, 0.3).tolist() == [0, 2]


@pytest.mark.parametrize("suppress", [nms, nms_min])
def test_nms_of_none_and_one(suppress):
    assert suppress(_boxes().reshape(0, 4), np.zeros(0, np.float32), 0.5).tolist() == []
    assert suppress(_boxes([0, 0, 1, 1]), np.ones(1, np.float32), 0.5).tolist() == [0]


def test_nms_min_drops_a_small_box_within_a_large_one():
    boxes = _boxes([0, 0, 100, 100], [40, 40, 50, 50])
    scores = np.array([0.9, 0.8], dtype=np.float32)
    assert nms_min(boxes, scores, 0.7).tolist() == [0]
    assert nms(boxes, scores, 0.7).tolist() == [0, 1]


def test_square_keeps_centre_and_longer_side():
    np.testing.assert_allclose(square(_boxes([10, 0, 20, 40])), [[-5, 0, 35, 40]])
    assert square(_boxes().reshape(0, 4)).shape == (0, 4)


def test_move_is_in_shares_of_the_inclusive_size():
    moved = move(_boxes([0, 0, 9, 19]), _boxes([0.1, 0.1, -0.1, 0]))
    np.testing.assert_allclose(moved, [[1, 2, 8, 19]])


def test_iou():
    a, b = _boxes([0, 0, 10, 10], [5, 0, 15, 10])
    assert iou(a, b) == pytest.approx(1 / 3)
    assert iou(a, a) == 1.0
    assert iou(a, a + 50) == 0.0
