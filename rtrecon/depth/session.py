"""One session on a provider that has proved itself by running the model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.depth.onnx_file import read_onnx
from rtrecon.depth.providers import (
    AUTO_ORDER,
    REGISTRY,
    ModelSource,
    Provider,
    Runner,
    get_provider,
    provider_names,
)
from rtrecon.errors import MissingExtraError, ModelError, ProviderError, RtreconError
from rtrecon.host import usable_cores

__all__ = ["AUTO_ORDER", "PROVIDERS", "ProviderReport", "create_session", "default_threads"]

logger = logging.getLogger(__name__)

PROVIDERS: Mapping[str, str] = {name: provider.ort_name for name, provider in REGISTRY.items()}
"""Short name to ONNX Runtime's name."""

_TIMED_RUNS = 3
_ORT_WARNING = 2  # ONNX Runtime's severity by default
_said: set[str] = set()  # fallbacks already warned of in this process


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What a session runs on; ``failed`` says why each provider tried before it did not."""

    provider: str
    threads: int
    failed: Mapping[str, str] = field(default_factory=dict)


def default_threads() -> int:
    """CPU threads for a model: the cores this process may use, at most four.

    More than four gain little on a model of this size and take cores from capture and view.
    """
    return max(1, min(4, usable_cores() or 1))


def _bounded(threads: int | None) -> int:
    """Threads asked for, but no more than the cores that this process may use."""
    if threads is None:
        return default_threads()
    cores = usable_cores() or threads
    if threads > cores:
        logger.warning("%d threads are more than this process may use: %d", threads, cores)
    return min(threads, cores)


def create_session(
    source: str | Path | ModelSource | Callable[[str], Path | ModelSource],
    provider: str = "auto",
    threads: int | None = None,
    *,
    free_size: int = 192,
) -> tuple[Runner, ProviderReport]:
    """Open an ONNX file where it really runs: the session is run on zeros.

    ``auto`` takes the first graphics card that works; without one, what works is timed
    against the processor and the fastest is taken.

    Args:
        source: the ONNX file, or a function from a provider's short name to it.
        provider: ``auto`` or a name of `PROVIDERS`.
        threads: CPU threads; None takes `default_threads`.
        free_size: used for the proof in place of free spatial dimensions.

    Raises:
        ProviderError: the provider that was named does not work; says why and the remedy.
        ModelError: the file is missing or is not a model that ONNX Runtime can run.
        MissingExtraError: no ONNX Runtime is installed.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu") from error
    chosen = None if provider == "auto" else get_provider(provider)
    if provider != "auto" and chosen is None:
        raise ProviderError(
            f"there is no provider {provider!r}: take auto or one of {', '.join(provider_names())}"
        )
    threads = _bounded(threads)
    available = ort.get_available_providers()

    def source_for(name: str) -> ModelSource:
        given = source(name) if callable(source) else source
        if not isinstance(given, ModelSource):
            given = ModelSource(Path(given), shape=(1, 3, free_size, free_size))
        if given.content is None:
            given = replace(given, content=read_onnx(given.path, given.sha256))
        return given

    if chosen is not None:
        if not chosen.is_available(available):
            problem = chosen.problem() if provider in ("coreml", "directml") else None
            raise ProviderError(
                f"provider {provider} is not in the installed ONNX Runtime {ort.__version__}"
                f"{f' ({problem})' if problem else ''}: {chosen.remedy}; or use --provider cpu"
            )
        try:
            runner = _open(ort, chosen, source_for(provider), threads, free_size)
        except _UnusableError as error:
            raise ProviderError(
                f"provider {provider} does not work here: {error}; {chosen.remedy}; "
                "or use --provider cpu"
            ) from error
        return runner, ProviderReport(provider, threads)
    return _open_fastest(ort, source_for, available, threads, free_size)


class _UnusableError(Exception):
    """Why a provider does not work here."""


def _open_fastest(
    ort: Any,
    source_for: Callable[[str], ModelSource],
    available: list[str],
    threads: int,
    free_size: int,
) -> tuple[Runner, ProviderReport]:
    failed: dict[str, str] = {}
    candidates: dict[str, Runner] = {}
    for name in AUTO_ORDER:
        provider = REGISTRY[name]
        if not provider.is_available(available):
            continue
        try:
            source = source_for(name)
            if not provider.ready_for_auto(source):
                continue
            candidates[name] = _open(ort, provider, source, threads, free_size)
        except _UnusableError as error:
            failed[name] = str(error)
            continue
        except ModelError:
            if not candidates:
                raise
            continue
        if provider.is_gpu:
            break
    if not candidates:
        raise ProviderError(f"no provider works: {failed or 'none is installed'}")
    name = next(iter(candidates))
    if len(candidates) > 1:
        times_ms = {n: _time_ms(runner, free_size) for n, runner in candidates.items()}
        name = min(times_ms, key=lambda n: times_ms[n])
        logger.debug("a run takes %s: using %s", times_ms, name)
    for loser, reason in failed.items():
        _say_once(loser, name, reason)
    return candidates[name], ProviderReport(name, threads, failed)


def _open(
    ort: Any, provider: Provider, source: ModelSource, threads: int, free_size: int
) -> Runner:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # a failure is raised or said by us
    # Spinning threads fight capture and view for few cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # What keeps a provider from loading is said by us; ONNX Runtime would say it on stderr.
    ort.set_default_logger_severity(4)
    try:
        runner = provider.open(ort, source, options)
        _prove(runner, free_size)
    except RtreconError:
        raise
    except Exception as error:  # ONNX Runtime raises a class of its own for each status
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if provider.name == "cpu":
            raise ModelError(f"{source.path} cannot be run: {reason}") from error
        raise _UnusableError(provider.explain(reason)) from error
    finally:
        ort.set_default_logger_severity(_ORT_WARNING)
    return runner


def _prove(runner: Runner, free_size: int) -> None:
    for output in runner.run(None, _zero_feeds(runner, free_size)):
        if np.issubdtype(output.dtype, np.floating) and not np.isfinite(output).all():
            raise RuntimeError("a trial run gave values that are not finite")


def _time_ms(runner: Runner, free_size: int) -> float:
    feeds = _zero_feeds(runner, free_size)
    times_ms = []
    for _ in range(_TIMED_RUNS):
        start_ns = time.perf_counter_ns()
        runner.run(None, feeds)
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
    return min(times_ms)


def _zero_feeds(runner: Runner, free_size: int) -> dict[str, np.ndarray[Any, Any]]:
    return {node.name: _zeros(node, free_size) for node in runner.get_inputs()}


def _zeros(node: Any, free_size: int) -> np.ndarray[Any, Any]:
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    if node.type not in types:
        raise RuntimeError(f"its input {node.name} is {node.type}, which is not supported")
    picture = (1, 3, free_size, free_size)  # exporters may leave even the channels free
    shape = [
        size if isinstance(size, int) and size > 0 else due
        for size, due in zip(node.shape, picture, strict=False)
    ]
    return np.zeros(shape, dtype=types[node.type])


def _say_once(loser: str, winner: str, reason: str) -> None:
    if loser not in _said:
        _said.add(loser)
        logger.warning("provider %s does not work here (%s): using %s", loser, reason, winner)
