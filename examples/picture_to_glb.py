"""A picture to 3D: the face that is seen, and the person's whole head, rigged to be animated.

Install:  pip install 'rtrecon[cpu]'
Run:      python picture_to_glb.py portrait.jpg      writes face.glb and head.glb
"""

import sys

import cv2

import rtrecon

picture = sys.argv[1]
faces = rtrecon.reconstruct(picture)  # the largest first
if not faces:
    sys.exit(f"no face in {picture}")

rtrecon.save(faces[0], "face.glb")  # what the camera saw; also .ply, .obj, .npz
rtrecon.save_avatar(  # the whole head with ARKit's 52 shapes; also .vrm, .obj, .usdz
    faces[0], "head.glb", pictures=cv2.imread(picture)
)
mesh = faces[0].mesh()
width_mm, height_mm, depth_mm = (mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0)) * 1000
print(f"{len(mesh.triangles)} triangles, {width_mm:.0f} x {height_mm:.0f} x {depth_mm:.0f} mm")
