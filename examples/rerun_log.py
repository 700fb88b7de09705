"""Picture, mesh, head pose and coefficients over time, in the viewer of rerun (rerun.io).

Install:  pip install 'rtrecon[cpu]' rerun-sdk
Run:      python rerun_log.py [SOURCE]           opens the viewer
          python rerun_log.py SOURCE face.rrd    writes a file for it instead
"""

import sys

import rerun as rr

import rtrecon

source_name = sys.argv[1] if len(sys.argv) > 1 else 0
rr.init("rtrecon", spawn=len(sys.argv) < 3)
if len(sys.argv) > 2:
    rr.save(sys.argv[2])

recon = rtrecon.Reconstructor()
with rtrecon.open_source(source_name) as source:
    rr.log("camera", rr.ViewCoordinates.RDF, static=True)  # x right, y down, z forward
    for frame in source:
        rr.set_time("frame", sequence=frame.index)
        rr.log("camera/picture", rr.Image(frame.image, "BGR").compress(80))
        for face in recon(frame):
            mesh, i = face.mesh(), face.intrinsics
            rr.log("camera/picture", rr.Pinhole(image_from_camera=i.matrix()))
            rr.log("camera/picture/landmarks", rr.Points2D(face.landmarks_px, radii=2))
            shape = rr.Mesh3D(
                vertex_positions=mesh.vertices,
                triangle_indices=mesh.triangles,
                vertex_normals=mesh.normals,
                vertex_colors=mesh.colors,
            )
            rr.log("camera/face", shape)
            for name, value in (face.expression or {}).items():
                rr.log(f"expression/{name}", rr.Scalars(value))
