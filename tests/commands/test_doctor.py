"""The doctor tells the truth: of what works, of what does not, and of what is damaged."""

from __future__ import annotations

import shutil

import pytest

from rtrecon.commands import doctor
from rtrecon.commands.doctor import DoctorConfig, findings, run_doctor
from rtrecon.depth import store


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """The user's models folder, empty."""
    monkeypatch.setattr(store.platformdirs, "user_data_dir", lambda *a, **k: str(tmp_path))
    return tmp_path / "models"


def _found(subject):
    return next(finding for finding in findings() if finding.subject == subject)


def test_every_provider_is_tried(user_folder) -> None:
    import onnxruntime as ort

    from rtrecon.depth.session import PROVIDERS

    by_subject = {finding.subject: finding for finding in findings()}
    assert {f"provider {name}" for name in (*PROVIDERS, "torch")} <= by_subject.keys()
    cpu = by_subject["provider cpu"]
    assert cpu.state == "ok"
    assert "ms a face" in cpu.detail
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        cuda = by_subject["provider cuda"]
        assert cuda.state == "absent"
        assert "rtrecon[cuda]" in cuda.detail + cuda.remedy


def test_damaged_model_is_broken_and_the_exit_code_says_so(user_folder, capsys) -> None:
    copy = user_folder / "mine"
    shutil.copytree(store.find_model("face-dpt"), copy)
    assert _found("model mine").state == "ok"
    graph = next(copy.glob("*.onnx"))
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    assert run_doctor(DoctorConfig(quiet=True)) == 1
    out = capsys.readouterr().out
    assert "BROKEN model mine" in out
    assert "mend:" in out


def test_torch_without_an_exported_model_is_not_called_working(user_folder) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    torch = _found("provider torch")
    assert torch.state == "absent"
    assert "rtrecon models export" in torch.detail


def test_missing_camera_names_the_remedy(user_folder, monkeypatch) -> None:
    monkeypatch.setattr("rtrecon.capture.list_cameras", lambda **_: [])
    camera = _found("camera")
    assert camera.state == "absent"
    assert "/dev/video" in camera.remedy


def test_short_unless_all_is_asked_for(monkeypatch, capsys) -> None:
    found = [
        doctor.Finding("ok", "camera 0"),
        doctor.Finding("absent", "provider coreml", "no Mac", is_detail=True),
        doctor.Finding("broken", "model mine", "damaged", "mend it", is_detail=True),
    ]
    monkeypatch.setattr(doctor, "findings", lambda *_, **__: iter(found))
    assert run_doctor(DoctorConfig()) == 1
    short = capsys.readouterr().out
    assert "camera 0" in short
    assert "coreml" not in short
    assert "BROKEN model mine" in short
    assert "1 more" in short
    assert run_doctor(DoctorConfig(all=True)) == 1
    assert "coreml" in capsys.readouterr().out
