#!/usr/bin/env python3
"""Write and execute examples/first_face.ipynb; its pictures are kept, small, as JPEG."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "examples" / "first_face.ipynb"

CELLS = (
    """# A first face

From a portrait to depth, a mesh and a whole head. Install `pip install 'rtrecon[cpu]' jupyter` and
run it cell by cell; no camera, display or GPU is needed. The picture is NASA's portrait of the
astronaut Eileen Collins, public domain.""",
    """import cv2
from IPython.display import Image

import rtrecon


def show(image_bgr):
    \"\"\"A BGR picture as the notebook shows it.\"\"\"
    return Image(cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


picture = cv2.imread("PORTRAIT")
(face,) = rtrecon.reconstruct(picture, faces=1)
face""",
    """## What was found

Box, five landmarks and the 68 of iBUG are in pixels of the picture. Everything else is in metres,
in the camera's frame: x right, y down, z forward.""",
    """show(rtrecon.draw.overlay(picture, [face]))""",
    """x, y, z = face.T_camera_face[:3, 3]
print(f"{z:.2f} m away, {len(face.points_camera)} points, {len(face.mesh().triangles)} triangles")
print(face.euler_deg)
for name, value in sorted(face.expression.items(), key=lambda item: -item[1])[:4]:
    print(f"{name:16s} {value:.2f}")""",
    """## Depth

NaN where there is no face; `depth_in_frame` gives the same at the picture's own size.""",
    """show(rtrecon.draw.depth_colors(face.depth_m))""",
    """## The same as `rtrecon image` shows it

Picture, depth in millimetres, the surface, and the person's whole head: a head model that was
fitted and moved to what was seen.""",
    """show(rtrecon.draw.preview(picture, face))""",
    """## As files

`.glb`, `.ply`, `.obj`, `.npz` of what was seen; and a head to animate with ARKit's 52 shapes.""",
    """import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
rtrecon.save(face, folder / "face.glb")
rtrecon.save_avatar(face, folder / "head.glb", pictures=picture)
for path in sorted(folder.iterdir()):
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")""",
    """## A film

Frames in order, so that faces keep their identity and values are filtered over time. `0` instead of
`"demo"` is your camera.""",
    """recon = rtrecon.Reconstructor()
smiles, turns = [], []
with rtrecon.open_source("demo") as source:
    for frame in source:
        for face in recon(frame):
            smiles.append(face.expression["mouthSmileLeft"])
            turns.append(face.euler_deg.yaw)
print(
    f"{len(smiles)} faces, smile {min(smiles):.2f} to {max(smiles):.2f}, "
    f"yaw {min(turns):.0f} to {max(turns):.0f} degrees"
)""",
)


def make() -> nbformat.NotebookNode:
    """The notebook as it is before it runs."""
    cells = []
    for k, text in enumerate(CELLS):
        is_text = text.startswith("#")
        code = text.replace("PORTRAIT", "../tests/data/faces/portrait.jpg")
        cell = new_markdown_cell(text) if is_text else new_code_cell(code)
        cell["id"] = f"cell-{k:02d}"
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run all its cells beside the other examples; raises if one fails."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    folder = {"metadata": {"path": str(PATH.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran
    notebook.metadata.pop("language_info", None)  # which Python ran it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PATH)
    arguments = parser.parse_args()
    notebook = make()
    execute(notebook)
    nbformat.write(notebook, arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
