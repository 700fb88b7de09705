import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from rtrecon.train.latency import format_table, measure_sizes
from rtrecon.train.network import SIZES, FaceDpt, NetworkConfig
from tests.train.test_network import SMALL


def test_a_row_for_each_network():
    rows = measure_sizes({"small": SMALL}, runs=2, rounds=1)
    (row,) = rows
    assert row.parameters == sum(p.numel() for p in FaceDpt(SMALL).parameters())
    assert set(row.cpu_ms) == set(row.wall_ms) == {1, 2}
    assert min(row.wall_ms.values()) > 0
    table = format_table(rows).splitlines()
    assert len(table) == 3
    assert len({line.count("|") for line in table}) == 1


def test_the_sizes_differ_from_the_shipped_one():
    assert SIZES["shipped"] == NetworkConfig()
    assert len(set(SIZES.values())) == len(SIZES)
