"""A face as a clean mesh, and as files: PLY, OBJ, GLB, NPZ."""

from rtrecon.mesh.face_mesh import MeshOptions, save_mesh
from rtrecon.mesh.face_npz import save_npz

__all__ = ["MeshOptions", "save_mesh", "save_npz"]
