"""The face as a live cloud of points in a web page, by viser (viser.studio).

Install:  pip install 'rtrecon[cpu]' viser
Run:      python viser_scene.py [SOURCE] [PORT]      then open http://127.0.0.1:8080
"""

import sys

import numpy as np
import viser

import rtrecon

source = sys.argv[1] if len(sys.argv) > 1 else 0
server = viser.ViserServer(host="127.0.0.1", port=int(sys.argv[2]) if len(sys.argv) > 2 else 8080)
server.scene.set_up_direction("-y")  # the camera's frame: x right, y down, z forward

with rtrecon.live(source) as session:
    for result in session:
        for face in result.faces:
            middle = face.T_camera_face[:3, 3]
            server.scene.add_point_cloud(
                f"/face{face.id}",
                points=(face.points_camera - middle).astype(np.float32),
                colors=face.colors,
                point_size=0.0008,
            )
            server.scene.add_frame(
                f"/face{face.id}/pose",
                wxyz=viser.transforms.SO3.from_matrix(face.T_camera_face[:3, :3]).wxyz,
                axes_length=0.05,
                axes_radius=0.001,
            )
server.stop()
