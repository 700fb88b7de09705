"""A folder that ``optimum-cli export onnx`` wrote, or a hub repository laid out like it.

``config.json`` and ``preprocessor_config.json`` are transformers' own; the graphs are
``model.onnx``, or ``onnx/model.onnx`` and its variants as in the repositories of
``onnx-community``. From these follows what a manifest says; what does not is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtrecon.depth.checkpoint import licence_in
from rtrecon.depth.onnx_file import read_onnx
from rtrecon.depth.onnx_signature import Port, Signature, read_signature
from rtrecon.errors import ModelError
from rtrecon.faces.align import HEAD_CROP
from rtrecon.json_text import read_json

__all__ = ["Exported", "Given", "derive", "find_graphs", "is_exported"]

_VARIANTS = {
    "fp32": ("model.onnx",),
    "fp16": ("model_fp16.onnx",),
    "int8": ("model_int8.onnx", "model_quantized.onnx"),
}
_INVERSE_FAMILIES = ("dpt", "depth_anything", "depth_pro")
_METRIC_FAMILIES = ("zoedepth", "glpn")
# Words of a checkpoint's name: what it was trained on has depth in metres.
_METRIC_NAMES = re.compile(r"metric|hypersim|(?<![a-z])v?kitti|(?<![a-z])nyu", re.IGNORECASE)

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Given:
    """What a person says where the files do not, or otherwise; None: as the files say."""

    kind: Literal["inverse", "metric"] | None = None
    output: str | None = None
    size_px: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    color: Literal["RGB", "BGR"] | None = None


def is_exported(folder: Path) -> bool:
    """Whether ``folder`` has no manifest of ours, but transformers' config beside a graph."""
    try:
        return (folder / "config.json").is_file() and bool(find_graphs(folder))
    except OSError:  # a name that is too long
        return False


def find_graphs(folder: Path) -> dict[str, Path]:
    """Precision to graph of an exported folder, fp32 first; empty where there is none."""
    found = {}
    for precision, names in _VARIANTS.items():
        paths = [place / name for name in names for place in (folder / "onnx", folder)]
        graph = next((path for path in paths if path.is_file()), None)
        if graph is not None:
            found[precision] = graph
    return found


def derive(folder: Path) -> dict[str, Any]:
    """The contents of the ``model.json`` that an exported folder could have; see `Exported`.

    Raises:
        ModelError: it cannot be run as it is; says how it can be imported.
    """
    exported = Exported(folder)
    first = next(iter(exported.graphs.values()))
    outside = first.with_name(f"{first.name}_data")
    if outside.is_file():
        raise ModelError(
            f"{first} keeps its weights in {outside.name}: `rtrecon models import {folder}` puts "
            "all into one file"
        )
    contents = {precision: read_onnx(path) for precision, path in [*exported.graphs.items()][:1]}
    files = {
        precision: {"file": path.relative_to(folder).as_posix()}
        for precision, path in exported.graphs.items()
    }
    return {**exported.manifest(contents), "files": files}


