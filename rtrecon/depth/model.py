"""Any depth network behind one contract: crops of a picture in, one value a crop pixel out."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtrecon.depth.extras import EXTRAS, Extras, named_outputs, wanted_extras
from rtrecon.depth.manifest import DepthKind, Manifest, ModelFile
from rtrecon.depth.providers import ModelSource, Runner
from rtrecon.depth.session import create_session
from rtrecon.depth.store import find_model
from rtrecon.errors import DataError, ModelError
from rtrecon.faces.align import Crop
from rtrecon.faces.light import brighten, gain_beside_lamps
from rtrecon.types import BgrImage, Float32Array

__all__ = ["DepthModel", "DepthPrediction", "load_depth_model"]

logger = logging.getLogger(__name__)

_unverified: set[Path] = set()  # files that were said to have no hash


@dataclass(slots=True, eq=False)
class DepthPrediction:
    """What a network said about one crop; all arrays are its own.

    ``value`` (h, w) float32 of the given ``kind``: ``relief`` (z_ref - z) / W without unit,
    ``inverse`` affine in 1/z, ``metric`` metres. ``mask_logit`` (h, w) float32, above zero on
    the head, or None. ``crop_bgr`` (h, w, 3) uint8 is the crop as it is in the picture; a dark
    one is brightened for the network alone.
    ``along_ray``: a relief is along the ray through the crop's middle, not the optical axis
    (`rtrecon.geometry.rays.ray_slope`).

    None where the model lacks them or nobody asked: ``expression`` (k,) float32 coefficients,
    named by ``expression_names``; ``landmarks68`` (68, 2) float32, iBUG's points x, y as a share
    of the crop (0 and 1 are its edges; crop pixel = share * size - 0.5); ``rotation`` (3, 3)
    float32, from the head to a camera that looks along the ray through the crop's middle and is
    rolled as the crop is.
    """

    value: Float32Array
    mask_logit: Float32Array | None
    kind: DepthKind
    expression: Float32Array | None = None
    crop_bgr: BgrImage | None = None
    along_ray: bool = False
    landmarks68: Float32Array | None = None
    rotation: Float32Array | None = None
    expression_names: tuple[str, ...] = ()


class DepthModel:
    """A manifest and its running session. Not thread-safe: input buffers are reused.

    Attributes:
        name: of the model.
        kind: of its values, see `DepthPrediction`.
        size_px: width and height of the crops it takes and of the values it gives.
        crop_spec: which crops it was trained on.
        provider: short name of what it runs on.
        threads: CPU threads it may use.
        precision: of the file in use.
        expression_names: of the coefficients it gives; empty if it gives none.
    """

    def __init__(
        self,
        manifest: Manifest,
        provider: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        extras: Collection[str] = EXTRAS,
    ) -> None:
        wanted = wanted_extras(extras)
        self.manifest = manifest
        self.name = manifest.name
        self.kind = manifest.kind
        self.size_px = manifest.input.size_px
        self.crop_spec = manifest.crop
        names = self._outputs = _output_names(manifest, wanted)
        contents: dict[str, bytes] = {}

        def file_for(name: str) -> ModelSource:
            chosen = manifest.precision_for(name, precision)
            if chosen not in contents:
                contents[chosen] = manifest.files[chosen].read()
                _say_if_unverified(manifest.files[chosen])
            source = replace(manifest.source_for(chosen), content=contents[chosen])
            unasked = named_outputs(manifest, EXTRAS).keys() - wanted
            return replace(source, outputs=tuple(names.values())) if unasked else source

        self._session, self.report = create_session(
            file_for, provider, threads, free_size=self.size_px
        )
        self.provider = self.report.provider
        self.threads = self.report.threads
        self.precision = manifest.precision_for(self.provider, precision)
        nodes = self._session.get_outputs()
        _check_outputs([node.name for node in nodes], names, manifest)
        self._extras = Extras.of(manifest, nodes, wanted)
        self.expression_names = self._extras.expression_names
        self._batch, self._dtype = _check_input(self._session, manifest)
        spec = manifest.input
        low, high = spec.range
        mean, std = np.array(spec.mean), np.array(spec.std)
        self._scale = ((high - low) / 255.0 / std).astype(np.float32)
        self._offset = ((low - mean) / std).astype(np.float32)
        self._planes = (2, 1, 0) if spec.color == "RGB" else (0, 1, 2)
        self._buffer = np.zeros((1, 3, self.size_px, self.size_px), dtype=self._dtype)

    def warmup(self, runs: int = 3) -> float:
        """Run on nothing a few times; returns the median time of one run in milliseconds.

        It says whether the model is fast enough for live use on this machine; one run may
        take several crops (`at_once`). The first run, which may allocate, is not counted.
        """
        feed = {
            self.manifest.input.name: np.zeros(
                (self.at_once, 3, self.size_px, self.size_px), dtype=self._dtype
            )
        }
        names = list(self._outputs.values())
        times_ns = []
        for _ in range(runs + 1):
            start_ns = time.perf_counter_ns()
            self._session.run(names, feed)
            times_ns.append(time.perf_counter_ns() - start_ns)
        return float(np.median(times_ns[1:])) / 1e6

    @property
    def at_once(self) -> int:
        """How many crops the graph takes in one run; 1 where it takes any number."""
        return self._batch or 1

    def predict(self, image_bgr: BgrImage, crops: Sequence[Crop]) -> list[DepthPrediction]:
        """Run the network on ``crops`` of ``image_bgr`` (H, W, 3) uint8.

        All crops go in one run if the graph takes a batch; dark ones are brightened. The
        network's results are arrays of ONNX Runtime's own, which need no copy to be kept.

        Raises:
            DataError: the picture is not uint8 BGR, or a crop is not of the model's size.
        """
        if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3:
            raise DataError(
                f"a picture must be (H, W, 3) uint8, not {image_bgr.shape} {image_bgr.dtype}"
            )
        at_once = self._batch or len(crops)
        predictions: list[DepthPrediction] = []
        for first in range(0, len(crops), max(at_once, 1)):
            predictions += self._run(image_bgr, crops[first : first + at_once], at_once)
        return predictions

    def _run(self, image_bgr: BgrImage, crops: Sequence[Crop], batch: int) -> list[DepthPrediction]:
        size = self.size_px
        if len(self._buffer) < batch:
            self._buffer = np.zeros((batch, 3, size, size), dtype=self._dtype)
        feed = self._buffer[:batch]
        pictures = []
        for crop, planes in zip(crops, feed, strict=False):
            if crop.size_px != size:
                raise DataError(f"model {self.name} takes crops of {size} px, not {crop.size_px}")
            picture = crop.warp(image_bgr)
            lit = brighten(picture, gain_beside_lamps(picture))
            channels = cv2.split(lit)  # NumPy reads every third byte at half the pace
            for channel, source in enumerate(self._planes):
                np.multiply(
                    channels[source], self._scale[channel], out=planes[channel], casting="unsafe"
                )
                if self._offset[channel] != 0.0:
                    planes[channel] += self._offset[channel]
            pictures.append(picture)
        results = dict(
            zip(
                self._outputs,
                self._session.run(list(self._outputs.values()), {self.manifest.input.name: feed}),
                strict=True,
            )
        )
        values = self._maps(results["value"], batch)
        masks = self._maps(results["mask"], batch) if "mask" in results else None
        expressions, landmarks, rotations = (
            self._extras.read(role, results.get(role), batch) for role in EXTRAS
        )
        if self.manifest.unit_m != 1.0:
            values = values * np.float32(self.manifest.unit_m)
        return [
            DepthPrediction(
                value=values[k],
                mask_logit=None if masks is None else masks[k],
                kind=self.kind,
                along_ray=self.manifest.along_ray,
                expression=None if expressions is None else expressions[k],
                crop_bgr=pictures[k],
                landmarks68=None if landmarks is None else landmarks[k],
                rotation=None if rotations is None else rotations[k],
                expression_names=self.expression_names,
            )
            for k in range(len(crops))
        ]

    def _maps(self, output: np.ndarray[Any, Any], batch: int) -> Float32Array:
        size = self.size_px
        if output.size != batch * size * size:
            raise ModelError(
                f"model {self.name} gave an output of shape {output.shape} where "
                f"{(batch, 1, size, size)} is due: its manifest does not fit its ONNX file"
            )
        return np.asarray(output, dtype=np.float32).reshape(batch, size, size)


def load_depth_model(
    model: str | Path = "face-dpt",
    provider: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    extras: Collection[str] = EXTRAS,
) -> DepthModel:
    """Find a depth model by name or folder, verify its hash and open it.

    Args:
        model: a name from `rtrecon.depth.store.list_models`, or a folder with ``model.json``.
        provider: ``auto`` or a short name such as ``cuda``.
        precision: ``fp32``, ``fp16`` or ``int8``; None takes the model's best there.
        threads: CPU threads; None takes the machine's cores, at most four.
        extras: which of `EXTRAS` to give where the model has them.

    Raises:
        ModelError: no such model, a manifest or file that is damaged or does not fit.
        ProviderError: the named provider does not work here.
    """
    return DepthModel(Manifest.load(find_model(model)), provider, precision, threads, extras)


def _say_if_unverified(file: ModelFile) -> None:
    if file.sha256 is None and file.path not in _unverified:
        _unverified.add(file.path)
        logger.warning(
            '%s has no "sha256" in its manifest: nobody can tell whether it is whole and the one '
            "that is meant",
            file.path,
        )


def _output_names(manifest: Manifest, wanted: Collection[str]) -> dict[str, str]:
    names = {"value": manifest.value}
    if manifest.mask is not None:
        names["mask"] = manifest.mask
    return names | named_outputs(manifest, wanted)


def _check_outputs(present: Sequence[str], names: Mapping[str, str], manifest: Manifest) -> None:
    for role, name in names.items():
        if name not in present:
            raise ModelError(
                f"model {manifest.name} has no output {name!r} for its {role} (it has "
                f"{', '.join(present)}): its manifest does not fit its ONNX file"
            )


def _check_input(session: Runner, manifest: Manifest) -> tuple[int | None, type[np.floating[Any]]]:
    """The graph's fixed batch (None: any) and element type."""
    spec, nodes = manifest.input, session.get_inputs()
    size = spec.size_px
    if len(nodes) != 1 or nodes[0].name != spec.name:
        raise ModelError(
            f"model {manifest.name} takes {', '.join(n.name for n in nodes)}, not the one input "
            f"{spec.name!r}: its manifest does not fit its ONNX file"
        )
    shape = nodes[0].shape
    fits = len(shape) == 4 and all(
        not isinstance(have, int) or have == want
        for have, want in zip(shape[1:], (3, size, size), strict=True)
    )
    if not fits or nodes[0].type not in ("tensor(float)", "tensor(float16)"):
        raise ModelError(
            f"model {manifest.name} takes {nodes[0].type} {shape}, not floats of "
            f"{('n', 3, size, size)}: its manifest does not fit its ONNX file"
        )
    batch = shape[0] if isinstance(shape[0], int) else None
    return batch, np.float16 if nodes[0].type == "tensor(float16)" else np.float32
