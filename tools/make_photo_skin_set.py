"""Render an evaluation set of unseen heads in the skin of photographed people.

    python tools/make_photo_skin_set.py --face-model PATH --out photo-skin PORTRAIT...

Needs rtrecon's extra `train`. The head model is fitted to each portrait by its 68 landmarks; what
the portrait shows is then the texture of heads with other shapes, which are lit a little more and
taken by another camera. Depth is exact, skin, eyes, brows, hair and most of the light are those of
the photograph: between our own drawn skin, which favours our model, and a scan of a person, which
is not to be had here. The scalp is bald under painted hair. Frontal portraits alone give enough
skin. The landmarks are those of the shipped model: other weights make slightly other pictures.
Format as `make_eval_sets.py`.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from make_eval_sets import write

import rtrecon
from rtrecon.capture.pictures import read_picture
from rtrecon.depth.manifest import Manifest
from rtrecon.faces.align import crop_face
from rtrecon.train.face_model import LANDMARKS_68, WHERE, FaceModel, default_face_model
from rtrecon.train.heads import backdrop, shade
from rtrecon.train.heads.frames import EvaluationFrame, FrameRenderer
from rtrecon.train.heads.mesh import Part, vertex_normals
from rtrecon.train.heads.pose import HEAD_CAMERA
from rtrecon.train.heads.sensor import expose

MODEL = Path(__file__).resolve().parent.parent / "models/face-dpt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("portraits", nargs="+", type=Path)
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=40, help="heads in the skin of each")
    parser.add_argument("--size", type=int, default=480)
    args = parser.parse_args()
    model = FaceModel.load(args.face_model)
    renderer = PhotoSkinRenderer(model, args.size)
    frames: list[EvaluationFrame] = []
    for path in args.portraits:
        renderer.skin = fit_skin(model, read_picture(path).image)
        frames += [renderer.photo_still(k) for k in range(args.heads)]
    write(args.out, frames, None)
    print(f"{args.out}: {len(frames)} frames")


@dataclass
class Skin:
    """A portrait on the head model.

    ``linear`` (H, W, 3) RGB light; ``uv`` (n, 2) where each vertex is in it, as shares of its
    width and height; ``seen`` (n,) 1 where it shows the vertex; ``tone`` (3,) the mean skin;
    ``expression`` (57,) of the person.
    """

    linear: np.ndarray
    uv: np.ndarray
    seen: np.ndarray
    tone: np.ndarray
    expression: np.ndarray


def fit_skin(model: FaceModel, image: np.ndarray) -> Skin:
    """Fit pose, shape and expression to the portrait's landmarks, and read off the texture."""
    marks_px = landmarks_of(image)
    height, width = image.shape[:2]
    focal = 3.0 * max(height, width)  # portraits are taken from afar
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    sigma_px = 0.02 * float(np.linalg.norm(marks_px[45] - marks_px[36]))
    modes = np.concatenate([model.identity[:60], model.expression])
    at = modes[:, LANDMARKS_68].astype(np.float64)
    prior = np.concatenate([np.ones(60), np.full(len(model.expression), 0.35)])
    weights = np.zeros(len(modes))
    pose = None
    for _ in range(15):
        head = model.vertices[LANDMARKS_68] + np.tensordot(weights, at, axes=1)
        points = np.ascontiguousarray(head @ HEAD_CAMERA * 0.01)
        guess = () if pose is None else (*pose, True)
        _, *pose = cv2.solvePnP(points, marks_px.astype(np.float64), K, None, *guess)
        R, t = cv2.Rodrigues(pose[0])[0], pose[1].ravel()
        camera = points @ R.T + t
        found = camera[:, :2] / camera[:, 2:] * focal + K[:2, 2]
        moved = (at @ HEAD_CAMERA * 0.01) @ R.T
        J = (moved[..., :2] * (focal / camera[:, 2])[None, :, None]).reshape(len(modes), -1)
        A = J @ J.T / sigma_px**2 + np.diag(1 / prior**2)
        b = J @ (marks_px - found).ravel() / sigma_px**2 - weights / prior**2
        weights += np.linalg.solve(A, b)
        weights[60:] = np.clip(weights[60:], 0, 1)
    vertices = model.vertices + np.tensordot(weights.astype(np.float32), modes, axes=1)
    camera = (vertices @ HEAD_CAMERA * 0.01) @ R.T + t
    px = camera[:, :2] / camera[:, 2:] * focal + K[:2, 2]
    # What the modes cannot say moves the texture alone.
    apart = np.linalg.norm(vertices[:, None] - vertices[LANDMARKS_68][None], axis=2)
    near = np.exp(-((apart / 1.2) ** 2)) + 1e-9
    share = np.clip(near.max(axis=1, keepdims=True), 0, 1)
    px = px + (near @ (marks_px - px[LANDMARKS_68])) / near.sum(axis=1, keepdims=True) * share
    normals = vertex_normals(vertices, model.triangles) @ HEAD_CAMERA @ R.T
    toward = -np.einsum("nk,nk->n", normals, camera / np.linalg.norm(camera, axis=1)[:, None])
    uv = (px + 0.5) / [width, height]
    inside = ((uv > 0) & (uv < 1)).all(axis=1)
    seen = np.clip((toward - 0.15) / 0.25, 0, 1) * inside
    linear = (image[..., ::-1].astype(np.float32) / 255) ** np.float32(2.2)
    cheek = cv2.convexHull(marks_px[[1, 15, 31, 35, 48, 54]].astype(np.float32)).astype(np.int32)
    on = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(on, cheek, 1)
    tone = np.median(linear[on > 0], axis=0)
    expression = weights[60:].astype(np.float32)
    return Skin(linear, uv.astype(np.float32), seen.astype(np.float32), tone, expression)


