"""Files that the page offers: our avatar, the newest face, the person's own head."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.avatar import encode_avatar, make_avatar
from rtrecon.head.mean import mean_rigged_head
from rtrecon.head.vrm import PERMISSIONS, VrmMeta, encode_vrm
from rtrecon.mesh.face_mesh import file_mesh
from rtrecon.mesh.mesh_files import encode_mesh
from rtrecon.result import LiveResult

__all__ = ["FILE_NAMES", "ModelFile", "ModelFiles", "NothingSeenError"]

logger = logging.getLogger(__name__)

FILE_NAMES = ("avatar.vrm", "face.glb", "person.vrm", "avatar.glb")
_OLD_NS = 10_000_000_000
_NEARLY_DEG = 3.0  # a view that is turned away so much more than the best is as good


class NothingSeenError(Exception):
    """There is no face to make it of yet."""


class ModelFile:
    """Contents and what they are known by."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tag = hashlib.sha256(data).hexdigest()[:16]


class ModelFiles:
    """Makes them when they are asked for, one at a time, and keeps the newest of each.

    `note` is the output's; `get` is for the server's loop, which does not wait for the making.

    Args:
        ipd_mm: between the person's pupils.
    """

    def __init__(self, ipd_mm: float) -> None:
        self._ipd_mm = ipd_mm
        self._lock = threading.Lock()
        self._latest: LiveResult | None = None
        self._best: LiveResult | None = None  # that looks ahead, of the last seconds
        self._best_deg = 180.0
        self._making = asyncio.Lock()
        self._made: dict[str, tuple[int, ModelFile]] = {}

    def note(self, result: LiveResult) -> None:
        """A result; remembered where there is a face in it that can be placed."""
        if not result.faces or not np.isfinite(result.faces[0].T_camera_face).all():
            return
        turned_deg = _turned_deg(result.faces[0])
        with self._lock:
            self._latest = result
            best = self._best
            is_old = best is None or result.frame.t_capture_ns - best.frame.t_capture_ns > _OLD_NS
            if is_old or turned_deg < self._best_deg + _NEARLY_DEG:
                self._best, self._best_deg = result, min(turned_deg, self._best_deg)
                if is_old:
                    self._best_deg = turned_deg

    async def get(self, name: str) -> ModelFile:
        """The file of one of `FILE_NAMES`.

        Raises:
            NothingSeenError: there was no face yet.
            RtreconError: it cannot be made.
        """
        async with self._making:
            if name == "avatar.vrm":
                return await self._of(name, 0, _mean_avatar)
            with self._lock:
                seen = self._latest if name == "face.glb" else self._best
            if seen is None:
                raise NothingSeenError
            key = seen.frame.t_capture_ns
            if name == "face.glb":
                return await self._of(name, key, lambda: _face_glb(seen))
            return await self._of(name, key, lambda: _person(seen, name, self._ipd_mm))

    async def _of(self, name: str, key: int, make: Callable[[], bytes]) -> ModelFile:
        known = self._made.get(name)
        if known is not None and known[0] == key:
            return known[1]
        start_s = time.monotonic()
        made = ModelFile(await asyncio.get_running_loop().run_in_executor(None, make))
        self._made[name] = (key, made)
        logger.info(
            "web: made %s, %.1f MB, in %.1f s",
            name, len(made.data) / 1e6, time.monotonic() - start_s,
        )  # fmt: skip
        return made


def _turned_deg(face: FaceReconstruction) -> float:
    """How far a face looks past the camera."""
    at = face.T_camera_face[:3, 3]
    ahead = -face.T_camera_face[:3, 2]
    cosine = float(ahead @ -at / max(float(np.linalg.norm(at)), 1e-9))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _mean_avatar() -> bytes:
    return encode_vrm(mean_rigged_head(), VrmMeta("rtrecon", "rtrecon", allowed=PERMISSIONS))


def _face_glb(seen: LiveResult) -> bytes:
    path = Path("face.glb")
    return encode_mesh(file_mesh(seen.faces[0]), path)[path]


def _person(seen: LiveResult, name: str, ipd_mm: float) -> bytes:
    path = Path(name)
    rigged = make_avatar(seen.faces[0], seen.frame.image, ipd_mm=ipd_mm)
    return encode_avatar(rigged, path, VrmMeta("me", "unknown"))[path]
