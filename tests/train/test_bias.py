"""Bias is measured on pairs: the same heads, one thing changed."""

import pytest

pytest.importorskip("moderngl")
pytest.importorskip("torch")

from rtrecon.errors import RtreconError
from rtrecon.train.bias import BiasRow, bias_table, measure_bias


def test_rows_are_paired_over_the_same_heads(face_model_path):
    try:
        rows = measure_bias("face-dpt", face_model_path, heads=3)
    except RtreconError as error:
        pytest.skip(str(error))
    by_group = {row.group: row for row in rows}
    assert len({row.heads for row in rows}) == 1
    pale, dark = by_group["pale"], by_group["dark"]
    assert pale.difference_mm == 0.0
    assert dark.difference_mm == pytest.approx(dark.depth_mm - pale.depth_mm, abs=1e-6)
    assert all(0.5 < row.depth_mm < 15 and 3 < row.normal_deg < 40 for row in rows)


def test_table_has_a_line_for_each_group():
    text = bias_table([BiasRow("pale", 7, 4.0, 13.0, 0.0, 0.0)])
    assert text.splitlines()[-1] == "| pale | 7 | 4.00 mm | 13.0 degrees | +0.00 ± 0.00 mm |"
