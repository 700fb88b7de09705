"""A server of the test's own, on a port that is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from rtrecon.output import Run
from rtrecon.outputs.web.output import WebOutput

Start = Callable[..., WebOutput]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers; all are closed at the end."""
    opened: list[WebOutput] = []

    def make(target: str = "127.0.0.1:0", run: Run | None = None, **options: Any) -> WebOutput:
        output = WebOutput(target, **{"open": False, **options})
        output.open(run or Run(source="a test", model="dome", provider="cpu"))
        opened.append(output)
        return output

    yield make
    for output in opened:
        output.close()
