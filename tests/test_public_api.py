"""What is public is whole: nothing of it needs a type that is not, and all of it is there."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import typing
from pathlib import Path

import numpy as np
import pytest

import rtrecon
from rtrecon import errors
from rtrecon.pipeline import ReconstructorConfig


def annotations_of(thing: object) -> dict[str, object]:
    """Where a type is named in what is public of ``thing``."""
    found: dict[str, object] = {}
    functions = {"": thing} if inspect.isfunction(thing) else {}
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        for name, member in vars(thing).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function) and (name == "__init__" or name[0] != "_"):
                functions[name] = function
        if dataclasses.is_dataclass(thing):
            for field in dataclasses.fields(thing):
                if field.name[0] != "_":
                    found[field.name] = typing.get_type_hints(thing)[field.name]
    for name, function in functions.items():
        if name == "__init__" and dataclasses.is_dataclass(thing):
            continue  # its fields were looked at
        for parameter, hint in typing.get_type_hints(function).items():
            found[f"{name}({parameter})"] = hint
    return found


@pytest.mark.parametrize("name", [n for n in rtrecon.__all__ if n != "__version__"])
def test_what_is_public_needs_nothing_that_is_not(name: str) -> None:
    thing = getattr(rtrecon, name)
    for where, hint in annotations_of(thing).items():
        for module, kind in re.findall(r"(rtrecon[\w.]*)\.(\w+)", repr(hint)):
            assert kind in rtrecon.__all__, f"{name}.{where} needs {module}.{kind}"


def test_every_error_is_public() -> None:
    assert set(errors.__all__) <= set(rtrecon.__all__)


def test_a_config_is_a_value(dome_model: Path) -> None:
    config = rtrecon.ReconstructorConfig(model=dome_model, faces=2, ipd_mm=60.0)
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.faces = 3  # type: ignore[misc]
    with rtrecon.Reconstructor.from_config(config) as recon:
        assert recon.config == config
    with pytest.raises(rtrecon.ArgumentError, match="closed"):
        recon(np.zeros((48, 64, 3), np.uint8))


def test_a_reconstructor_takes_what_a_config_has() -> None:
    """Each field is a parameter of the same name and default: neither forgets one."""
    parameters = inspect.signature(rtrecon.Reconstructor).parameters
    fields = {field.name: field.default for field in dataclasses.fields(ReconstructorConfig)}
    assert {name: p.default for name, p in parameters.items()} == fields


@pytest.mark.parametrize(
    "arguments",
    [
        {"faces": 0},
        {"fov_deg": 180.0},
        {"ipd_mm": 0.063},
        {"threads": 0},
        {"passes": 0},
        {"min_face_px": 3},
    ],
)
def test_bad_arguments_are_value_errors(arguments: dict[str, float]) -> None:
    with pytest.raises(rtrecon.ArgumentError, match=next(iter(arguments))) as caught:
        rtrecon.Reconstructor(**arguments)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, rtrecon.UserError)
