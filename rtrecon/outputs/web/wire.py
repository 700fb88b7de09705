"""A result as one binary message for pages: a JSON header and blobs (docs/web.md)."""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from rtrecon.avatar.frame import AvatarFrame, eyes_of
from rtrecon.avatar.measured import ArkitValues
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.outputs.web.head_layer import HeadBlobs, HeadLayer
from rtrecon.outputs.web.layers import Layers
from rtrecon.result import LiveResult
from rtrecon.types import BgrImage, Float64Array, Intrinsics

__all__ = ["MAGIC", "Message", "Origin", "ResultPacker", "depth_blob"]

MAGIC = b"RTR1"
_DEPTH_STEP_M = 0.0001
_PICTURE_QUALITY, _TEXTURE_QUALITY = 70, 75
_LEAST_TEXTURE_PX = 64
_SMALL_MESSAGE = 40_000
"""Bytes up to which the blobs of more faces than the first go along."""

_ZERO = b"\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Origin:
    """What the sender knows a picture by; see ``sender_t`` and ``rtp`` of docs/web.md."""

    sender_t: float | None = None
    rtp: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A packed result.

    Attributes:
        seq: its number.
        data: header and blobs.
        tints: keys of the tints that its heads are drawn with.
        has_tints: whether these are in it.
    """

    seq: int
    data: bytes
    tints: frozenset[int] = frozenset()
    has_tints: bool = False


class ResultPacker:
    """Packs one result after another; each part once, however many sets of layers want it.

    For one thread at a time. Nothing is made that is not wanted: the head model is loaded when
    the first page asks for a head.
    """

    def __init__(self) -> None:
        self._head: HeadLayer | None = None
        self._arkit = ArkitValues()
        self._extra_bytes: dict[Layers, int] = {}

    def pack(
        self,
        seq: int,
        result: LiveResult,
        wanted: Iterable[tuple[Layers, frozenset[int]]],
        *,
        avatar: AvatarFrame | None = None,
        origin: Origin = Origin(),
    ) -> dict[tuple[Layers, bool], Message]:
        """Messages by their layers and whether they have tints.

        Args:
            seq: number of the result.
            result: what is packed.
            wanted: layers, and the tints that a page with those has already.
            avatar: the person's avatar at that time.
            origin: of a picture from a page.

        Raises:
            ModelError: a head is wanted, and its model is not installed.
        """
        known: dict[Layers, list[frozenset[int]]] = {}
        for layers, tints in wanted:
            known.setdefault(layers, []).append(tints)
        parts = _Parts(result, self._arkit)
        messages: dict[tuple[Layers, bool], Message] = {}
        for layers, having in known.items():
            heads = self._heads(layers, result, parts)
            tints = frozenset(blobs.tint_key for blobs in heads.values())
            for has_tints in {not tints <= have for have in having}:
                data = self._message(seq, parts, layers, heads, has_tints, avatar, origin)
                messages[layers, has_tints] = Message(seq, data, tints, has_tints)
        return messages

    def _heads(self, layers: Layers, result: LiveResult, parts: _Parts) -> dict[int, HeadBlobs]:
        """Of the first face, and of no other: each costs as much as all the rest together."""
        if not (layers.head and parts.faces):
            return {}
        if parts.heads is None:
            if self._head is None:
                self._head = HeadLayer()
            face = parts.faces[0]
            parts.heads = {face.id: self._head(face, result.frame.t_ns)}
        return parts.heads

    def _message(
        self,
        seq: int,
        parts: _Parts,
        layers: Layers,
        heads: dict[int, HeadBlobs],
        has_tints: bool,
        avatar: AvatarFrame | None,
        origin: Origin,
    ) -> bytes:
        blobs = _Blobs()
        frame = parts.result.frame
        height, width = frame.image.shape[:2]
        header: dict[str, Any] = {
            "seq": seq,
            "t_ms": round(frame.t_capture_ns * 1e-6, 3),
            "sender_t": origin.sender_t,
            "rtp": origin.rtp,
            "latency_ms": round(parts.result.latency_ms, 1),
            "age_ms": 0.0,
            "width": width,
            "height": height,
            "K": parts.intrinsics(),
            "picture": None,
            "avatar": None if avatar is None else _avatar_json(avatar),
            "faces": [],
        }
        if layers.picture_px:
            header["picture"] = blobs.add(parts.picture(layers.picture_px))
        for k, face in enumerate(parts.faces):
            words = dict(parts.face_json(face))
            words["landmarks68"] = parts.landmarks68(face) if layers.points else None
            fits = k == 0 or blobs.size + self._extra_bytes.get(layers, 0) < _SMALL_MESSAGE
            before = blobs.size
            words["texture"] = words["depth"] = words["head"] = None
            is_drawn = k == 0 or layers.depth or face.id in heads
            if layers.texture_px and fits and is_drawn:
                words["texture"] = blobs.add(parts.texture(face, layers.texture_px))
            if layers.depth and fits:
                words["depth"] = {"blob": blobs.add(parts.depth(face)), **parts.depth_json(face)}
            if k > 0 and fits:
                self._extra_bytes[layers] = blobs.size - before
            head = heads.get(face.id)
            if head is not None:
                words["head"] = {
                    "blob": blobs.add(head.shape),
                    **head.words,
                    "tint": blobs.add(head.tint) if has_tints else None,
                    "tint_key": head.tint_key,
                }
            header["faces"].append(words)
        header["age_ms"] = round((time.monotonic_ns() - frame.t_capture_ns) * 1e-6, 1)
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        return b"".join([MAGIC, struct.pack("<I", len(text)), text, *blobs.parts])


class _Blobs:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, blob: bytes) -> list[int]:
        place = [self.size, len(blob)]
        padding = _ZERO[: -len(blob) % 4]
        self.parts += [blob, padding]
        self.size += len(blob) + len(padding)
        return place


class _Parts:
    """Parts of one result, each made when it is first wanted."""

    def __init__(self, result: LiveResult, arkit: ArkitValues) -> None:
        self.result, self._arkit = result, arkit
        # One without a pose cannot be placed.
        self.faces = [f for f in result.faces if np.isfinite(f.T_camera_face).all()]
        self.heads: dict[int, HeadBlobs] | None = None
        self._made: dict[Any, Any] = {}

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def intrinsics(self) -> list[float] | None:
        found: Intrinsics | None = self.result.frame.intrinsics
        if self.faces:
            found = self.faces[0].intrinsics
        return None if found is None else _rounded([found.fx, found.fy, found.cx, found.cy], 2)

    def picture(self, largest_px: int) -> bytes:
        return bytes(
            self._once(("picture", largest_px), lambda: _jpeg(_shrunk(self.result, largest_px)))
        )

    def texture(self, face: FaceReconstruction, most_px: int) -> bytes:
        return bytes(self._once(("texture", face.id, most_px), lambda: _texture(face, most_px)))

    def depth(self, face: FaceReconstruction) -> bytes:
        return bytes(self._once(("depth", face.id), lambda: depth_blob(face))[0])

    def depth_json(self, face: FaceReconstruction) -> dict[str, Any]:
        self.depth(face)
        base_m = self._made["depth", face.id][1]
        height, width = face.grid.valid.shape
        return {
            "width": width,
            "height": height,
            "step_m": _DEPTH_STEP_M,
            "base_m": base_m,
            "rays": _rounded(_rays(face), 8),
        }

    def landmarks68(self, face: FaceReconstruction) -> list[float] | None:
        points = face.landmarks68_px
        return None if points is None else _rounded(points, 1)

    def face_json(self, face: FaceReconstruction) -> dict[str, Any]:
        words: dict[str, Any] = self._once(("json", face.id), lambda: self._face_json(face))
        return words

    def _face_json(self, face: FaceReconstruction) -> dict[str, Any]:
        T = face.T_camera_face
        return {
            "id": face.id,
            "score": round(float(face.score), 3),
            "box": _rounded(face.box_px, 1),
            "landmarks": _rounded(face.landmarks_px, 1),
            "T": _rounded(T, 5),
            "coefficients": (None if face.expression is None else _rounded(self._arkit(face), 3)),
            "distance_m": round(float(np.linalg.norm(T[:3, 3])), 4),
            "M": _rounded(face.crop.M_crop_picture, 5),
            "crop_px": face.crop.size_px,
        }


def depth_blob(face: FaceReconstruction) -> tuple[bytes, float]:
    """Depth of the crop's pixels, through zlib; and the depth that the value 1 stands for."""
    z, valid = face.grid.points_camera[:, :, 2], face.grid.valid
    low = np.min(z, where=valid, initial=np.inf)
    base_m = round(float(low), 4) if np.isfinite(low) else 0.0
    steps = (z - np.float32(base_m)) * np.float32(1.0 / _DEPTH_STEP_M)
    steps += np.float32(1.5)  # the nearest is 1, and what follows cuts off
    np.clip(steps, 1.0, 65535.0, out=steps)
    steps *= valid
    values = steps.astype(np.uint16)
    rows = values.copy()
    rows[1:] -= values[:-1]
    return zlib.compress(rows.data, 1), base_m


