"""What a depth model says about itself: ``model.json`` beside its ONNX file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal, NoReturn, cast, get_args

from rtrecon.depth.exported import derive, is_exported
from rtrecon.depth.onnx_file import read_onnx
from rtrecon.depth.providers.base import ModelSource
from rtrecon.errors import ModelError
from rtrecon.faces.align import CropSpec
from rtrecon.json_text import read_json
from rtrecon.shown import plain

__all__ = ["DepthKind", "InputSpec", "Manifest", "ModelFile"]

DepthKind = Literal["relief", "inverse", "metric"]

_OUTPUT_ROLES = (
    "relief",
    "inverse",
    "metric",
    "depth",
    "mask",
    "expression",
    "landmarks",
    "rotation",
)
_LARGEST = 1e6  # of the numbers that scale a picture
_UNIT_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The picture a model wants: ``(value * (high - low) / 255 + low - mean) / std`` a channel.

    ``mean`` and ``std`` are in the order of ``color`` and in the unit of ``range``.
    """

    name: str = "image"
    size_px: int = 192
    color: Literal["RGB", "BGR"] = "RGB"
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One precision of a model: its ONNX file and the SHA-256 it must have (None: not said)."""

    path: Path
    sha256: str | None

    def read(self) -> bytes:
        """The contents, compared with the hash: these are to be opened, not the path.

        Raises:
            ModelError: the file is missing, is not the one the manifest speaks of, or needs
                other files.
        """
        return read_onnx(self.path, self.sha256)

    def verify(self) -> None:
        """Compare the file with its hash; raises as `read` does."""
        self.read()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked ``model.json``.

    ``value`` is the graph's output of kind ``kind``; ``mask``, ``expression``, ``landmarks``
    and ``rotation`` are the names of those outputs or None; ``expression_names`` names the
    coefficients, and is empty where the manifest does not. ``along_ray``: a relief is along the
    ray through the crop's middle, not along the optical axis. ``files`` maps a precision to its
    file; ``best`` maps a provider (or ``default``) to the precision to use there. ``unit_m`` is
    the length of one unit of a ``metric`` model. ``batch`` is how many crops the graph takes at
    once, where it is fixed; ``origin`` names the checkpoint that it was exported from.
    """

    folder: Path
    name: str
    kind: DepthKind
    input: InputSpec
    value: str
    mask: str | None
    expression: str | None
    crop: CropSpec
    files: Mapping[str, ModelFile]
    landmarks: str | None = None
    rotation: str | None = None
    expression_names: tuple[str, ...] = ()
    best: Mapping[str, str] = field(default_factory=dict)
    along_ray: bool = False
    unit_m: float = 1.0
    licence: str = ""
    source: str = ""
    batch: int = 1
    origin: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str | Path) -> Manifest:
        """Read and check ``folder/model.json``; the model file itself is not opened.

        Of a folder as ``optimum-cli export onnx`` writes it, which has none, it is derived
        (`rtrecon.depth.exported`).

        Raises:
            ModelError: it is missing, is not JSON, or a field is wrong; names file and field.
        """
        folder = Path(folder)
        path = folder / "model.json"
        if not path.is_file() and is_exported(folder):
            return _Reader(folder / "config.json", derive(folder)).manifest()
        try:
            data = read_json(path)
        except OSError as error:
            raise ModelError(
                f"cannot read {path}: {error.strerror}; a model is a folder with model.json "
                "and its ONNX file"
            ) from error
        except ValueError as error:
            raise ModelError(f"{path} is not JSON: {error}") from error
        return _Reader(path, data).manifest()

    def precision_for(self, provider: str, precision: str | None = None) -> str:
        """The precision to use on ``provider``: the one asked for, else the model's best there.

        Raises:
            ModelError: the model does not come in the precision asked for.
        """
        if precision is None:
            precision = self.best.get(provider, self.best.get("default", "fp32"))
            return precision if precision in self.files else next(iter(self.files))
        if precision not in self.files:
            raise ModelError(
                f"model {self.name} does not come in {precision}, only in {', '.join(self.files)}"
            )
        return precision

    def source_for(self, precision: str) -> ModelSource:
        """The file of one precision as providers take it; it is not verified here."""
        file, size = self.files[precision], self.input.size_px
        return ModelSource(
            path=file.path,
            precision=precision,
            shape=(self.batch, 3, size, size),
            sha256=file.sha256,
            origin=self.origin,
        )


