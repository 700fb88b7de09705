"""What a network says, of whatever kind, as relief: ``(z_ref - z) / W``."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from rtrecon.depth.model import DepthPrediction
from rtrecon.faces.align import Crop
from rtrecon.geometry.inverse import InverseMemory, inverse_to_depth_ratio
from rtrecon.geometry.landmarks import Landmarks, sample
from rtrecon.geometry.mask import ellipse_mask
from rtrecon.geometry.pose import fit_pose, guess_pose
from rtrecon.geometry.rays import CropRays
from rtrecon.geometry.scale import MAX_DEPTH_M, MIN_DEPTH_M
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["ReliefMemory", "ReliefReader"]

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class ReliefMemory:
    """Of one face: the last fit of the mean face (inverse depth alone needs it), and the last
    reference depth (of metric depth)."""

    inverse: InverseMemory = field(default_factory=InverseMemory)
    pose: Float64Array | None = None
    z_ref_m: float | None = None


class ReliefReader:
    """Turns predictions of one size into relief. For one thread.

    Args:
        size: width and height of the crops in pixels.
        ipd_m: interpupillary distance in metres.
    """

    def __init__(self, size: int, ipd_m: float) -> None:
        self._ipd_m = ipd_m
        self._out = np.empty((size, size), dtype=np.float32)
        self._flags = np.empty((size, size), dtype=np.uint8)
        self._said: set[str] = set()

    def read(
        self,
        prediction: DepthPrediction,
        crop: Crop,
        intrinsics: Intrinsics,
        rays: CropRays,
        marks: Landmarks,
        memory: ReliefMemory | None,
        dt_s: float,
    ) -> tuple[Float32Array, float | None]:
        """Relief of one prediction.

        Returns:
            (h, w) float32, finite, good until the next call; and the reference depth in metres
            if the network knows it.
        """
        value = prediction.value
        if not np.isfinite(value).all():  # which the caller has said, and masks
            value = np.where(np.isfinite(value), value, np.float32(0.0))
        if prediction.kind == "relief":
            return value, None
        z_ref_m = None
        if prediction.kind == "metric":
            z_ref_m = self._metric(value, marks)
            if memory is not None:
                memory.z_ref_m = z_ref_m
        else:
            self._inverse(prediction, value, crop, intrinsics, marks, memory, dt_s)
        np.subtract(np.float32(1.0), self._out, out=self._out)
        np.multiply(self._out, np.float32(1.0 / rays.span), out=self._out)
        return self._out, z_ref_m

    def _metric(self, value: Float32Array, marks: Landmarks) -> float:
        depths = sample(value, marks.crop_px)
        known = depths[(depths >= MIN_DEPTH_M) & (depths <= MAX_DEPTH_M)]
        if len(known) == 0:
            self._say_once(
                f"the depth model sees the face nearer than {MIN_DEPTH_M:g} m or beyond "
                f"{MAX_DEPTH_M:g} m: taken for 1 m away"
            )
        z_ref_m = float(known.mean()) if len(known) else 1.0
        np.multiply(value, np.float32(1.0 / z_ref_m), out=self._out)
        return z_ref_m

    def _inverse(
        self,
        prediction: DepthPrediction,
        value: Float32Array,
        crop: Crop,
        intrinsics: Intrinsics,
        marks: Landmarks,
        memory: ReliefMemory | None,
        dt_s: float,
    ) -> None:
        head = self._flags.view(np.bool_)
        if prediction.mask_logit is not None:
            np.greater(prediction.mask_logit, 0.0, out=head)
        else:
            ellipse_mask(marks.crop_px, crop.size_px, self._flags)
        start = memory.pose if memory is not None else None
        if start is None:
            start = guess_pose(marks.rays, self._ipd_m)
        pose = fit_pose(marks.rays, None, self._ipd_m, start)
        used = inverse_to_depth_ratio(
            value,
            head,
            crop,
            intrinsics,
            pose,
            self._ipd_m,
            memory.inverse if memory is not None else None,
            dt_s,
            self._out,
        )
        if memory is not None:
            memory.pose = pose
        if not used:
            self._say_once("the depth model's values do not show a face: it stays flat")

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            logger.warning(message)
