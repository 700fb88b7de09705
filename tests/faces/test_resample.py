import numpy as np
import pytest

from rtrecon.faces.resample import AreaSampler, pixel_spans


def _mean_of_touched_pixels(image, rows, columns):
    """Adaptive average pooling by its definition."""
    height, width = image.shape[:2]
    out = np.empty((3, rows, columns))
    for r in range(rows):
        y0, y1 = r * height // rows, -(-(r + 1) * height // rows)
        for c in range(columns):
            x0, x1 = c * width // columns, -(-(c + 1) * width // columns)
            out[:, r, c] = image[y0:y1, x0:x1].mean(axis=(0, 1))
    return out


@pytest.mark.parametrize("size", [(9, 7), (20, 31), (37, 53), (50, 60), (1, 1)])
def test_resize_is_adaptive_average_pooling(size):
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    sampler = AreaSampler()
    sampler.load(image)
    np.testing.assert_allclose(
        sampler.resize(*size)[0], _mean_of_touched_pixels(image, *size), rtol=1e-5
    )


def test_crops_are_adaptive_average_pooling_of_their_rectangles():
    image = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    sampler = AreaSampler()
    sampler.load(image)
    spans = np.array([[0, 0, 80, 60], [10, 20, 13, 50], [79, 59, 80, 60]], dtype=np.int32)
    for crop, (x0, y0, x1, y1) in zip(sampler.crops(spans, 24), spans, strict=True):
        expected = _mean_of_touched_pixels(image[y0:y1, x0:x1], 24, 24)
        np.testing.assert_allclose(crop, expected, rtol=1e-5)


def test_a_smaller_picture_after_a_larger_one():
    rng = np.random.default_rng(2)
    sampler = AreaSampler()
    for shape in ((90, 70, 3), (20, 30, 3), (50, 100, 3)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        sampler.load(image)
        np.testing.assert_allclose(
            sampler.resize(11, 13)[0], _mean_of_touched_pixels(image, 11, 13), rtol=1e-5
        )


def test_sums_that_wrap_around_are_right_all_the_same():
    image = np.full((3000, 3100, 3), 255, dtype=np.uint8)  # 2.37e9 in all
    image[-100:, -100:] = 200
    sampler = AreaSampler()
    sampler.load(image)
    small = sampler.resize(30, 31)
    assert small[0, 0, 0, 0] == pytest.approx(255)
    assert small[0, 0, -1, -1] == pytest.approx(200)


def test_spans_count_from_one_and_end_at_the_borders():
    boxes = np.array([[-4.2, -3, 10.9, 12.1], [5.7, 6.2, 300, 200]], dtype=np.float32)
    np.testing.assert_array_equal(pixel_spans(boxes, 100, 80), [[0, 0, 10, 12], [4, 5, 100, 80]])
