"""The model card: what a model was made from, how good it is and where it fails, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.quantise import scores_of

__all__ = ["model_card"]

_BY_YAW_DEG = ((0, 15), (15, 30), (30, 45), (45, 90))
_HEADER = (
    "| yaw, degrees | pictures | depth error | plane | normals | mask IoU "
    "| landmarks | rotation | expression |\n" + "|---" * 9 + "|"
)
_HEADS = 96  # at most, in a row of the table


def model_card(manifest: dict[str, Any], path: Path, data: Path, size_px: int) -> str:
    """Markdown of the card for ``path``, scored on held-out heads of ``data`` by yaw."""
    samples = ShardDataset([data], held_out=True)
    R = np.stack([samples[k]["R_camera_face"] for k in range(len(samples))])
    yaw_deg = np.degrees(np.arctan2(np.abs(R[:, 0, 2]), np.abs(R[:, 2, 2])))
    lines = []
    for low, high in _BY_YAW_DEG:
        rows = np.flatnonzero((yaw_deg >= low) & (yaw_deg < high))
        rows = rows[np.linspace(0, len(rows) - 1, min(_HEADS, len(rows))).astype(int)]
        if len(rows):
            s = scores_of(path, data, size_px, rows)
            lines.append(
                f"| {low} to {high} | {len(rows)} | {s['mae_mm']:.2f} mm | {s['plane_mm']:.2f} mm "
                f"| {s['normal_deg']:.1f} degrees | {s['mask_iou']:.3f} "
                f"| {100 * s['landmark_share']:.1f} % | {s['rotation_deg']:.1f} degrees "
                f"| {s['expression']:.3f} |"
            )
    training = manifest["training"]
    return f"""# Model card: {manifest["name"]}

A small Dense Prediction Transformer that gives the relief of a face from one crop, along the ray
through the crop's middle. Crop: upright square by five landmarks, {manifest["crop"]["side"]} of
their unit wide, {size_px} px.

- **Made by** `python -m rtrecon.train generate`, `fit` and `export`; last run: seed
  {training["seed"]}, {training["step"]} steps, {training["size"]} px. All commands and seeds:
  docs/decisions/face-dpt-training.md. `weights.safetensors` goes on with `fit --init`.
- **Data**: synthetic heads of ICT-FaceKit (MIT) alone; no photograph of a person. What the
  generator does not draw, the network has not seen.
- **Licence**: {manifest["licence"]}, see LICENSE.

## Held-out synthetic heads

Identities that were never trained on; median offset of each face removed; "plane" is a flat face.
Landmarks: mean distance to the 68, as a share of that between the outer eye corners. Rotation: of
the head. Expression: mean absolute error of the {len(ARKIT_NAMES)} coefficients (0 to 1).

{_HEADER}
{chr(10).join(lines)}

## Limits

- Synthetic figures are no promise for photographs: skin, hair and light are simpler than life.
- Accuracy by skin tone and age: `python -m rtrecon.train bias`; figures in docs/accuracy.md.
- Relief has no scale; metres come from the distance between the eyes or a calibration.
- Not for identification, medical measurement or any decision about a person.
"""
