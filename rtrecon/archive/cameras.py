"""Many live cameras: an actor of Ray for each, with its own ring; the newest result of all.

::

    with Cameras(["rtsp://door/1", "rtsp://hall/1"], address="auto") as cameras:
        while True:
            for name, result in cameras.newest().items():
                print(name, result.age_ms, [face.expression for face in result.faces])

On a node with a card, `shared_depth` has one depth model there that all cameras ask: what goes to
it are crops, what comes back is what `DepthModel.predict` gives, to the bit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtrecon.archive.ray_session import RaySession, last_line
from rtrecon.capture.sources import open_source
from rtrecon.depth.model import DepthModel, DepthPrediction, load_depth_model
from rtrecon.errors import ArgumentError, RtreconError
from rtrecon.faces.align import Crop
from rtrecon.live_pipeline import LivePipeline
from rtrecon.pipeline import Reconstructor, ReconstructorConfig
from rtrecon.takes.row import TakenFace
from rtrecon.types import BgrImage

__all__ = ["CameraResult", "CameraWorker", "Cameras", "DepthServer", "SharedDepthModel"]

logger = logging.getLogger(__name__)

_PLAIN = np.eye(2, 3)  # of a crop that is a picture already
_OPENING_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class CameraResult:
    """The newest of one camera; without its picture and surface, which stay where they are.

    Attributes:
        frame: number of the picture.
        age_ms: since it was taken, when it was asked for.
        latency_ms: from then until its faces were ready.
        faces: what was found.
        fps: results a second, lately. frames_dropped: that were older than the next one.
        state: running, reconnecting, ended or failed.
    """

    frame: int
    age_ms: float
    latency_ms: float
    faces: tuple[TakenFace, ...]
    fps: float
    frames_dropped: int
    state: str


class CameraWorker:
    """One camera with its own capture thread, ring and reconstruction: what an actor is made of.

    Args:
        source: what `open_source` takes.
        config: of its reconstructor.
        loop: a file begins again at its end.
        depth: handle of a `DepthServer` to ask instead of a model of its own.

    Raises:
        SourceError, ModelError, ProviderError: it cannot be opened.
    """

    def __init__(
        self,
        source: int | str,
        config: ReconstructorConfig,
        *,
        loop: bool = False,
        depth: Any = None,
    ) -> None:
        if depth is not None:
            config = replace(config, provider="cpu")  # until the shared one takes its place
        recon = Reconstructor.from_config(config)
        if depth is not None:
            recon.depth_model = SharedDepthModel(depth)
        self._live = LivePipeline(open_source(source, loop=loop), recon)
        self._live.__enter__()

    def newest(self) -> CameraResult | None:
        """The newest result; None before the first.

        Raises:
            RtreconError: the camera was lost for good.
        """
        live = self._live
        if not live.running:
            live.take()  # raises what ended it
        result = live.latest
        if result is None:
            return None
        figures = live.figures(result)
        return CameraResult(
            frame=result.frame.index,
            age_ms=(time.monotonic_ns() - result.frame.t_capture_ns) * 1e-6,
            latency_ms=result.latency_ms,
            faces=tuple(TakenFace.of(face) for face in result.faces),
            fps=figures.fps,
            frames_dropped=figures.frames_dropped,
            state=live.capture.stats.state,
        )

    def close(self) -> None:
        """Let go of the camera."""
        self._live.close()


class DepthServer:
    """A depth model that many ask: what an actor on a node with a card is made of.

    Args:
        config: whose model, provider, precision and threads it has.
    """

    def __init__(self, config: ReconstructorConfig) -> None:
        self._model = load_depth_model(
            config.model, config.provider, config.precision, config.threads
        )

    def facts(self) -> dict[str, Any]:
        """What a `DepthModel` says of itself."""
        model = self._model
        names = ("manifest", "name", "kind", "size_px", "crop_spec", "provider", "threads")
        more = ("precision", "expression_names", "at_once")
        return {name: getattr(model, name) for name in (*names, *more)}

    def predict(self, crops_bgr: Sequence[BgrImage]) -> list[DepthPrediction]:
        """Of crops (h, w, 3) uint8, cut out already; ``crop_bgr`` stays with who asks."""
        found: list[DepthPrediction] = []
        for picture in crops_bgr:
            size = picture.shape[0]
            found += self._model.predict(picture, [Crop(_PLAIN, size, float(size))])
        return [replace(prediction, crop_bgr=None) for prediction in found]


class SharedDepthModel(DepthModel):
    """A `DepthModel` that asks a `DepthServer`; for one thread, as that.

    Args:
        server: handle of the actor.
    """

    def __init__(self, server: Any) -> None:
        import ray

        self._ray, self._server = ray, server
        facts: dict[str, Any] = ray.get(server.facts.remote())
        self._at_once = facts.pop("at_once")
        for name, value in facts.items():
            setattr(self, name, value)

    @property
    def at_once(self) -> int:
        """See `DepthModel`."""
        return int(self._at_once)

    def warmup(self, runs: int = 3) -> float:
        """See `DepthModel`; the way there and back counts."""
        nothing = np.zeros((self.size_px, self.size_px, 3), dtype=np.uint8)
        times_s = []
        for _ in range(runs + 1):
            start_s = time.perf_counter()
            self._ray.get(self._server.predict.remote([nothing]))
            times_s.append(time.perf_counter() - start_s)
        return float(np.median(times_s[1:])) * 1e3

    def predict(self, image_bgr: BgrImage, crops: Sequence[Crop]) -> list[DepthPrediction]:
        """See `DepthModel`."""
        pictures = [crop.warp(image_bgr) for crop in crops]
        found = self._ray.get(self._server.predict.remote(pictures))
        return [
            replace(prediction, crop_bgr=picture)
            for prediction, picture in zip(found, pictures, strict=True)
        ]


class Cameras:
    """A `CameraWorker` each, on this machine's cores or a cluster's; a context manager.

    An actor whose node dies begins anew on another one where there is a core.

    Args:
        sources: what `open_source` takes, each once; a cluster's nodes must reach them all.
        config: of the reconstructors.
        address: of a Ray cluster; None: this machine.
        loop: files begin again at their end.
        cores_each: of each camera.
        shared_depth: one depth model for all, on ``gpu_share`` of a card.

    Attributes:
        errors: what ended cameras, by their names.

    Raises:
        MissingExtraError: Ray is not installed. UserError: there is no such cluster.
    """

    def __init__(
        self,
        sources: Sequence[int | str],
        config: ReconstructorConfig | None = None,
        *,
        address: str | None = None,
        loop: bool = False,
        cores_each: float = 1.0,
        shared_depth: bool = False,
        gpu_share: float = 0.0,
    ) -> None:
        names = [str(source) for source in sources]
        if not names or len(set(names)) < len(names):
            raise ArgumentError("give at least one camera, and each once")
        config = replace(config or ReconstructorConfig(), threads=1)
        self._session = RaySession(None, address)
        ray = self._ray = self._session.ray
        self.errors: dict[str, str] = {}
        self._depth: Any = None
        if shared_depth:
            server = ray.remote(DepthServer).options(
                num_cpus=0 if gpu_share else cores_each, num_gpus=gpu_share, max_restarts=-1
            )
            self._depth = server.remote(config)
        worker = ray.remote(CameraWorker).options(num_cpus=cores_each, max_restarts=-1)
        self._workers = {
            name: worker.remote(source, config, loop=loop, depth=self._depth)
            for name, source in zip(names, sources, strict=True)
        }

    def newest(self, timeout_s: float = _OPENING_S) -> dict[str, CameraResult]:
        """The newest result of each camera that has one; those that answer within ``timeout_s``."""
        asked = {worker.newest.remote(): name for name, worker in self._workers.items()}
        if not asked:
            raise RtreconError(f"no camera is left: {'; '.join(self.errors.values())}")
        done, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=timeout_s)
        found = {}
        for ref in done:
            name = asked[ref]
            try:
                result = self._ray.get(ref)
            except self._ray.exceptions.ActorUnavailableError:
                continue  # it is begun anew
            except self._ray.exceptions.RayError as error:
                self.errors[name] = last_line(error)
                del self._workers[name]
                logger.error("camera %s: %s", name, self.errors[name])
                continue
            if result is not None:
                found[name] = result
        return found

    def close(self) -> None:
        """Let go of all cameras."""
        closing = [worker.close.remote() for worker in self._workers.values()]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=5.0)
        for actor in (*self._workers.values(), self._depth):
            if actor is not None:
                self._ray.kill(actor)
        self._workers.clear()
        self._session.close()

    def __enter__(self) -> Cameras:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
