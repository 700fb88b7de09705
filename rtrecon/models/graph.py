"""From a PyTorch module to a small ONNX graph with fixed shapes, and looking inside one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrecon.errors import MissingExtraError, ModelError
from rtrecon.types import Float32Array

if TYPE_CHECKING:
    import onnx
    import torch

__all__ = ["export_graph", "open_graph", "overflowing_layers", "run_graph", "worst_layers"]

logger = logging.getLogger(__name__)


def export_graph(
    module: torch.nn.Module,
    path: Path,
    *,
    size_px: int,
    batch: int = 1,
    output: str = "depth",
    opset: int = 17,
) -> None:
    """Write ``module`` as ONNX: shapes fixed, constants folded, one file.

    PyTorch's tracing exporter, then ONNX Runtime's hardware-independent folding, which
    removes the arithmetic on shapes that tracing leaves. See docs/decisions/model-export.md.

    Raises:
        ModelError: the module cannot be exported at this size.
    """
    import torch

    image = torch.zeros((batch, 3, size_px, size_px))
    raw = path.with_name(f".{path.name}.raw")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # Tracing warns at every branch on a shape; shapes are fixed here on purpose.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (image,),
                raw,
                dynamo=False,
                opset_version=opset,
                input_names=["image"],
                output_names=[output],
                do_constant_folding=True,
            )
        fold(raw, path)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"the checkpoint cannot be exported at {size_px}x{size_px}: {reason}; leave --size "
            "out to take its own size"
        ) from error
    finally:
        raw.unlink(missing_ok=True)


def fold(raw: Path, path: Path) -> None:
    """Fold constants and remove what does nothing, for every device alike."""
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    ort.InferenceSession(str(raw), options, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    # ONNX Runtime declares every domain that it knows; other runtimes refuse those.
    kept = [opset for opset in model.opset_import if opset.domain in used | {""}]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    name_nodes(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def name_nodes(model: onnx.ModelProto) -> None:
    """Give a name to each node without one; precisions are chosen and blamed by name."""
    for k, node in enumerate(model.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{k}"


def open_graph(model: str | Path | bytes, threads: int = 2) -> Any:
    """A CPU session for comparing. Raises ModelError if it cannot be run."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu") from error
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        return ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # ONNX Runtime raises a class of its own for each status
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"the graph cannot be run: {reason}") from error


def run_graph(session: Any, images: Sequence[Float32Array], batch: int = 1) -> list[Float32Array]:
    """The first output for each of ``images`` (1, 3, h, w), repeated to the graph's batch."""
    name = session.get_inputs()[0].name
    return [
        np.asarray(session.run(None, {name: np.repeat(image, batch, axis=0)})[0][:1], np.float32)
        for image in images
    ]


def worst_layers(
    reference: onnx.ModelProto, candidate: onnx.ModelProto, image: Float32Array, count: int = 3
) -> list[str]:
    """Which nodes of ``candidate`` spoil its result: those not finite, else the worst jumps.

    Both graphs are run with every tensor that they share made an output. A node is to blame
    for how much worse its output is than the worst of its inputs, relative to its size.
    """
    expected, found = _shared_tensors(reference, candidate, image)
    errors: dict[str, float] = {}
    blame: list[tuple[float, str]] = []
    for name, node in _producers(reference).items():
        if name not in expected or name not in found:
            continue
        own = _error(expected[name], found[name])
        inherited = max((errors.get(i, 0.0) for i in node.input), default=0.0)
        errors[name] = own
        if np.isinf(own) and np.isinf(inherited):
            continue
        blame.append((own - inherited, f"{node.name} ({node.op_type})"))
    blame.sort(key=lambda item: -item[0])
    return [name for error, name in blame[:count] if error > 0.0]


def overflowing_layers(
    reference: onnx.ModelProto, candidate: onnx.ModelProto, image: Float32Array
) -> list[str]:
    """Nodes of ``candidate`` with values that are not finite where ``reference``'s are.

    A processor without half precision computes in fp32 and skips the casts between nodes, so
    that a result is no proof: each tensor is looked at in the precision that it has.
    """
    expected, found = _shared_tensors(reference, candidate, image)
    return [
        f"{node.name} ({node.op_type})"
        for name, node in _producers(reference).items()
        if name in expected
        and name in found
        and np.isfinite(expected[name]).all()
        and not np.isfinite(found[name]).all()
    ]


def _producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {out: node for node in model.graph.node for out in node.output if out}


def _shared_tensors(
    reference: onnx.ModelProto, candidate: onnx.ModelProto, image: Float32Array
) -> tuple[dict[str, Float32Array], dict[str, Float32Array]]:
    """Every floating tensor that both graphs make, from one run of each."""
    import onnx

    made = _producers(candidate)
    shared = [name for name in _producers(reference) if name in made]

    def run(model: onnx.ModelProto) -> dict[str, Float32Array]:
        model = onnx.ModelProto.FromString(model.SerializeToString())
        present = {output.name for output in model.graph.output}
        for name in shared:
            if name not in present:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
        session = open_graph(model.SerializeToString())
        names = [output.name for output in session.get_outputs()]
        batch = session.get_inputs()[0].shape[0]
        values = session.run(None, {session.get_inputs()[0].name: np.repeat(image, batch, 0)})
        return {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(names, values, strict=True)
            if np.issubdtype(value.dtype, np.floating)
        }

    return run(reference), run(candidate)


def _error(expected: Float32Array, found: Float32Array) -> float:
    if expected.shape != found.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(expected - found).mean() / max(float(np.abs(expected).mean()), 1e-6))
