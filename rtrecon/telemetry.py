"""Keeps what rtrecon stands on from reporting to its makers: set before any of it is imported.

ONNX Runtime since 1.29 writes a device id and events under HOME and sends them; it looks at the
environment alone, and only when it is loaded. What the user has set stays. Children inherit it.
"""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["OPT_OUTS", "turn_off"]

OPT_OUTS = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # transformers asks a service to convert checkpoints that have no safetensors.
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}
"""Variables of the environment, and what says no."""


def turn_off() -> None:
    """Say no for all that the user has not decided."""
    if "onnxruntime" in sys.modules and "ORT_DISABLE_TELEMETRY" not in os.environ:
        logging.getLogger(__name__).warning(
            "onnxruntime was imported before rtrecon and may report to its maker: import rtrecon "
            "first, or set ORT_DISABLE_TELEMETRY=1"
        )
    for name, value in OPT_OUTS.items():
        os.environ.setdefault(name, value)
