"""rtrecon: one webcam in, a metric, textured 3D face out, every frame.

Everything public is here; it is imported when first used, so that ``import rtrecon`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rtrecon import telemetry
from rtrecon._version import __version__

if TYPE_CHECKING:
    from rtrecon import draw
    from rtrecon.capture.source import Source
    from rtrecon.capture.sources import open_source
    from rtrecon.capture.thread import CaptureStats, CaptureThread
    from rtrecon.errors import (
        ArgumentError,
        DataError,
        MissingExtraError,
        ModelError,
        NoOutputError,
        OutputError,
        ProviderError,
        RtreconError,
        SourceError,
        SourceLostError,
        UserError,
    )
    from rtrecon.expression.calibration import Calibration
    from rtrecon.faces.align import Crop
    from rtrecon.faces.cut import crop_faces
    from rtrecon.faces.detect import detect_faces
    from rtrecon.fanout import Fanout
    from rtrecon.geometry.mesh import Mesh
    from rtrecon.geometry.reconstruction import FaceGrid, FaceReconstruction, Texture
    from rtrecon.head.avatar import save_avatar
    from rtrecon.head.fit import fit_head, fit_heads
    from rtrecon.head.fitted import FittedHead
    from rtrecon.head.live_fit import PersonFit
    from rtrecon.head.model import HeadModel
    from rtrecon.live_pipeline import FaceMaker, LivePipeline
    from rtrecon.mesh.save import save
    from rtrecon.output import Output, Run
    from rtrecon.outputs.window.show import show
    from rtrecon.pipeline import Reconstructor, ReconstructorConfig, reconstruct
    from rtrecon.result import Figures, LiveResult
    from rtrecon.session import LiveSession, live
    from rtrecon.stats import FrameTimes, RunStats, Samples
    from rtrecon.types import (
        EulerAngles,
        Expression,
        EyeAngles,
        Face,
        Frame,
        Gaze,
        Intrinsics,
        PilImage,
        TrackedFace,
    )

telemetry.turn_off()

__all__ = [
    "ArgumentError",
    "Calibration",
    "CaptureStats",
    "CaptureThread",
    "Crop",
    "DataError",
    "EulerAngles",
    "Expression",
    "EyeAngles",
    "Face",
    "FaceGrid",
    "FaceMaker",
    "FaceReconstruction",
    "Fanout",
    "Figures",
    "FittedHead",
    "Frame",
    "FrameTimes",
    "Gaze",
    "HeadModel",
    "Intrinsics",
    "LivePipeline",
    "LiveResult",
    "LiveSession",
    "Mesh",
    "MissingExtraError",
    "ModelError",
    "NoOutputError",
    "Output",
    "OutputError",
    "PersonFit",
    "PilImage",
    "ProviderError",
    "Reconstructor",
    "ReconstructorConfig",
    "RtreconError",
    "Run",
    "RunStats",
    "Samples",
    "Source",
    "SourceError",
    "SourceLostError",
    "Texture",
    "TrackedFace",
    "UserError",
    "__version__",
    "crop_faces",
    "detect_faces",
    "draw",
    "fit_head",
    "fit_heads",
    "live",
    "open_source",
    "reconstruct",
    "save",
    "save_avatar",
    "show",
]

_NAMES = {
    "rtrecon.expression.calibration": ["Calibration"],
    "rtrecon.capture.source": ["Source"],
    "rtrecon.capture.sources": ["open_source"],
    "rtrecon.capture.thread": ["CaptureStats", "CaptureThread"],
    "rtrecon.errors": [
        "ArgumentError",
        "DataError",
        "MissingExtraError",
        "ModelError",
        "NoOutputError",
        "OutputError",
        "ProviderError",
        "RtreconError",
        "SourceError",
        "SourceLostError",
        "UserError",
    ],
    "rtrecon.faces.align": ["Crop"],
    "rtrecon.faces.cut": ["crop_faces"],
    "rtrecon.faces.detect": ["detect_faces"],
    "rtrecon.fanout": ["Fanout"],
    "rtrecon.geometry.mesh": ["Mesh"],
    "rtrecon.geometry.reconstruction": ["FaceGrid", "FaceReconstruction", "Texture"],
    "rtrecon.head.avatar": ["save_avatar"],
    "rtrecon.head.fit": ["fit_head", "fit_heads"],
    "rtrecon.head.fitted": ["FittedHead"],
    "rtrecon.head.live_fit": ["PersonFit"],
    "rtrecon.head.model": ["HeadModel"],
    "rtrecon.live_pipeline": ["FaceMaker", "LivePipeline"],
    "rtrecon.mesh.save": ["save"],
    "rtrecon.output": ["Output", "Run"],
    "rtrecon.outputs.window.show": ["show"],
    "rtrecon.pipeline": ["Reconstructor", "ReconstructorConfig", "reconstruct"],
    "rtrecon.result": ["Figures", "LiveResult"],
    "rtrecon.session": ["LiveSession", "live"],
    "rtrecon.stats": ["FrameTimes", "RunStats", "Samples"],
    "rtrecon.types": [
        "EulerAngles",
        "Expression",
        "EyeAngles",
        "Face",
        "Frame",
        "Gaze",
        "Intrinsics",
        "PilImage",
        "TrackedFace",
    ],
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "draw":
        return importlib.import_module("rtrecon.draw")
    if name not in _HOME:
        raise AttributeError(f"module 'rtrecon' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
