"""Faces of a camera in a loop of your own, one frame after the other.

Install:  pip install 'rtrecon[cpu]'
Run:      python camera_loop.py            the first camera
          python camera_loop.py clip.mp4   a film, a stream, a folder; "demo" is the bundled clip
"""

import sys

import rtrecon

recon = rtrecon.Reconstructor(faces=1)
with rtrecon.open_source(sys.argv[1] if len(sys.argv) > 1 else 0) as source:
    for frame in source:
        for face in recon(frame):
            x, y, z = face.T_camera_face[:3, 3]  # metres: right, down, away from the camera
            jaw = face.expression["jawOpen"] if face.expression else 0.0
            print(f"{frame.index:5d}  face {face.id}  {x:+.3f} {y:+.3f} {z:.3f} m  jaw {jaw:.2f}")
