"""MediaPipe Face Mesh, for `compare_peers.py`; see `worker`."""

from importlib.metadata import version

from worker import Job, serve


def open_jobs(cores: int) -> tuple[dict[str, Job], dict[str, str]]:
    import cv2
    from mediapipe.python.solutions.face_mesh import FaceMesh

    cv2.setNumThreads(cores)
    jobs = {}
    for refine in (False, True):
        mesh = FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=refine)
        jobs["refined" if refine else "plain"] = Job(
            lambda picture, _, mesh=mesh: mesh.process(picture),
            lambda result: len(result.multi_face_landmarks or ()),
        )
    return jobs, {"mediapipe": version("mediapipe")}


if __name__ == "__main__":
    serve(open_jobs)
