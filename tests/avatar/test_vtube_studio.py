"""VTube Studio's messages: golden text, signs, ranges."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rtrecon.avatar.check import MOVES, frame_of
from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.vtube_studio import (
    CUSTOM_NAMES,
    ParameterRange,
    VTubeStudioEncoder,
    as_text,
    create_request,
    message,
    parameters_of,
    read_answer,
    request,
    values_of,
)
from tests.avatar.faces import sample, turned

HEAD = '{"apiName":"VTubeStudioPublicAPI","apiVersion":"1.0","requestID":"7","messageType":'


def test_golden_text() -> None:
    assert as_text(message("InputParameterListRequest", "7")) == (
        HEAD + '"InputParameterListRequest"}'
    )
    own = '"pluginName":"rtrecon","pluginDeveloper":"rtrecon"'
    assert as_text(request("AuthenticationTokenRequest", "7")) == (
        HEAD + '"AuthenticationTokenRequest","data":{' + own + "}}"
    )
    assert as_text(request("AuthenticationRequest", "7", "abc")) == (
        HEAD + '"AuthenticationRequest","data":{' + own + ',"authenticationToken":"abc"}}'
    )
    assert as_text(create_request("rtJawOpen", "7")) == (
        HEAD + '"ParameterCreationRequest","data":{"parameterName":"rtJawOpen",'
        '"explanation":"jawOpen of ARKit, by rtrecon","min":0,"max":1,"defaultValue":0}}'
    )
    spans = {
        "FaceAngleX": ParameterRange(-30, 30),
        "EyeOpenLeft": ParameterRange(0, 1),
        "rtJawOpen": ParameterRange(0, 100),
    }
    assert as_text(VTubeStudioEncoder(spans)(sample(), "7")) == (
        HEAD + '"InjectParameterDataRequest","data":{"faceFound":true,"mode":"set",'
        '"parameterValues":[{"id":"FaceAngleX","value":20.0},{"id":"EyeOpenLeft","value":0.1},'
        '{"id":"rtJawOpen","value":40.0}]}}'
    )


def test_signs() -> None:
    values = values_of(sample())  # nose down, own right, to the own left shoulder
    expected = {
        "FaceAngleX": 20, "FaceAngleY": -10, "FaceAngleZ": -5,
        "FacePositionX": -1, "FacePositionY": 2, "FacePositionZ": 3,
        "EyeOpenLeft": 0.1, "EyeOpenRight": 1, "EyeLeftX": -0.5, "EyeRightX": 0,
        "MouthOpen": 0.4, "MouthSmile": 0.5, "BrowLeftY": 0.5,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    other = values_of(mirrored(sample()))
    turns = ["FaceAngleX", "FaceAngleY", "FaceAngleZ", "FacePositionX"]
    assert [other[name] for name in turns] == pytest.approx([-20, -10, 5, 1], abs=1e-4)
    assert other["EyeOpenRight"] == pytest.approx(0.1)
    assert other["EyeRightX"] == pytest.approx(0.5)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.words[:20])
def test_a_move_moves_its_own_side(move: object) -> None:
    values = values_of(frame_of(move, 0.5, 0.0, 0))  # type: ignore[arg-type]
    name = move.shapes and next(iter(move.shapes))  # type: ignore[attr-defined]
    if name:
        assert values[f"rt{name[0].upper()}{name[1:]}"] > 0.7
    assert values["EyeOpenLeft"] == pytest.approx(0 if name == "eyeBlinkLeft" else 1)
    assert values["EyeOpenRight"] == pytest.approx(0 if name == "eyeBlinkRight" else 1)


@pytest.mark.parametrize(
    ("span", "value"),
    [((-30, 30), 20), ((-90, 90), 20), ((-10, 10), 20 / 3), ((-1, 1), 2 / 3), ((0, 60), 50)],
)
def test_angles_keep_their_unit_where_there_is_room(
    span: tuple[float, float], value: float
) -> None:
    encode = VTubeStudioEncoder({"FaceAngleX": ParameterRange(*span)})
    frame = replace(sample(), rotation=turned(0, 20, 0))
    (entry,) = encode(frame, "1")["data"]["parameterValues"]
    assert entry["value"] == pytest.approx(value, abs=1e-4)


def test_values_stay_in_their_range_and_are_numbers() -> None:
    encode = VTubeStudioEncoder(
        {"FaceAngleX": ParameterRange(-30, 30), "EyeLeftX": ParameterRange(-2, 0),
         "rtJawOpen": ParameterRange(0, 1)}
    )  # fmt: skip
    wild = replace(
        sample(),
        rotation=turned(0, 80, 0),
        coefficients=np.full(52, np.nan, dtype=np.float32),
    )
    found = json.loads(as_text(encode(wild, "1")))["data"]["parameterValues"]
    assert [entry["value"] for entry in found] == [30.0, -1.5, 0.0]


def test_nobody_is_there() -> None:
    encode = VTubeStudioEncoder({"EyeOpenLeft": ParameterRange(0, 1)})
    data = encode(AvatarFrame.neutral(), "1")["data"]
    assert data["faceFound"] is False
    assert data["parameterValues"] == [{"id": "EyeOpenLeft", "value": 1.0}]
    assert encode(sample(), "1", is_found=False)["data"]["faceFound"] is False


def test_names_that_can_be_made() -> None:
    assert len(CUSTOM_NAMES) == 52
    assert all(name.isalnum() and 4 <= len(name) <= 32 for name in CUSTOM_NAMES)


def test_only_parameters_that_we_have_a_value_for() -> None:
    def entry(name: str, least: float = 0, most: float = 1) -> dict[str, object]:
        return {"name": name, "min": least, "max": most}

    found = parameters_of(
        {
            "defaultParameters": [entry("FaceAngleX", -30, 30), entry("VoiceVolume")],
            "customParameters": [entry("rtJawOpen"), entry("MouthX"), entry("JawOpen")],
        }
    )
    assert found == {"FaceAngleX": ParameterRange(-30, 30), "rtJawOpen": ParameterRange(0, 1)}


@pytest.mark.parametrize(
    "data",
    [
        {}, {"defaultParameters": [], "customParameters": 3},
        {"defaultParameters": [3], "customParameters": []},
        {"defaultParameters": [{"name": "a", "min": "x", "max": 1}], "customParameters": []},
    ],
)  # fmt: skip
def test_lists_that_are_none(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="list of parameters"):
        parameters_of(data)


@pytest.mark.parametrize("text", ["", "<html>", "[1]", "{}", b"\xff\xfe\xfd", "[" * 5000])
def test_answers_that_are_none(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_answer(text)


def test_answers() -> None:
    answer = read_answer(HEAD + '"APIError","data":{"errorID":50,"message":"no"}}')
    assert (answer.kind, answer.request_id, answer.error_id, answer.words) == (
        "APIError", "7", 50, "no",
    )  # fmt: skip
    assert read_answer(HEAD + '"APIError"}').error_id == -1
    assert read_answer(HEAD + '"X"}').error_id is None
