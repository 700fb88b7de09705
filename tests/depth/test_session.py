"""Providers are tried by running the model, and named ones fail loudly."""

from __future__ import annotations

import logging

import onnxruntime as ort
import pytest

from rtrecon.depth import session
from rtrecon.depth.session import PROVIDERS, create_session
from rtrecon.errors import ModelError, ProviderError
from tests.depth.models import SIZE, write_model


@pytest.fixture
def model_path(tmp_path):
    return write_model(tmp_path / "tiny") / "model.onnx"


def test_auto_and_cpu(model_path) -> None:
    for provider in ("auto", "cpu"):
        made, report = create_session(model_path, provider, threads=1, free_size=SIZE)
        assert PROVIDERS[report.provider] == made.get_providers()[0]
        assert report.threads == 1


def test_provider_that_is_not_installed(model_path, monkeypatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match=r"pip install 'rtrecon\[cuda\]'"):
        create_session(model_path, "cuda")
    with pytest.raises(ProviderError, match="there is no provider 'quantum'"):
        create_session(model_path, "quantum")


def test_provider_whose_libraries_do_not_load(model_path, monkeypatch, caplog) -> None:
    """ONNX Runtime turns to the CPU by itself: that must not pass for the provider."""
    real = ort.InferenceSession
    monkeypatch.setattr(
        ort,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    monkeypatch.setattr(
        ort,
        "InferenceSession",
        lambda path, options, providers: real(path, options, providers=["CPUExecutionProvider"]),
    )
    monkeypatch.setattr(session, "_said", set())
    with pytest.raises(ProviderError, match=r"has no libonnxruntime_providers_cuda|did not load"):
        create_session(model_path, "cuda", free_size=SIZE)
    with caplog.at_level(logging.WARNING, "rtrecon"):
        for _ in range(3):
            _, report = create_session(model_path, "auto", free_size=SIZE)
            assert report.provider == "cpu"
            assert "providers_cuda" in report.failed["cuda"] or "load" in report.failed["cuda"]
    assert len(caplog.records) == 1
    assert "cuda" in caplog.records[0].getMessage()


def test_trial_run_that_gives_nonsense(model_path, monkeypatch) -> None:
    real = ort.InferenceSession

    class Broken:
        def __init__(self, *args, **kwargs) -> None:
            self._session = real(*args, **kwargs)

        def __getattr__(self, name):
            return getattr(self._session, name)

        def run(self, *args):
            return [output * float("nan") for output in self._session.run(*args)]

    monkeypatch.setattr(ort, "InferenceSession", Broken)
    with pytest.raises(ModelError, match="not finite"):
        create_session(model_path, "cpu", free_size=SIZE)


def test_missing_file(tmp_path) -> None:
    with pytest.raises(ModelError, match="missing"):
        create_session(tmp_path / "no.onnx", "cpu")
