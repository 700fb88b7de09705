"""Faces as files: PLY, OBJ, GLB, NPZ and a preview picture."""

from rtrecon.outputs.face_mesh import MeshOptions, save_mesh
from rtrecon.outputs.face_npz import save_npz
from rtrecon.outputs.preview import draw_preview

__all__ = ["MeshOptions", "draw_preview", "save_mesh", "save_npz"]
