"""MediaPipe's Face Landmarker with its blendshapes, for `compare_expressions.py`.

``python blendshapes_worker.py TASK OUT.npz image PICTURE...`` takes pictures one by one;
``... video CLIP`` the frames of a clip in order, as its video mode tracks them. Runs where
mediapipe is. Writes ``names`` (k,); ``values`` (n, k) float32; ``points`` (n, 478, 2) float32
pixels, 0 in the middle of the first; ``rotations`` (n, 3, 3) float32 from its canonical face, y up
and z to the viewer; NaN where no face was found.
"""

import sys
from collections.abc import Iterator

import cv2
import mediapipe as mp
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision

POINTS = 478


def main() -> None:
    task, out, mode, *paths = sys.argv[1:]
    video = mode == "video"
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=task),
        running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
        num_faces=1,
    )
    names: list[str] = []
    values, points, rotations = [], [], []
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for k, picture in enumerate(frames_of(paths[0]) if video else map(cv2.imread, paths)):
            image = mp.Image(mp.ImageFormat.SRGB, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            if video:
                found = landmarker.detect_for_video(image, round(k * 1000 / 30))
            else:
                found = landmarker.detect(image)
            if not found.face_blendshapes:
                values.append(None)
                points.append(np.full((POINTS, 2), np.nan))
                rotations.append(np.full((3, 3), np.nan))
                continue
            shapes = found.face_blendshapes[0]
            names = [shape.category_name for shape in shapes]
            values.append([shape.score for shape in shapes])
            size = np.array(picture.shape[1::-1])
            marks = np.array([(p.x, p.y) for p in found.face_landmarks[0]])
            points.append(marks[:POINTS] * size - 0.5)
            rotations.append(np.array(found.facial_transformation_matrixes[0])[:3, :3])
    empty = [np.nan] * len(names)
    np.savez(
        out,
        names=np.array(names, dtype=np.str_),
        values=np.array([empty if v is None else v for v in values], dtype=np.float32),
        points=np.array(points, dtype=np.float32),
        rotations=np.array(rotations, dtype=np.float32),
    )


def frames_of(path: str) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(path)
    while True:
        there, picture = capture.read()
        if not there:
            return
        yield picture


if __name__ == "__main__":
    main()
