"""Face Mesh on pictures, one by one, for `mediapipe_depth.py`; runs where mediapipe is.

``python face_mesh_points.py OUT.npz PICTURE...`` writes ``points`` and ``refined_points``
(n, 468, 3) float32: x and y in pixels (0 is the middle of the first), z in pixels too, smaller
toward the camera, from no known zero; NaN where no face was found. And ``triangles`` (m, 3).
"""

import sys
from collections import Counter
from itertools import combinations

import cv2
import numpy as np
from mediapipe.python.solutions.face_mesh import FaceMesh
from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

POINTS = 468  # of the surface; a refined mesh has ten of the irises behind them


def main() -> None:
    out, *paths = sys.argv[1:]
    np.savez(
        out,
        points=points_of(paths, refine=False),
        refined_points=points_of(paths, refine=True),
        triangles=triangles_of(FACEMESH_TESSELATION),
    )


def square(picture: np.ndarray) -> np.ndarray:
    """With black to the right or below: of other shapes it is less exact, as it says itself."""
    height, width = picture.shape[:2]
    side = max(height, width)
    return cv2.copyMakeBorder(picture, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT)


def points_of(paths: list[str], *, refine: bool) -> np.ndarray:
    found = np.full((len(paths), POINTS, 3), np.nan, dtype=np.float32)
    with FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=refine) as mesh:
        for k, path in enumerate(paths):
            picture = square(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB))
            faces = mesh.process(picture).multi_face_landmarks
            if faces:
                marks = [(p.x, p.y, p.z) for p in faces[0].landmark[:POINTS]]
                # z has x's scale, says its documentation.
                found[k] = np.array(marks) * len(picture) - [0.5, 0.5, 0.0]
    return found


def triangles_of(edges: frozenset[tuple[int, int]]) -> np.ndarray:
    """The wheel has the mesh's edges alone: triangles are points that are joined in threes."""
    near: dict[int, set[int]] = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    threes = {tuple(sorted((a, b, c))) for a in near for b in near[a] for c in near[a] & near[b]}
    shared = Counter(edge for three in threes for edge in combinations(three, 2))
    # Three points about a fourth are joined too, yet no triangle: each of their edges is in three.
    true = [three for three in threes if any(shared[e] < 3 for e in combinations(three, 2))]
    return np.array(sorted(true), dtype=np.int32)


if __name__ == "__main__":
    main()
