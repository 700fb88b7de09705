"""Tiny random checkpoints of each family, for export tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    Swinv2Config,
)

FAMILIES = ("dpt-vit", "dpt-hybrid", "dpt-swinv2", "depth-anything")


def _model(family: str, **changes: Any) -> Any:
    vit = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "image_size": 64,
        "patch_size": 16,
        "backbone_out_indices": [0, 1, 2, 3],
        "neck_hidden_sizes": [16, 16, 32, 32],
        "fusion_hidden_size": 16,
    }
    if family == "dpt-vit":
        return DPTForDepthEstimation(DPTConfig(**vit))
    if family == "dpt-hybrid":
        backbone = BitConfig(
            global_padding="same",
            layer_type="bottleneck",
            depths=[1, 1, 1],
            out_features=["stage1", "stage2", "stage3"],
            embedding_dynamic_padding=True,
            hidden_sizes=[16, 32, 64],
            embedding_size=16,
            num_groups=2,
        )
        hybrid = {
            **vit,
            "is_hybrid": True,
            "backbone_config": backbone,
            "backbone_featmap_shape": [1, 64, 4, 4],
            "neck_hidden_sizes": [16, 32, 32, 32],
            "neck_ignore_stages": [0, 1],
        }
        return DPTForDepthEstimation(DPTConfig(**hybrid))
    stages = ["stage1", "stage2", "stage3", "stage4"]
    if family == "dpt-swinv2":
        backbone = Swinv2Config(
            image_size=64,
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[2, 2, 4, 4],
            window_size=4,
            pretrained_window_sizes=[0, 0, 0, 0],
            out_features=stages,
        )
        return DPTForDepthEstimation(
            DPTConfig(
                backbone_config=backbone,
                neck_hidden_sizes=[16, 32, 64, 128],
                fusion_hidden_size=16,
            )
        )
    backbone = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=70,
        patch_size=14,
        out_features=stages,
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    return DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=32,
            neck_hidden_sizes=[16, 16, 32, 32],
            fusion_hidden_size=16,
            head_hidden_size=8,
            patch_size=14,
            **changes,
        )
    )


def save_checkpoint(family: str, folder: Path, seed: int = 0, **changes: Any) -> Any:
    """Save a tiny random network of ``family`` whose depth varies with the picture."""
    torch.manual_seed(seed)
    model = _model(family, **changes).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1 and "embed" not in name and "relative" not in name:
                weights.normal_(0.0, (1.5 / weights[0].numel()) ** 0.5)
        # The last layer before the final ReLU: centred away from zero, so that depth is not cut.
        last = [module for module in model.head.modules() if isinstance(module, torch.nn.Conv2d)]
        last[-1].weight.abs_()
        last[-1].bias.fill_(0.5)
    model.save_pretrained(folder)
    size = 70 if family == "depth-anything" else 64
    write_processor(folder, size)
    (folder / "README.md").write_text("---\nlicense: mit\ntags:\n- depth\n---\n# Tiny\n")
    return model


def write_processor(folder: Path, size: int) -> None:
    processor = DPTImageProcessor(
        size={"height": size, "width": size},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    processor.save_pretrained(folder)
