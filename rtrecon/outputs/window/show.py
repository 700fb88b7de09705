"""One face to look at: in a window, or in a notebook without a display."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np

from rtrecon.draw.live_head import LiveHead
from rtrecon.draw.raster import orbit, paint
from rtrecon.errors import RtreconError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.host import import_open3d
from rtrecon.outputs.window.display import has_display
from rtrecon.types import BgrImage

__all__ = ["show", "three_views"]

_VIEW_PX, _EXTENT_M = (360, 420), 0.34


def show(face: FaceReconstruction) -> None:
    """Open a window with the mesh until it is closed; in a notebook without one, a picture.

    Raises:
        RtreconError: there is neither a display nor a notebook.
        MissingExtraError: there is a display, but no Open3D.
    """
    displayed, reason = has_display()
    if displayed:
        o3d = import_open3d()
        mesh = face.mesh()
        shown = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(mesh.vertices.astype(np.float64)),
            o3d.utility.Vector3iVector(mesh.triangles),
        )
        shown.vertex_colors = o3d.utility.Vector3dVector(mesh.colors / 255.0)
        shown.vertex_normals = o3d.utility.Vector3dVector(mesh.normals.astype(np.float64))
        middle = mesh.vertices.mean(axis=0).astype(np.float64)
        o3d.visualization.draw_geometries(
            [shown], "rtrecon", lookat=middle, front=[0, 0, -1], up=[0, -1, 0], zoom=0.7
        )
        return
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        raise RtreconError(f"{reason}: save it instead, with rtrecon.save(face, 'face.glb')")
    from IPython.display import Image, display

    _, png = cv2.imencode(".png", three_views(face))
    display(Image(data=png.tobytes()))  # type: ignore[no-untyped-call]


def three_views(face: FaceReconstruction) -> BgrImage:
    """The head from 35 degrees to either side and from the front, (h, w, 3) uint8 BGR."""
    head = LiveHead()(face)
    views = [
        paint(
            head.surface,
            orbit(yaw),
            _VIEW_PX,
            center=head.center,
            extent_m=_EXTENT_M,
            fine=True,
        )[0]
        for yaw in (-35.0, 0.0, 35.0)
    ]
    return np.hstack(views)
