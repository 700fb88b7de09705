"""Listing, verifying and removing, also of what is damaged; and the commands' exit codes."""

from __future__ import annotations

import json

import pytest

from rtrecon.cli import main
from rtrecon.depth.model import load_depth_model
from rtrecon.errors import ModelError
from rtrecon.models.export import export_model
from rtrecon.models.store import remove_model, summarise_models, verify_model


@pytest.fixture
def installed(checkpoint, crops_folder, user_folder):
    return export_model(checkpoint("depth-anything"), pictures=crops_folder).folder


def test_export_without_out_goes_to_the_user_folder(installed, user_folder, capsys) -> None:
    name = installed.name
    assert installed.parent == user_folder
    assert load_depth_model(name, "cpu").name == name
    summary = {model.name: model for model in summarise_models()}[name]
    assert (summary.kind, summary.size_px, summary.place) == ("inverse", 70, "user")
    assert summary.licence == "mit"
    assert summary.engines == ()
    assert main(["models", "list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(name))
    assert summary.sha256[:12] in row
    assert main(["models", "list", "--json"]) == 0
    assert name in {model["name"] for model in json.loads(capsys.readouterr().out)}
    assert main(["models", "verify", name]) == 0


def test_wrong_hash_is_refused(installed) -> None:
    path = installed / "fp32.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="damaged or was replaced"):
        verify_model(installed)
    with pytest.raises(ModelError, match="damaged or was replaced"):
        load_depth_model(installed, "cpu")
    assert main(["models", "verify", str(installed)]) == 2
    assert main(["models", "verify"]) == 2


def test_corrupted_graph_with_a_matching_hash(installed) -> None:
    import hashlib

    path = installed / "fp32.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    manifest = json.loads((installed / "model.json").read_text())
    manifest["files"]["fp32"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (installed / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="cannot be run"):
        verify_model(installed)
    assert main(["models", "verify", str(installed)]) == 2


def test_no_hash_cannot_be_verified(installed) -> None:
    manifest = json.loads((installed / "model.json").read_text())
    del manifest["files"]["fp32"]["sha256"]
    (installed / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="no sha256"):
        verify_model(installed)


def test_remove(installed, user_folder) -> None:
    beside = user_folder.parent / "beside"
    beside.mkdir()
    for name in ("../beside", "..", "", ".", str(beside)):
        with pytest.raises(ModelError, match="name of a model"):
            remove_model(name)
    with pytest.raises(ModelError, match="there is no model 'other'"):
        remove_model("other")
    assert remove_model(installed.name) == installed
    assert not installed.exists()
    assert beside.is_dir()


def test_shipped_models_stay(user_folder, monkeypatch, tmp_path) -> None:
    from rtrecon.models import store

    monkeypatch.setattr(store, "list_models", lambda: {"face": tmp_path})
    with pytest.raises(ModelError, match="shipped"):
        remove_model("face")


def test_damaged_manifest_is_listed(user_folder, capsys) -> None:
    (user_folder / "broken").mkdir(parents=True)
    (user_folder / "broken" / "model.json").write_text("{")
    summary = {model.name: model for model in summarise_models()}["broken"]
    assert "not JSON" in summary.problem
    assert main(["models", "list"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "nobody/nothing", "--offline", "--out", "unused"],
        ["export", "x", "--size", "64", "96"],
        ["export", "x", "--opset", "12"],
        ["verify", "nothing"],
        ["remove", "nothing"],
        ["build", "nothing"],
    ],
)
def test_mistakes_end_with_code_2(arguments, user_folder) -> None:
    assert main(["models", *arguments]) == 2


def test_doctor_tries_torch_on_an_exported_model(installed) -> None:
    from rtrecon.commands.doctor import findings

    torch = next(finding for finding in findings() if finding.subject == "provider torch")
    assert torch.state == "ok"
    assert installed.name in torch.detail