def landmarks_of(image: np.ndarray) -> np.ndarray:
    """(68, 2) in pixels, by the shipped model."""
    import onnxruntime

    faces = rtrecon.detect_faces(image, min_face_px=48)
    if not faces:
        raise SystemExit("no face in the portrait")
    face = max(faces, key=lambda f: float(f.box_px[2] - f.box_px[0]))
    manifest = Manifest.load(MODEL)
    size_px = manifest.input.size_px
    crop = crop_face(face, manifest.crop, size_px)
    rgb = crop.warp(image)[..., ::-1].astype(np.float32).transpose(2, 0, 1)[None] / 255
    path = str(MODEL / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    share = session.run(["landmarks"], {"image": np.ascontiguousarray(rgb)})[0][0]
    M = crop.M_picture_crop
    return (share * size_px - 0.5) @ M[:, :2].T + M[:, 2]


class PhotoSkinRenderer(FrameRenderer):
    """Draws heads in a photographed skin: no hair, beard, clothes or glasses but painted ones."""

    skin: Skin

    def photo_still(self, seed: int) -> EvaluationFrame:
        """One head, yaw within 45 degrees, with the expression of the portrait."""
        rng = np.random.default_rng([978, seed])
        angles = np.radians([rng.uniform(-45, 45), rng.normal(0, 9), rng.normal(0, 6)])
        distance_m, fov_deg = rng.uniform(0.4, 0.9), rng.uniform(45, 75)
        shift = rng.normal(0, 0.04, 2)
        return self._draw(rng, rng, self.skin.expression, angles, distance_m, fov_deg, shift)

    def _grow_beard(self, rng, vertices, normals, length):  # noqa: ARG002
        return vertices

    def _skin(self, rng, vertices, normals, brows):  # noqa: ARG002
        weights = self._regions.weights.copy()
        weights[:, 0] = self.skin.seen
        return Part(
            vertices,
            self._triangles,
            self._regions.material,
            self.skin.uv,
            normals=normals,
            weights=weights,
        )

    def _dress(self, rng, vertices, head):  # noqa: ARG002
        return [head], []

    def _picture(self, rng, scene, shader, look, face_mask, sensor_rng=None):  # noqa: ARG002
        n, buffer, skin = self._size, scene.buffer, self.skin
        height, width = skin.linear.shape[:2]
        u, v = buffer.uv[..., 0] * width - 0.5, buffer.uv[..., 1] * height - 0.5
        colour = cv2.remap(skin.linear, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        seen = buffer.weights[..., :1]
        colour = colour * seen + skin.tone * (1 - seen)
        # The portrait has light of its own; more of it comes from the new place.
        light, _ = shade.environment(rng, buffer.normal)
        light = light / max(float(light[shader.solid].mean()), 1e-6)
        for direction, tint, softness in shade.sample_lights(rng)[:1]:
            facing = np.clip(buffer.normal @ direction, 0, None)
            reach = (facing * shader.shadow(direction, softness))[..., None]
            light = light + reach * tint * float(rng.uniform(0.0, 1.0))
        share = float(rng.uniform(0.0, 0.7))
        radiance = colour * ((1 - share) + share * light) * shader.solid[..., None]
        cover = cv2.resize(shader.solid.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA)
        image = cv2.resize(radiance.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA)
        image = image + backdrop.backdrop(rng, self._noise, n) * (1 - cover[..., None])
        face = np.asarray(face_mask / 255, dtype=np.float32)
        return expose(sensor_rng or rng, image, face, scene.crop.side_px)


if __name__ == "__main__":
    main()
