from __future__ import annotations

import pytest

from rtrecon.bench.combination import combinations, common, labels, round_order
from rtrecon.bench.config import BenchConfig
from rtrecon.errors import UserError


def test_every_combination_once() -> None:
    config = BenchConfig(
        models=("a", "b", "a"), precisions=("auto", "fp32"), faces=(1, 4), sizes=("1280x720",)
    )
    found = combinations(config, (640, 480))
    assert len(found) == len(set(found)) == 8
    assert {(c.width_px, c.height_px) for c in found} == {(1280, 720)}
    assert {c.precision for c in found} == {None, "fp32"}
    assert {c.threads for c in found} == {None}


def test_the_source_gives_the_size_if_none_is_asked_for() -> None:
    (only,) = combinations(BenchConfig(threads=(2,)), (320, 240))
    assert (only.width_px, only.height_px, only.threads) == (320, 240, 2)


def test_labels_name_what_differs() -> None:
    config = BenchConfig(models=("a", "b"), faces=(1, 2))
    assert labels(combinations(config, (640, 480))) == [
        "a, 1 face", "a, 2 faces", "b, 1 face", "b, 2 faces",
    ]  # fmt: skip
    assert labels(combinations(BenchConfig(), (640, 480))) == ["face-dpt"]
    config = BenchConfig(models=("x/a", "y/b"))
    assert labels(combinations(config, (640, 480))) == ["a", "b"]
    config = BenchConfig(models=("x/a", "y/a"))
    assert labels(combinations(config, (640, 480))) == ["x/a", "y/a"]
    config = BenchConfig(precisions=("auto", "fp32"), threads=(1, 2))
    rows = combinations(config, (640, 480))
    assert labels(rows)[1:3] == ["auto precision, 2 threads", "fp32, 1 thread"]
    assert common(rows) == "face-dpt, auto provider, 640x480, 1 face"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_rounds_are_interleaved_and_favour_nobody(count: int) -> None:
    rounds = [round_order(count, k) for k in range(2 * count)]
    assert all(sorted(order) == list(range(count)) for order in rounds)
    places = [sum(order.index(k) for order in rounds) for k in range(count)]
    assert len(set(places)) == 1
    if count > 1:
        assert rounds[0] != rounds[1]
    assert round_order(0, 0) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seconds": 0.0}, "--seconds"),
        ({"repeat": 0}, "--repeat"),
        ({"rate": 0.1}, "--rate"),
        ({"faces": (0,)}, "--faces"),
        ({"threads": (0,)}, "--threads"),
        ({"models": ()}, "--models"),
        ({"sizes": ("big",)}, "1280x720"),
        ({"sizes": ("8x8",)}, "--sizes"),
    ],
)
def test_wrong_options_are_explained(options: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        BenchConfig(**options)  # type: ignore[arg-type]
