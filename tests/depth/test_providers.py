"""Options, cache keys and words of the providers; no device is needed."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import onnxruntime as ort
import pytest

from rtrecon.depth.providers import AUTO_ORDER, REGISTRY, ModelSource, engines, nvidia
from rtrecon.depth.providers.bound import BoundSession
from rtrecon.depth.providers.engines import EngineKey
from rtrecon.depth.providers.tensorrt import heartbeat
from rtrecon.depth.session import create_session
from rtrecon.errors import ModelError
from tests.depth.models import SIZE, write_model

GPU = nvidia.Gpu("NVIDIA H200", "9.0", "580.65.06")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A card and TensorRT, as far as keys go, and an empty cache."""
    monkeypatch.setattr(nvidia, "find_gpu", lambda: GPU)
    monkeypatch.setattr(nvidia, "tensorrt_version", lambda: "10.13.3")
    monkeypatch.setattr(engines.platformdirs, "user_cache_dir", lambda *a, **k: str(tmp_path))
    return tmp_path


@pytest.fixture
def source(tmp_path):
    return ModelSource(tmp_path / "m.onnx", "fp16", (1, 3, 384, 384), "ab" * 32)


def test_contract_of_every_provider() -> None:
    assert set(AUTO_ORDER) == set(REGISTRY)
    assert AUTO_ORDER[-1] == "cpu"
    known = set(ort.get_all_providers())
    for name, provider in REGISTRY.items():
        assert provider.name == name
        assert provider.ort_name in known
        assert "pip install" in provider.remedy
        first = provider.entries(ModelSource(path=None))[0]
        assert (first if isinstance(first, str) else first[0]) == provider.ort_name


def test_options_are_strings(machine, source) -> None:
    for provider in REGISTRY.values():
        for entry in provider.entries(source):
            if not isinstance(entry, str):
                assert all(isinstance(v, str) for pair in entry[1].items() for v in pair)


def test_tensorrt_options_follow_the_precision(machine, source) -> None:
    tensorrt = REGISTRY["tensorrt"]
    options = dict(tensorrt.entries(source)[0][1])
    assert options["trt_fp16_enable"] == "1"
    assert options["trt_layer_norm_fp32_fallback"] == "1"
    assert options["trt_engine_cache_path"] == str(
        engines.engine_folder(engines.current_key(source))
    )
    assert options["trt_timing_cache_enable"] == "1"
    full = dict(tensorrt.entries(dataclasses.replace(source, precision="fp32"))[0][1])
    assert full["trt_fp16_enable"] == full["trt_layer_norm_fp32_fallback"] == "0"
    assert full["trt_engine_cache_path"] != options["trt_engine_cache_path"]
    assert [e if isinstance(e, str) else e[0] for e in tensorrt.entries(source)][1:] == [
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]


def test_every_part_of_the_key_makes_another_engine(machine, source) -> None:
    key = engines.current_key(source)
    assert key is not None
    assert key.digest() == engines.current_key(source).digest()
    others = {
        field.name: dataclasses.replace(
            key, **{field.name: (9, 9) if field.name == "shape" else "other"}
        )
        for field in dataclasses.fields(EngineKey)
    }
    folders = {engines.engine_folder(other) for other in (key, *others.values())}
    assert len(folders) == len(others) + 1


def test_only_a_whole_engine_for_this_machine_is_loaded(machine, source, monkeypatch) -> None:
    key = engines.current_key(source)
    folder = engines.engine_folder(key)
    folder.mkdir(parents=True)
    tensorrt = REGISTRY["tensorrt"]
    (folder / "x.engine").write_bytes(b"engine")
    assert not tensorrt.ready_for_auto(source), "a build that was broken off"
    engines.mark_built(key)
    assert tensorrt.ready_for_auto(source)
    monkeypatch.setattr(nvidia, "find_gpu", lambda: dataclasses.replace(GPU, driver="999"))
    assert not tensorrt.ready_for_auto(source), "the driver has changed"
    monkeypatch.setattr(nvidia, "find_gpu", lambda: GPU)
    said = json.loads((folder / "engine.json").read_text())
    (folder / "engine.json").write_text(json.dumps({**said, "tensorrt": "9"}))
    assert not tensorrt.ready_for_auto(source), "the folder holds another engine"
    engines.mark_built(key)
    (folder / "x.engine").unlink()
    assert not tensorrt.ready_for_auto(source), "the engine is gone"


def test_stale_engines_are_removed_and_others_stay(machine, source) -> None:
    now = engines.current_key(source)
    old = dataclasses.replace(now, driver="1")
    other = dataclasses.replace(now, precision="fp32")
    for key in (now, old, other):
        engines.engine_folder(key).mkdir(parents=True)
        (engines.engine_folder(key) / "x.engine").write_bytes(b"")
        engines.mark_built(key)
    assert engines.remove_stale(now) == 1
    assert engines.is_built(now)
    assert engines.is_built(other)
    assert not engines.engine_folder(old).exists()


def test_no_card_no_key(monkeypatch, source) -> None:
    monkeypatch.setattr(nvidia, "find_gpu", lambda: None)
    assert engines.current_key(source) is None
    assert not REGISTRY["tensorrt"].ready_for_auto(source)


