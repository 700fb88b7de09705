"""facenet-pytorch's MTCNN, for `compare_peers.py`; see `worker`."""

from importlib.metadata import version

from worker import Job, serve

MIN_FACE_PX = (80, 60, 20)


def open_jobs(cores: int) -> tuple[dict[str, Job], dict[str, str]]:
    import facenet_pytorch
    import torch

    torch.set_num_threads(cores)
    torch.set_num_interop_threads(1)
    jobs = {}
    for least in MIN_FACE_PX:
        mtcnn = facenet_pytorch.MTCNN(keep_all=True, min_face_size=least, device="cpu")
        jobs[f"detect {least}"] = Job(
            lambda picture, _, mtcnn=mtcnn: mtcnn.detect(picture, landmarks=True),
            lambda result: 0 if result[0] is None else len(result[0]),
            _describe,
        )
    versions = {name: version(name) for name in ("facenet-pytorch", "torch", "torchvision")}
    return jobs, versions


def _describe(result: tuple) -> list[dict]:
    boxes, scores, landmarks = result
    if boxes is None:
        return []
    return [
        {"box": [float(v) for v in box], "score": float(score), "landmarks": marks.tolist()}
        for box, score, marks in zip(boxes, scores, landmarks, strict=True)
    ]


if __name__ == "__main__":
    serve(open_jobs)
