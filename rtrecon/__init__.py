"""rtrecon: one webcam in, a metric, textured 3D face out, every frame.

Everything public is here; it is imported when first used, so that ``import rtrecon`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rtrecon._version import __version__

if TYPE_CHECKING:
    from rtrecon.capture.source import Source
    from rtrecon.capture.sources import open_source
    from rtrecon.errors import RtreconError
    from rtrecon.faces.mtcnn import detect_faces
    from rtrecon.geometry.reconstruction import FaceReconstruction, Mesh
    from rtrecon.live_pipeline import LivePipeline
    from rtrecon.mesh.save import save
    from rtrecon.outputs.window.show import show
    from rtrecon.pipeline import Reconstructor, reconstruct
    from rtrecon.types import Expression, Face, Frame, Gaze, Intrinsics, TrackedFace

__all__ = [
    "Expression",
    "Face",
    "FaceReconstruction",
    "Frame",
    "Gaze",
    "Intrinsics",
    "LivePipeline",
    "Mesh",
    "Reconstructor",
    "RtreconError",
    "Source",
    "TrackedFace",
    "__version__",
    "detect_faces",
    "open_source",
    "reconstruct",
    "save",
    "show",
]

_HOME = {
    "Expression": "rtrecon.types",
    "Face": "rtrecon.types",
    "FaceReconstruction": "rtrecon.geometry.reconstruction",
    "Frame": "rtrecon.types",
    "Gaze": "rtrecon.types",
    "Intrinsics": "rtrecon.types",
    "LivePipeline": "rtrecon.live_pipeline",
    "Mesh": "rtrecon.geometry.reconstruction",
    "Reconstructor": "rtrecon.pipeline",
    "RtreconError": "rtrecon.errors",
    "Source": "rtrecon.capture.source",
    "TrackedFace": "rtrecon.types",
    "detect_faces": "rtrecon.faces.mtcnn",
    "open_source": "rtrecon.capture.sources",
    "reconstruct": "rtrecon.pipeline",
    "save": "rtrecon.mesh.save",
    "show": "rtrecon.outputs.window.show",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rtrecon' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