class _Reader:
    """Turns parsed JSON into a `Manifest`, naming the field that is wrong."""

    def __init__(self, path: Path, data: Any) -> None:
        self._path = path
        if not isinstance(data, dict):
            self._fail("it must be a JSON object")
        self._data: dict[str, Any] = data

    def manifest(self) -> Manifest:
        kind = str(self._data.get("kind"))
        if kind not in get_args(DepthKind):
            self._fail(f'"kind" must be one of {", ".join(get_args(DepthKind))}, not {kind!r}')
        outputs = self._object("outputs")
        for role, output in outputs.items():
            if role not in _OUTPUT_ROLES or not isinstance(output, str):
                self._fail(f'"outputs" has an entry that is not known: {role!r}: {output!r}')
        value = outputs.get(kind, outputs.get("depth"))
        if value is None:
            self._fail(f'"outputs" must name the output {kind!r} or "depth"')
        unit = self._data.get("unit", "m")
        if not isinstance(unit, str) or unit not in _UNIT_M:
            self._fail(f'"unit" must be one of {", ".join(_UNIT_M)}, not {unit!r}')
        return Manifest(
            folder=self._path.parent,
            name=plain(str(self._data.get("name", self._path.parent.name))),
            kind=cast(DepthKind, kind),
            input=self._input(),
            value=value,
            mask=outputs.get("mask"),
            expression=outputs.get("expression"),
            landmarks=outputs.get("landmarks"),
            rotation=outputs.get("rotation"),
            expression_names=self._expression_names(),
            crop=self._crop(),
            files=self._files(),
            best={str(k): str(v) for k, v in self._object("best", optional=True).items()},
            along_ray=self._along_ray(kind),
            unit_m=_UNIT_M[unit],
            licence=plain(str(self._data.get("licence", self._data.get("license", "")))),
            source=plain(str(self._data.get("source", ""))),
            batch=self._batch(),
            origin={str(k): str(v) for k, v in self._object("origin", optional=True).items()},
        )

    def _input(self) -> InputSpec:
        spec = self._object("input")
        size = spec.get("size")
        if (
            not isinstance(size, list)
            or len(size) != 2
            or size[0] != size[1]
            or not isinstance(size[0], int)
            or not 16 <= size[0] <= 2048
        ):
            self._fail(f'"input.size" must be two equal numbers of pixels, not {size!r}')
        if spec.get("layout", "NCHW") != "NCHW":
            self._fail(f'"input.layout" must be NCHW, not {spec["layout"]!r}')
        color = spec.get("color", "RGB")
        if color not in ("RGB", "BGR"):
            self._fail(f'"input.color" must be RGB or BGR, not {color!r}')
        low, high = self._numbers(spec, "range", (0.0, 1.0))
        mean = self._numbers(spec, "mean", (0.0, 0.0, 0.0))
        std = self._numbers(spec, "std", (1.0, 1.0, 1.0))
        if high <= low or min(std) < 1.0 / _LARGEST:
            self._fail('"input.range" must rise and "input.std" be above zero')
        return InputSpec(
            name=str(spec.get("name", "image")),
            size_px=size[0],
            color=cast(Literal["RGB", "BGR"], color),
            range=(low, high),
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
        )

    def _along_ray(self, kind: str) -> bool:
        along = self._data.get("relief_along", "axis")
        if along not in ("axis", "ray"):
            self._fail(f'"relief_along" must be axis or ray, not {along!r}')
        if along == "ray" and kind != "relief":
            self._fail(f'"relief_along" is of a relief, and this model gives {kind}')
        return bool(along == "ray")

    def _crop(self) -> CropSpec:
        spec = self._object("crop", optional=True)
        if not spec:
            return CropSpec()
        kind = spec.get("kind")
        if kind is None and spec.get("center") == "box":  # the first form of the manifest
            kind = "box"
        side = spec.get("side")
        if isinstance(side, str):
            number = re.match(r"\s*([0-9]*\.?[0-9]+)", side)
            side = float(number.group(1)) if number else None
        if kind not in ("landmarks", "box"):
            self._fail(f'"crop.kind" must be landmarks or box, not {kind!r}')
        if not isinstance(side, int | float) or not 0.5 <= side <= 20.0:
            self._fail(f'"crop.side" must be a number from 0.5 to 20, not {spec.get("side")!r}')
        return CropSpec(cast(Literal["landmarks", "box"], kind), float(side))

    def _files(self) -> dict[str, ModelFile]:
        variants = self._object("files", optional=True)
        if not variants:
            variants = {
                "fp32": {
                    "file": self._data.get("file", "model.onnx"),
                    "sha256": self._data.get("sha256"),
                }
            }
        files = {}
        for precision, entry in variants.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
                self._fail(f'"files.{precision}" must have "file" and "sha256"')
            file = self._path.parent / entry["file"]
            named = PurePath(entry["file"].replace("\\", "/"))
            if named.is_absolute() or named.drive or ".." in named.parts:
                self._fail(f'"files.{precision}.file" must lie in the model\'s own folder')
            sha256 = entry.get("sha256")
            if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", str(sha256)):
                self._fail(f'the "sha256" of {entry["file"]} must be 64 hexadecimal digits')
            files[str(precision)] = ModelFile(file, None if sha256 is None else sha256.lower())
        return files

    def _expression_names(self) -> tuple[str, ...]:
        names = self._data.get("expression_names", [])
        if (
            not isinstance(names, list)
            or not all(isinstance(name, str) and name for name in names)
            or len(set(names)) != len(names)
        ):
            self._fail('"expression_names" must be names, each once')
        return tuple(names)

    def _batch(self) -> int:
        batch = self._data.get("batch", 1)
        if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= 64:
            self._fail(f'"batch" must be a number from 1 to 64, not {batch!r}')
        return batch

    def _object(self, name: str, *, optional: bool = False) -> dict[str, Any]:
        value = self._data.get(name, {} if optional else None)
        if not isinstance(value, dict):
            self._fail(f'"{name}" must be an object')
        return value

    def _numbers(
        self, spec: Mapping[str, Any], name: str, default: tuple[float, ...]
    ) -> tuple[float, ...]:
        values = spec.get(name, default)
        if (
            not isinstance(values, list | tuple)
            or len(values) != len(default)
            or not all(isinstance(v, int | float) and abs(v) <= _LARGEST for v in values)
        ):
            self._fail(f'"input.{name}" must be {len(default)} numbers, not {values!r}')
        return tuple(float(v) for v in values)

    def _fail(self, what: str) -> NoReturn:
        raise ModelError(f"{self._path} is not a model's manifest: {what}")
