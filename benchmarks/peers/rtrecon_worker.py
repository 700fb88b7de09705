"""rtrecon's detector, tracker and whole frame, for `compare_peers.py`; see `worker`."""

from facenet_worker import MIN_FACE_PX
from worker import Job, serve

FRAME_NS = 33_333_333  # the clip's pace: tracker and filters see its true motion


def open_jobs(cores: int) -> tuple[dict[str, Job], dict[str, str]]:
    import cv2

    from rtrecon.faces.mtcnn import Mtcnn
    from rtrecon.faces.tracker import FaceTracker
    from rtrecon.host import versions
    from rtrecon.pipeline import Reconstructor
    from rtrecon.types import Frame

    cv2.setNumThreads(cores)
    mtcnn = Mtcnn()
    jobs = {
        f"detect {least}": Job(
            lambda picture, _, least=least: mtcnn.detect(picture, least), len, _describe
        )
        for least in MIN_FACE_PX
    }
    jobs["detect live"] = Job(lambda picture, _: mtcnn.detect_live(picture), len, _describe)
    tracker = FaceTracker(Mtcnn(), redetect_every=10**6)
    jobs["track"] = Job(
        lambda picture, k: tracker.update(picture, k * FRAME_NS),
        len,
        detections=lambda: tracker.stats.full_detections,
    )
    # The peers run on the processor; so does this, whatever else there is.
    plain, meshed = Reconstructor(provider="cpu"), Reconstructor(provider="cpu")

    def with_triangles(picture, k):
        faces = meshed(Frame(picture, k, k * FRAME_NS))
        for face in faces:
            _ = face.grid.triangles  # computed when first asked for
        return faces

    jobs["frame"] = Job(
        lambda picture, k: plain(Frame(picture, k, k * FRAME_NS)),
        len,
        detections=lambda: plain.tracker.stats.full_detections,
    )
    jobs["frame and triangles"] = Job(
        with_triangles, len, detections=lambda: meshed.tracker.stats.full_detections
    )
    model = plain.depth_model
    threads = "1 thread" if model.threads == 1 else f"{model.threads} threads"
    note = {"depth model": f"{model.name} {model.precision}, {threads}"}
    return jobs, {**versions(), **note}


def _describe(faces: list) -> list[dict]:
    return [
        {
            "box": [float(v) for v in face.box_px],
            "score": float(face.score),
            "landmarks": face.landmarks_px.tolist(),
        }
        for face in faces
    ]


if __name__ == "__main__":
    serve(open_jobs)