def test_digest_is_read_where_it_is_not_known(tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"abc")
    assert ModelSource(path).digest().startswith("ba7816bf")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            "libcublasLt.so.13: cannot open shared object file: No such file or directory",
            "library libcublasLt.so.13 is missing",
        ),
        ("libcuda.so.1: cannot open shared object file", "there is no NVIDIA driver"),
        ("CUDA failure 35: CUDA driver version is insufficient for", "update the driver"),
        ("CUDA failure 100: no CUDA-capable device is detected", "shows no NVIDIA card"),
        ("Failed to allocate: out of memory", "memory is full"),
        ("NOT_IMPLEMENTED : Could not find an implementation for Erf", "node of the model"),
        ("something new", "something new"),
    ],
)
def test_causes_in_words(said, meant) -> None:
    assert meant in nvidia.explain(said)


def test_answer_of_the_driver() -> None:
    assert nvidia.parse_gpu("NVIDIA H200, 9.0, 580.65.06\nNVIDIA H200, 9.0, 1\n") == GPU
    assert nvidia.parse_gpu("NVIDIA-SMI has failed") is None
    assert nvidia.parse_gpu("") is None


@pytest.mark.parametrize("batch", [1, "n"])
def test_bound_buffers_give_what_a_plain_run_gives(batch, tmp_path) -> None:
    """The same code as on a card, with buffers in main memory."""
    path = write_model(tmp_path / "tiny", batch=batch) / "model.onnx"
    plain = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    bound = BoundSession(ort, plain, "cpu")
    rng = np.random.default_rng(0)
    kept = []
    for count in (1, 1) if batch == 1 else (1, 3, 1, 3):
        image = rng.random((count, 3, SIZE, SIZE), dtype=np.float32)
        results = bound.run(["mask", "relief"], {"image": image})
        expected = plain.run(["mask", "relief"], {"image": image})
        for result, due in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, due)
        kept.append((results[0], expected[0]))
    for result, due in kept:  # later runs must not write into earlier results
        np.testing.assert_array_equal(result, due)


def test_auto_takes_the_fastest_of_those_that_work(tmp_path, monkeypatch) -> None:
    from rtrecon.depth import session

    path = write_model(tmp_path / "tiny") / "model.onnx"
    real = ort.InferenceSession
    monkeypatch.setattr(
        ort,
        "get_available_providers",
        lambda: ["OpenVINOExecutionProvider", "CPUExecutionProvider"],
    )

    class Pretending:
        def __init__(self, file, options, providers) -> None:
            self._providers = [p if isinstance(p, str) else p[0] for p in providers]
            self._session = real(file, options, providers=["CPUExecutionProvider"])

        def __getattr__(self, name):
            return getattr(self._session, name)

        def get_providers(self):
            return self._providers

    monkeypatch.setattr(ort, "InferenceSession", Pretending)
    for fastest in ("openvino", "cpu"):
        times = {"OpenVINOExecutionProvider": 5.0, "CPUExecutionProvider": 5.0}
        times[REGISTRY[fastest].ort_name] = 1.0
        monkeypatch.setattr(
            session, "_time_ms", lambda runner, size, t=times: t[runner.get_providers()[0]]
        )
        assert create_session(path, "auto", free_size=SIZE)[1].provider == fastest


def test_heartbeat_says_that_it_goes_on(caplog) -> None:
    import logging
    import time

    with caplog.at_level(logging.INFO, "rtrecon"), heartbeat("building", period_s=0.01):
        deadline = time.monotonic() + 5.0
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.01)
    messages = [record.getMessage() for record in caplog.records]
    assert any("so far" in message for message in messages)
    assert "ended after" in messages[-1]


class _Asked:
    """An ONNX Runtime that remembers what it was asked for and runs on the processor."""

    def __init__(self) -> None:
        self.entries = []
        self.RunOptions, self.OrtValue = ort.RunOptions, ort.OrtValue

    def InferenceSession(self, file, options, providers):
        self.entries = providers
        return self

    def disable_fallback(self) -> None:
        pass

    def get_providers(self):
        return [entry if isinstance(entry, str) else entry[0] for entry in self.entries]

    def preload_dlls(self) -> None:
        sys.stdout.write("Failed to load libcublasLt.so.13")


def test_openvino_gets_the_threads(source) -> None:
    asked, options = _Asked(), ort.SessionOptions()
    options.intra_op_num_threads = 3
    REGISTRY["openvino"].open(asked, source, options)
    assert asked.entries[0][1]["num_of_threads"] == "3"


def test_nothing_of_cuda_goes_to_standard_output(capsys) -> None:
    from rtrecon.depth.providers.cuda import preload

    preload(_Asked())
    assert capsys.readouterr().out == ""


def test_tensorrt_refuses_int8(machine, source, monkeypatch) -> None:
    tensorrt = REGISTRY["tensorrt"]
    monkeypatch.setattr(type(tensorrt), "problem", lambda self: None)
    with pytest.raises(ModelError, match="--precision fp16"):
        tensorrt.open(_Asked(), dataclasses.replace(source, precision="int8"), ort.SessionOptions())
