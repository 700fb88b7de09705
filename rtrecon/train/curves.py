"""What a training looks like: curves of the scores, and predictions beside their targets."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from rtrecon.draw.png import write_png
from rtrecon.train.heads.sheet import shade_relief
from rtrecon.train.losses import Targets
from rtrecon.train.network import Outputs

__all__ = ["draw_curves", "draw_predictions"]


def draw_curves(log: Path, out_png: Path) -> None:
    """Plot the log of a training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [row["step"] for row in rows]
    figure, axes = plt.subplots(1, 4, figsize=(16, 3.5))
    for axis, (key, title) in zip(
        axes,
        (
            ("loss", "loss"),
            ("mae_mm", "depth error, mm"),
            ("normal_deg", "normals, degrees"),
            ("mask_iou", "mask IoU"),
        ),
        strict=True,
    ):
        axis.plot(steps, [row[key] for row in rows])
        axis.set_title(title)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(out_png)
    plt.close(figure)


def draw_predictions(
    images: torch.Tensor, out: Outputs, targets: Targets, path: Path, count: int = 12
) -> None:
    """Rows of picture, predicted and true relief as shading, predicted mask."""
    tiles = []
    for k in range(min(count, len(images))):
        size = out.relief.shape[-1]
        picture = (images[k].permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)
        picture = np.asarray(
            cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8
        )
        found = out.relief[k, 0].float().cpu().numpy()
        seen = out.mask[k, 0].float().cpu().numpy() > 0
        true = np.where(targets.valid[k, 0].cpu() > 0.5, targets.relief[k, 0].cpu(), np.nan)
        mask = np.repeat((seen * 255).astype(np.uint8)[..., None], 3, axis=2)
        tiles.append(
            np.hstack(
                [
                    picture,
                    shade_relief(np.where(seen, found, np.nan)),
                    shade_relief(true.astype(np.float32)),
                    mask,
                ]
            )
        )
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 2)
    rows = [np.hstack(tiles[k : k + 2]) for k in range(0, len(tiles), 2)]
    write_png(path, np.vstack(rows))