def _rays(face: FaceReconstruction) -> Float64Array:
    """(3, 3): from (column, row, 1) of the crop to the point that is 1 m deep."""
    i = face.intrinsics
    M = face.crop.M_picture_crop
    rays = np.zeros((3, 3))
    rays[0] = (M[0] - (0.0, 0.0, i.cx)) / i.fx
    rays[1] = (M[1] - (0.0, 0.0, i.cy)) / i.fy
    rays[2, 2] = 1.0
    return rays


def _texture(face: FaceReconstruction, most_px: int) -> bytes:
    """The crop as the camera saw it; no larger than that is worth."""
    crop_px = face.crop.size_px
    seen_px = crop_px * float(np.linalg.norm(face.texture.M_texture_crop[:, 0]))
    side = int(min(most_px, max(_LEAST_TEXTURE_PX, 16 * np.ceil(seen_px / 16))))
    scale = crop_px / side
    M = face.texture.M_texture_crop
    M_texture_out = M * scale
    M_texture_out[:, 2] = M[:, 2] + M[:, :2].sum(axis=1) * (0.5 * scale - 0.5)  # pixel centres
    flat = cv2.warpAffine(
        face.texture.image_bgr,
        M_texture_out,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _encoded(flat, _TEXTURE_QUALITY)


def _shrunk(result: LiveResult, largest_px: int) -> npt.NDArray[np.uint8]:
    image = result.frame.image
    height, width = image.shape[:2]
    shrink = max(height, width) / largest_px
    if shrink <= 1.0:
        return image
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    how = cv2.INTER_AREA if shrink >= 2.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), dtype=np.uint8)


def _jpeg(image: BgrImage) -> bytes:
    return _encoded(image, _PICTURE_QUALITY)


def _encoded(image: Any, quality: int) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="BGR", colorsubsampling="420"
    )
    return data


def _avatar_json(frame: AvatarFrame) -> dict[str, Any]:
    left, right = frame.eyes if frame.eyes else eyes_of(frame.coefficients)
    return {
        "state": frame.state,
        "rotation": _rounded(frame.rotation, 5),
        "position_m": _rounded(frame.position_m, 4),
        "coefficients": _rounded(frame.coefficients, 3),
        "eyes": _rounded([left.yaw_rad, left.pitch_rad, right.yaw_rad, right.pitch_rad], 4),
    }


def _rounded(values: Any, decimals: int) -> list[float]:
    """All of an array row by row; what is not finite, which JSON has no word for, as 0."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    kept: list[float] = np.nan_to_num(flat.round(decimals), posinf=0.0, neginf=0.0).tolist()
    return kept