class Exported:
    """An exported model, and the manifest that follows from it.

    Args:
        source: the folder, or one graph; a graph's config is looked for beside and above it.
        name: of the model; None: of the folder or file.
        given: what a person says.

    Attributes:
        graphs: precision to file.
        name: of the model.

    Raises:
        ModelError: there is no graph, or a JSON file cannot be read.
    """

    def __init__(self, source: Path, name: str | None = None, given: Given | None = None) -> None:
        self._given = given or Given()
        self._source = source
        if source.is_dir():
            self._folder: Path | None = source
            self.graphs = find_graphs(source)
            if not self.graphs:
                raise ModelError(
                    f"{source} has neither model.onnx nor onnx/model.onnx: give the folder that "
                    "`optimum-cli export onnx` wrote, or an ONNX file"
                )
        else:
            places = (source.parent, source.parent.parent)[: 2 if source.parent.name else 1]
            self._folder = next((p for p in places if (p / "config.json").is_file()), None)
            self.graphs = {_precision_of(source): source}
        self._config = self._json("config.json")
        self._processor = self._json("preprocessor_config.json") or self._json(
            "processor_config.json"
        ).get("image_processor", {})
        short = source.resolve().name if source.is_dir() else source.stem
        origin = str(self._config.get("_name_or_path", ""))
        self.name = name or re.sub(r"[^A-Za-z0-9._-]+", "-", short).strip("-.").lower() or "model"
        self._hints = f"{name or ''} {short} {origin}"

    def manifest(self, contents: Mapping[str, bytes]) -> dict[str, Any]:
        """The contents of ``model.json``, but for what its files are called and hash to.

        Args:
            contents: precision to graph; the first is the one that is looked at.

        Raises:
            ModelError: a graph does not take a picture or gives no depth, or something is not
                known; says by which option to give it.
        """
        precision, content = next(iter(contents.items()))
        try:
            signature = read_signature(content)
        except ValueError as error:
            raise ModelError(f"{self.graphs[precision]} is not an ONNX file: {error}") from error
        picture = self._input(signature)
        output = self._output(signature)
        kind = self._kind()
        size_px = self._size_px(picture)
        low_high, mean, std = self._normalisation()
        batch = picture.shape[0] if picture.shape else 1
        card = self._folder / "README.md" if self._folder else None
        licence = licence_in(card.read_text(encoding="utf-8")) if card and card.is_file() else ""
        return {
            "name": self.name,
            "kind": kind,
            "input": {
                "name": picture.name,
                "size": [size_px, size_px],
                "layout": "NCHW",
                "color": self._color(),
                "range": list(low_high),
                "mean": list(mean),
                "std": list(std),
            },
            "outputs": {kind: output.name},
            "crop": {"kind": HEAD_CROP.kind, "side": HEAD_CROP.side},
            "best": {"default": precision},
            "batch": batch if isinstance(batch, int) else 1,
            "licence": licence or "not stated by the export",
            "source": str(self._config.get("_name_or_path") or self._source.name),
        }

    def precision_of(self, precision: str, content: bytes) -> str:
        """What a graph is: ``optimum-cli --dtype fp16`` writes a ``model.onnx`` too."""
        try:
            inputs = read_signature(content).inputs
        except ValueError:
            return precision
        return "fp16" if inputs and inputs[0].element == "float16" else precision

    def _input(self, signature: Signature) -> Port:
        said = "; ".join(str(port) for port in signature.inputs)
        if len(signature.inputs) != 1:
            raise self._wrong(f"it takes {len(signature.inputs)} inputs, not one picture: {said}")
        port = signature.inputs[0]
        shape = port.shape
        if shape is None or len(shape) != 4:
            raise self._wrong(f"it takes {said}, not a picture (n, 3, height, width)")
        if shape[1] != 3 and (isinstance(shape[1], int) or shape[3] == 3):
            hint = ": export it with channels first" if shape[3] == 3 else ""
            raise self._wrong(f"it takes {said}, not a picture (n, 3, height, width){hint}")
        if port.element not in ("float", "float16"):
            raise self._wrong(
                f"it takes {said}: only float and float16 are supported; export it as fp32"
            )
        return port

    def _output(self, signature: Signature) -> Port:
        names = [port.name for port in signature.outputs]
        said = "; ".join(str(port) for port in signature.outputs)
        wanted = self._given.output
        if wanted is None:
            if "predicted_depth" in names:
                wanted = "predicted_depth"
            elif len(names) == 1:
                wanted = names[0]
            else:
                raise self._wrong(
                    f"it gives {said}: say which of them is depth, with --output NAME of `rtrecon "
                    "models import`"
                )
        elif wanted not in names:
            raise self._wrong(f"it has no output {wanted!r}: it gives {said}")
        port = signature.outputs[names.index(wanted)]
        shape = port.shape
        channels = shape[1] if shape is not None and len(shape) == 4 else 1
        if (shape is not None and len(shape) not in (3, 4)) or channels not in (1, str(channels)):
            raise self._wrong(
                f"its output {port} is no map of depth, which is (n, height, width) or "
                "(n, 1, height, width); if another output is, name it with --output"
            )
        return port

    def _kind(self) -> str:
        if self._given.kind is not None:
            return self._given.kind
        family = self._config.get("model_type")
        said = self._config.get("depth_estimation_type")
        if said in ("metric", "relative"):
            return "metric" if said == "metric" else "inverse"
        if family in _METRIC_FAMILIES:
            return "metric"
        if family in _INVERSE_FAMILIES:
            return "metric" if _METRIC_NAMES.search(self._hints) else "inverse"
        what = f"of the family {family!r}, which is not known" if family else "without config.json"
        raise self._wrong(
            f"it is {what}, so that nobody can tell what its values are: give --kind inverse "
            "(larger is nearer, up to scale and shift) or --kind metric (metres) to `rtrecon "
            "models import`"
        )

    def _size_px(self, picture: Port) -> int:
        assert picture.shape is not None
        height, width = picture.shape[2:]
        fixed = {side for side in (height, width) if isinstance(side, int)}
        if len(fixed) > 1:
            raise self._wrong(
                f"it takes pictures of {width}x{height}, and a face is a square: export it with "
                "equal sides, or with free ones"
            )
        given = self._given.size_px
        if fixed:
            (size,) = fixed
            if given not in (None, size):
                raise self._wrong(f"its graph takes {size}x{size} pixels alone: leave --size out")
            return size
        step = self._step_px()
        if given is not None:
            if given % step:
                nearest = max(step, round(given / step) * step)
                raise self._wrong(
                    f"it takes sizes that are a multiple of {step}, not {given}: give --size "
                    f"{nearest} {nearest}"
                )
            return given
        native = self._native_px()
        return max(step, round(native / step) * step)

    def _native_px(self) -> float:
        """What the image processor makes of a square picture, before it is made a multiple."""
        size = self._processor.get("size")
        if self._processor.get("do_resize", True) and size is not None:
            if isinstance(size, int):
                return size
            if isinstance(size, Mapping):
                sides = [s for s in (size.get("height"), size.get("width")) if isinstance(s, int)]
                if len(sides) == 2:
                    # With the aspect kept it takes the side that changes a large picture less.
                    if sides[0] == sides[1] or self._processor.get("keep_aspect_ratio"):
                        return float(max(sides))
                elif isinstance(size.get("shortest_edge"), int):
                    return float(size["shortest_edge"])
        own = self._backbone().get("image_size") or self._config.get("image_size")
        own = own[0] if isinstance(own, list) and len(set(own)) == 1 else own
        if isinstance(own, int):
            return own
        raise self._wrong(
            "neither its graph nor its preprocessor_config.json says what size of square picture "
            "it takes: give --size H W, equal, to `rtrecon models import`"
        )

    def _step_px(self) -> int:
        """What the size must be a multiple of, as far as the files say."""
        backbone = self._backbone()
        patch = self._config.get("patch_size") or backbone.get("patch_size")
        if isinstance(patch, int) and str(backbone.get("model_type")).startswith("swin"):
            patch <<= max(len(backbone.get("depths", ())) - 1, 0)  # each stage half the one before
        steps = [patch, *(self._processor.get(k) for k in ("ensure_multiple_of", "size_divisor"))]
        return max([step for step in steps if isinstance(step, int) and step > 0], default=1)

    def _backbone(self) -> Mapping[str, Any]:
        backbone = self._config.get("backbone_config")
        return backbone if isinstance(backbone, Mapping) else {}

    def _normalisation(self) -> tuple[tuple[float, float], Triple, Triple]:
        """The manifest's range, mean and std."""
        processor, given = self._processor, self._given
        scale = 1 / 255
        if processor.get("do_rescale", True) is False:
            scale = 1.0
        elif isinstance(processor.get("rescale_factor"), int | float):
            scale = float(processor["rescale_factor"])
        known: dict[str, Any] = {"mean": given.mean, "std": given.std}
        if processor and processor.get("do_normalize", "image_mean" in processor) is False:
            known = {"mean": given.mean or (0.0,) * 3, "std": given.std or (1.0,) * 3}
        for key in known:
            if known[key] is None:
                known[key] = _triple(processor.get(f"image_{key}"))
        missing = [key for key, value in known.items() if value is None]
        if missing:
            where = (
                "its preprocessor_config.json does not say"
                if processor
                else "without preprocessor_config.json nobody can tell"
            )
            raise self._wrong(
                f"{where} by what its pictures are normalised: give --mean R G B and --std R G B "
                "to `rtrecon models import`, for values from 0 to 1 (ImageNet's are 0.485 0.456 "
                "0.406 and 0.229 0.224 0.225)"
            )
        return (0.0, 255.0 * scale), known["mean"], known["std"]

    def _color(self) -> str:
        if self._given.color is not None:
            return self._given.color
        return "BGR" if self._processor.get("do_flip_channel_order") is True else "RGB"

    def _json(self, name: str) -> dict[str, Any]:
        path = self._folder / name if self._folder else None
        if path is None or not path.is_file():
            return {}
        try:
            data = read_json(path)
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}; export the model again") from error
        if not isinstance(data, dict):
            raise ModelError(f"{path} is not what transformers writes: it must be a JSON object")
        return data

    def _wrong(self, what: str) -> ModelError:
        return ModelError(f"{self._source} cannot be used as a depth model: {what}")


def _triple(value: Any) -> Triple | None:
    if isinstance(value, int | float):
        value = [value] * 3
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, int | float) for v in value)
    ):
        return float(value[0]), float(value[1]), float(value[2])
    return None


def _precision_of(graph: Path) -> str:
    for precision, names in _VARIANTS.items():
        if graph.name in names:
            return precision
    return "fp32"
