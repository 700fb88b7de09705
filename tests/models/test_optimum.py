"""Why an installed optimum is not what exports, in words."""

from __future__ import annotations

import importlib.metadata
import sys
import types

import pytest

from rtrecon.models import optimum

VERSIONS = {"optimum-onnx": "0.1.0", "transformers": "5.24.0"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: VERSIONS.get(name) or known(name)
    )


def test_nothing_is_said_without_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(optimum, "is_installed", lambda _: False)
    optimum.say_why_not_optimum()
    assert not caplog.records


@pytest.mark.usefixtures("installed")
def test_one_that_does_not_import_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "optimum.exporters.onnx.convert", None)
    optimum.say_why_not_optimum()
    (record,) = caplog.records
    assert "optimum-onnx 0.1.0 is not used" in record.message
    assert "transformers 5.24.0" in record.message
    assert "rtrecon models import DIR" in record.message


@pytest.mark.usefixtures("installed")
def test_one_that_imports_is_not_used_untried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("optimum", "optimum.exporters", "optimum.exporters.onnx"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "optimum.exporters.onnx.convert", types.ModuleType("convert"))
    optimum.say_why_not_optimum()
    assert "has not been tried with it" in caplog.text
