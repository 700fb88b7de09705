"""Losses in relief space, and the scores in millimetres that training is judged by."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.network import Outputs

__all__ = [
    "Targets",
    "expression_loss",
    "face_scores",
    "landmarks_loss",
    "normals_from_relief",
    "token_scores",
    "total_loss",
]

_FACE_WEIGHT = 4.0
# Landmarks of brows, eyes and lips count for more than those of the jaw, which nothing marks.
_MARK_WEIGHT = torch.ones(68)
_MARK_WEIGHT[17:27] = 2.0
_MARK_WEIGHT[36:48] = 1.5
_MARK_WEIGHT[48:68] = 2.0
_MARK_WEIGHT /= _MARK_WEIGHT.mean()
_GAZE = {
    side: [k for k, name in enumerate(ARKIT_NAMES) if name.startswith("eyeLook") and side in name]
    for side in ("Left", "Right")
}
_BLINK = {side: ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")}


@dataclass(slots=True)
class Targets:
    """A batch of what should come out, at the outputs' size.

    ``relief`` (n, 1, h, w), 0 off ``valid``; ``valid``, ``mask`` and ``face`` (n, 1, h, w) in
    {0, 1}; ``expression`` (n, 51), ``landmarks`` (n, 68, 2) as a share of the crop,
    ``rotation`` (n, 3, 3), ``W_m`` (n,). The last ``pairs`` of the batch are the first ones once
    more, in other noise.
    """

    relief: Tensor
    valid: Tensor
    mask: Tensor
    face: Tensor
    expression: Tensor
    landmarks: Tensor
    rotation: Tensor
    W_m: Tensor
    pairs: int = 0

    def to(self, device: torch.device) -> Targets:
        """The same on ``device``."""
        tensors = {
            field.name: getattr(self, field.name).to(device, non_blocking=True)
            for field in fields(self)
            if field.name != "pairs"
        }
        return Targets(**tensors, pairs=self.pairs)


def total_loss(out: Outputs, target: Targets) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch and its parts."""
    relief, gt = out.relief.float(), target.relief
    weight = target.valid * (1.0 + _FACE_WEIGHT * target.face)
    face = weight * target.face + 1e-6
    error = relief - gt
    per_face = error.flatten(1), face.flatten(1)
    offset = (per_face[0] * per_face[1]).sum(1) / per_face[1].sum(1)
    shape = error - offset[:, None, None, None]
    # The wanted accuracy is a hundredth of the crop: scale so that the parts are of order one.
    absolute = _mean(error.abs(), weight) * 8.0
    shaped = _mean(shape.abs(), weight) * 24.0
    slopes = sum((_slope_loss(error, gt, weight, step) for step in (1, 2, 4, 8)), torch.zeros(()))
    n_out, n_gt = normals_from_relief(relief), normals_from_relief(gt)
    inner = -functional.max_pool2d(-target.valid, 3, 1, 1)
    normal = _mean(1.0 - (n_out * n_gt).sum(1, keepdim=True), weight * inner) * 3.0
    mask = functional.binary_cross_entropy_with_logits(out.mask.float(), target.mask)
    rotation = (out.rotation - target.rotation).abs().mean() * 0.5
    parts = {
        "absolute": absolute,
        "shape": shaped,
        "slopes": slopes,
        "normal": normal,
        "mask": mask,
        "landmarks": landmarks_loss(out.landmarks.float(), target.landmarks) * 10.0,
        "expression": expression_loss(out.expression.float(), target.expression) * 4.0,
        "rotation": rotation,
    }
    if target.pairs:
        parts["pairs"] = _pair_loss(out, face, target.pairs)
    loss = torch.stack(list(parts.values())).sum()
    return loss, {name: float(value.detach()) for name, value in parts.items()}


def landmarks_loss(found: Tensor, true: Tensor) -> Tensor:
    """Mean absolute error of (n, 68, 2), brows, eyes and lips foremost."""
    return ((found - true).abs() * _MARK_WEIGHT.to(found.device)[:, None]).mean()


