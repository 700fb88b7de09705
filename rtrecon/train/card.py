"""The model card: what a model was made from, how good it is and where it fails, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.evaluate.expression_metrics import (
    ACTIVE,
    AT_REST,
    summarize_coefficients,
)
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.quantise import coefficients_of, scores_of

__all__ = ["model_card"]

_BY_YAW_DEG = ((0, 15), (15, 30), (30, 45), (45, 90))
_HEADER = (
    "| yaw, degrees | pictures | depth error | plane | normals | mask IoU "
    "| landmarks | rotation |\n" + "|---" * 8 + "|"
)
_COEFFICIENTS = "| coefficient | correlation | order | spread | of the truth |\n" + "|---" * 5 + "|"
_HEADS = 96  # at most, in a row of the table
_FACES = 768  # at most, for the coefficients


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
                f"| {100 * s['landmark_share']:.1f} % | {s['rotation_deg']:.1f} degrees |"
            )
    coefficients = coefficients_of(path, data, size_px, _FACES)
    by_name = "\n".join(
        f"| {c.name} | {c.correlation:.2f} | {c.order:.3f} | {c.spread:.2f} | {c.true_spread:.2f} |"
        for c in coefficients
    )
    summary = summarize_coefficients(coefficients)
    worst = min(coefficients, key=lambda c: np.nan_to_num(c.order, nan=1.0))
    training = manifest["training"]
    return f"""# Model card: {manifest["name"]}

A small Dense Prediction Transformer that gives the relief of a face from one crop, along the ray
through the crop's middle. Crop: upright square by five landmarks, {manifest["crop"]["side"]} of
their unit wide, {size_px} px.

- **Made by** `python -m rtrecon.train generate`, `fit`, `fit-details` and `export`; last run:
  seed {training["seed"]}, {training["step"]} steps, {training["size"]} px; details
  {training["details"] or 0} steps. All commands and seeds:
  docs/decisions/face-dpt-training.md. `weights.safetensors` goes on with `fit --init`.
- **Data**: synthetic heads of ICT-FaceKit (MIT) alone; no photograph of a person. What the
  generator does not draw, the network has not seen.
- **Licence**: {manifest["licence"]}, see LICENSE.

## Held-out synthetic heads

Identities that were never trained on; median offset of each face removed; "plane" is a flat face.
Landmarks: mean distance to the 68, as a share of that between the outer eye corners. Rotation: of
the head.

{_HEADER}
{chr(10).join(lines)}

The {len(ARKIT_NAMES)} coefficients on up to {_FACES} held-out pictures: correlation with the truth
(a constant: 0); order, the chance that a face that does it (above {ACTIVE}) scores higher than one
at rest (below {AT_REST}; a constant: 0.5); and how much they vary beside the truth (a constant: 0).
Mean correlation {summary["expression_correlation"]:.2f}, mean order
{summary["expression_order"]:.3f}, worst order {worst.order:.3f} ({worst.name}).

{_COEFFICIENTS}
{by_name}

## Limits

- Synthetic figures are no promise for photographs: skin, hair and light are simpler than life.
- Accuracy by skin tone and age: `python -m rtrecon.train bias`; figures in docs/accuracy.md.
- Relief has no scale; metres come from the distance between the eyes or a calibration.
- Not for identification, medical measurement or any decision about a person.
"""
