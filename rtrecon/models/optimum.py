"""Whether an installed optimum could export, and why it does not. See docs/models.md."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging

from rtrecon.models.folder import is_installed

__all__ = ["say_why_not_optimum"]

logger = logging.getLogger(__name__)


def say_why_not_optimum() -> None:
    """Say once an export why optimum, where somebody has it, is not what exports.

    None that exists works with the transformers that the ``export`` extra wants: optimum-onnx 0.1.0
    is for those below 4.58.
    """
    if not is_installed("optimum-onnx"):
        return
    version = importlib.metadata.version("optimum-onnx")
    try:
        importlib.import_module("optimum.exporters.onnx.convert")
        reason = "it imports, but rtrecon has not been tried with it"
    except Exception as error:  # of what another package does at its import, all may be
        text = str(error).strip().split("\n")[0]
        transformers = importlib.metadata.version("transformers")
        reason = f"it does not work with transformers {transformers} ({text})"
    logger.warning(
        "optimum-onnx %s is not used: %s; exporting by PyTorch itself. What `optimum-cli export "
        "onnx` wrote elsewhere comes in by `rtrecon models import DIR`",
        version,
        reason,
    )
