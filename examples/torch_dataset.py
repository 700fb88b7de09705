"""Faces as a torch dataset: each frame's face as a picture, with its depth, pose and expression.

Install:  pip install 'rtrecon[cpu]' torch
Run:      python torch_dataset.py PICTURES     a folder, a film; "demo" is the bundled clip
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

import rtrecon


class Faces(IterableDataset[dict[str, torch.Tensor]]):
    """The faces of a source, one after the other; each worker of a loader would give all."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        recon = rtrecon.Reconstructor()
        with rtrecon.open_source(self.source) as source:
            for frame in source:
                for face in recon(frame):
                    rgb = np.ascontiguousarray(face.grid.colors.transpose(2, 0, 1))
                    yield {
                        "rgb": torch.from_numpy(rgb).float() / 255.0,  # (3, h, w)
                        "depth_m": torch.from_numpy(face.depth_m),  # (h, w), NaN off the face
                        "T_camera_face": torch.from_numpy(face.T_camera_face),  # (4, 4)
                        "expression": torch.from_numpy(np.array(face.expression)),  # (51,)
                    }


for batch in DataLoader(Faces(sys.argv[1]), batch_size=8):
    print({name: tuple(tensor.shape) for name, tensor in batch.items()})
