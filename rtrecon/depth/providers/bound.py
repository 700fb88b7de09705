"""A session whose input and outputs stay on the device, replayed as a CUDA graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BoundSession"]

_GRAPH_ID = "gpu_graph_id"
_NO_GRAPH = "-1"
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass(slots=True)
class _Binding:
    io: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    run_options: Any


class BoundSession:
    """An ONNX Runtime session with fixed buffers on ``device``; a `Runner`.

    A CUDA graph is recorded for fixed addresses, so each shape of input has buffers (and a
    graph) of its own, made at its first run. One upload and one download a run.
    """

    def __init__(
        self, ort: Any, session: Any, device: str = "cuda", *, graph: bool = False
    ) -> None:
        self._ort = ort
        self._session = session
        self._device = device
        self._graph = graph
        self._bindings: dict[tuple[tuple[int, ...], ...], _Binding] = {}

    @property
    def uses_graph(self) -> bool:
        """Whether runs are replays of a CUDA graph."""
        return self._graph

    def get_inputs(self) -> Sequence[Any]:
        """Of the session."""
        nodes: Sequence[Any] = self._session.get_inputs()
        return nodes

    def get_outputs(self) -> Sequence[Any]:
        """Of the session."""
        nodes: Sequence[Any] = self._session.get_outputs()
        return nodes

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, np.ndarray[Any, Any]]
    ) -> list[np.ndarray[Any, Any]]:
        """Upload, run, download: arrays of the caller's own, in the order of the names."""
        shapes = tuple(array.shape for array in input_feed.values())
        binding = self._bindings.get(shapes)
        if binding is None:
            binding = self._bindings[shapes] = self._bind(input_feed)
        else:
            for name, array in input_feed.items():
                binding.inputs[name].update_inplace(array)
        self._session.run_with_iobinding(binding.io, binding.run_options)
        names = output_names or [node.name for node in self._session.get_outputs()]
        return [np.array(binding.outputs[name].numpy(), copy=True) for name in names]

    def _bind(self, feed: Mapping[str, np.ndarray[Any, Any]]) -> _Binding:
        values = self._ort.OrtValue
        io = self._session.io_binding()
        inputs = {}
        for name, array in feed.items():
            inputs[name] = values.ortvalue_from_numpy(np.ascontiguousarray(array), self._device, 0)
            io.bind_ortvalue_input(name, inputs[name])
        nodes = self._session.get_outputs()
        types = {node.name: _TYPES[node.type] for node in nodes}
        shapes = self._output_shapes(io, nodes)
        outputs = {}
        io.clear_binding_outputs()
        for name, shape in shapes.items():
            outputs[name] = values.ortvalue_from_shape_and_type(shape, types[name], self._device, 0)
            io.bind_ortvalue_output(name, outputs[name])
        options = self._ort.RunOptions()
        if self._graph:
            options.add_run_config_entry(_GRAPH_ID, str(len(self._bindings) + 1))
        return _Binding(io, inputs, outputs, options)

    def _output_shapes(self, io: Any, nodes: Sequence[Any]) -> dict[str, list[int]]:
        """From the graph where they are fixed, else from one run outside any CUDA graph."""
        if all(isinstance(size, int) for node in nodes for size in node.shape):
            return {node.name: list(node.shape) for node in nodes}
        for node in nodes:
            io.bind_output(node.name, self._device)
        options = self._ort.RunOptions()
        if self._graph:
            options.add_run_config_entry(_GRAPH_ID, _NO_GRAPH)
        self._session.run_with_iobinding(io, options)
        return {
            node.name: list(value.shape())
            for node, value in zip(nodes, io.get_outputs(), strict=True)
        }