def expression_loss(found: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy, whose optimum is the mean of what is possible.

    That of the absolute error is the median: for coefficients that are mostly zero, zero. Where a
    lid is shut nothing says where the eye looks.
    """
    weight = torch.ones_like(true)
    for side, columns in _GAZE.items():
        weight[:, columns] = (1.25 - 1.25 * true[:, _BLINK[side], None]).clamp(0, 1)
    found = found.clamp(1e-5, 1 - 1e-5)
    entropy = -(true * found.log() + (1 - true) * (1 - found).log())
    return _mean(entropy, weight)


def _pair_loss(out: Outputs, face: Tensor, pairs: int) -> Tensor:
    """What noise alone changes in the answers: relief on the face, and landmarks."""
    first, again = out.relief[:pairs].float(), out.relief[-pairs:].float()
    moved = (out.landmarks[:pairs].float() - out.landmarks[-pairs:].float()).abs().mean()
    return _mean((first - again).abs(), face[:pairs]) * 8.0 + moved * 4.0


def normals_from_relief(relief: Tensor) -> Tensor:
    """Unit normals (n, 3, h, w) under weak perspective, toward the camera."""
    size = relief.shape[-1]
    padded = functional.pad(relief, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * (0.5 * size)
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * (0.5 * size)
    # Written out: PyTorch's normalize takes its norm across planes ten times slower on processors.
    inverse = torch.rsqrt(dx * dx + dy * dy + 1.0)
    return torch.cat([-dx * inverse, -dy * inverse, -inverse], dim=1)


@torch.no_grad()
def face_scores(out: Outputs, target: Targets) -> dict[str, float]:
    """Means over the batch: depth error over the face in mm, normals in degrees, mask IoU."""
    rows: dict[str, list[float]] = {"mae_mm": [], "plane_mm": [], "normal_deg": [], "mask_iou": []}
    relief = out.relief.float()
    n_out, n_gt = normals_from_relief(relief), normals_from_relief(target.relief)
    cosine = (n_out * n_gt).sum(1, keepdim=True).clamp(-1, 1)
    inner = -functional.max_pool2d(-target.valid, 3, 1, 1) * target.face
    for k in range(len(relief)):
        on = (target.face[k] * target.valid[k]) > 0.5
        if int(on.sum()) < 50:
            continue
        mm = target.W_m[k] * 1000.0
        error = (relief[k] - target.relief[k])[on] * mm
        flat = target.relief[k][on] * mm
        rows["mae_mm"].append(float((error - error.median()).abs().mean()))
        rows["plane_mm"].append(float((flat - flat.median()).abs().mean()))
        degrees = torch.rad2deg(torch.acos(cosine[k][inner[k] > 0.5]))
        if len(degrees):
            rows["normal_deg"].append(float(degrees.mean()))
        seen, true = out.mask[k] > 0, target.mask[k] > 0.5
        rows["mask_iou"].append(float((seen & true).sum() / (seen | true).sum().clamp(min=1)))
    return {name: sum(v) / max(len(v), 1) for name, v in rows.items()}


@torch.no_grad()
def token_scores(out: Outputs, target: Targets) -> dict[str, float]:
    """Means over the batch of what the readout token gives.

    ``landmark_share``: distance to the 68 landmarks over that of the outer eye corners in 3D, so
    that a turned head counts no worse. ``rotation_deg``: angle of the rotation between the two.
    """
    apart = (out.landmarks.float() - target.landmarks).norm(dim=2).mean(dim=1)
    # The turn foreshortens the line of the eyes by the length of its part across the view.
    across = target.rotation[:, :2, 0].norm(dim=1).clamp(min=0.2)
    eyes = (target.landmarks[:, 45] - target.landmarks[:, 36]).norm(dim=1) / across
    trace = (out.rotation.float() * target.rotation).sum(dim=(1, 2))
    angle = torch.acos(((trace - 1) / 2).clamp(-1, 1))
    return {
        "landmark_share": float((apart / eyes).mean()),
        "rotation_deg": float(torch.rad2deg(angle).mean()),
    }


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def _slope_loss(error: Tensor, gt: Tensor, weight: Tensor, step: int) -> Tensor:
    """Mean absolute difference of slopes over ``step`` pixels, without depth jumps."""
    total = torch.zeros((), device=error.device)
    size = error.shape[-1]
    for dim in (2, 3):
        length = error.shape[dim] - step
        here, there = (t.narrow(dim, 0, length) for t in (error, weight))
        e2, w2 = (t.narrow(dim, step, length) for t in (error, weight))
        jump = (gt.narrow(dim, 0, length) - gt.narrow(dim, step, length)).abs()
        smooth = (jump < 2.5 * step / size).float()
        total = total + _mean((here - e2).abs(), torch.minimum(there, w2) * smooth)
    scaled: Tensor = total * (6.0 * size / 96.0 / step**0.5)
    return scaled
