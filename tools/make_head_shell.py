"""Makes ``rtrecon/data/head_shell.npz``: the triangles of the head that is drawn live.

    python tools/make_head_shell.py [--vertices 4600]

The skin of ``models/head`` without shoulders, cut by a plane through the neck, with edges
collapsed onto one of their ends (Garland and Heckbert, "Surface simplification using quadric
error metrics", 1997): its vertices stay vertices of the model, so that identity and expression
apply to them by index. Print the new hash into ``rtrecon/assets.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
from pathlib import Path

import numpy as np

from rtrecon.head.model import head_model

CUT_M, CUT_SLOPE = 0.15, 0.25  # below the eyes at the middle of the neck; toward the back
LENGTH_COST = 2e-5  # of an edge, against the squared distance from the surface
OUT = Path(__file__).resolve().parent.parent / "rtrecon" / "data" / "head_shell.npz"


def bust() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of the model, triangles among them, and their places, the last ones on the cut."""
    model = head_model()
    count = model.parts["head_neck"].stop
    at = model.vertices[:count].astype(np.float64)
    below = at[:, 1] + CUT_SLOPE * (at[:, 2] - 0.09) - CUT_M
    triangles = model.triangles[(model.triangles < count).all(axis=1)]
    triangles = triangles[(below[triangles] < 0.0).all(axis=1)]
    skin = np.unique(triangles)
    triangles = np.searchsorted(skin, triangles)
    at = at[skin]
    edges = np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    known = {(int(a), int(b)) for a, b in edges}
    rim = {a for a, b in known if (b, a) not in known}
    low = np.array([v for v in rim if at[v, 1] > 0.1])
    at[low, 1] = CUT_M - CUT_SLOPE * (at[low, 2] - 0.09)
    return skin, triangles, at


def weights(at: np.ndarray) -> np.ndarray:
    """More where the face is, less at the ears."""
    x, y, z = at.T
    weight = np.ones(len(at))
    weight[(z < 0.06) & (y < 0.12) & (y > -0.06)] = 3.0
    weight[(z < 0.01) & (np.abs(y - 0.03) < 0.07)] = 5.0
    weight[(np.abs(x) > 0.068) & (z > 0.05) & (z < 0.12) & (np.abs(y) < 0.06)] = 0.4
    return weight


def simplify(at: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """Triangles among fewer of the vertices."""
    faces = [tuple(int(v) for v in t) for t in triangles]
    around: list[set[int]] = [set() for _ in at]
    for k, face in enumerate(faces):
        for v in face:
            around[v].add(k)
    weight = weights(at)
    quadrics = np.zeros((len(at), 4, 4))

    def add_plane(normal: np.ndarray, point: np.ndarray, size: float, vertices: tuple) -> None:
        plane = np.append(normal, -normal @ point)
        for v in vertices:
            quadrics[v] += size * np.outer(plane, plane)

    directed = set()
    for face in faces:
        a, b, c = at[list(face)]
        n = np.cross(b - a, c - a)
        area = np.linalg.norm(n)
        if area > 0:
            add_plane(n / area, a, area * weight[list(face)].mean(), face)
        directed |= {(face[k], face[(k + 1) % 3]) for k in range(3)}
    rim = {e for e in directed if (e[1], e[0]) not in directed}
    on_rim = {v for e in rim for v in e}
    for face in faces:
        a, b, c = at[list(face)]
        n = np.cross(b - a, c - a)
        for k in range(3):
            e = face[k], face[(k + 1) % 3]
            if e in rim:
                along = at[e[1]] - at[e[0]]
                across = np.cross(along, n)
                across /= np.linalg.norm(across)
                add_plane(across, at[e[0]], 20.0 * float(along @ along), e)

    def cost(a: int, b: int) -> float:
        """Of ``a`` moved onto ``b``."""
        p = np.append(at[b], 1.0)
        length = float(((at[a] - at[b]) ** 2).sum())
        scale = np.trace((quadrics[a] + quadrics[b])[:3, :3])
        return float(p @ (quadrics[a] + quadrics[b]) @ p) + LENGTH_COST * length * scale

    def near(v: int) -> set[int]:
        return {u for k in around[v] for u in faces[k]} - {v}

    heap: list[tuple[float, int, int]] = []
    stamp = np.zeros(len(at), dtype=int)
    stamps: dict[tuple[int, int], tuple[int, int]] = {}

    def push(a: int, b: int) -> None:
        if a in on_rim and (b not in on_rim or not is_rim(a, b)):
            return
        stamps[a, b] = int(stamp[a]), int(stamp[b])
        heapq.heappush(heap, (cost(a, b), a, b))

    def is_rim(a: int, b: int) -> bool:
        return len(around[a] & around[b]) == 1

    alive = len(at)
    for a, b in directed:
        push(a, b)
        push(b, a)
    while alive > count and heap:
        _, a, b = heapq.heappop(heap)
        if stamps.get((a, b)) != (stamp[a], stamp[b]):
            continue
        shared = around[a] & around[b]
        common = near(a) & near(b)
        if not shared or len(common) != len(shared):
            continue
        moved = around[a] - shared
        good = True
        for k in moved:
            old = at[list(faces[k])]
            new = at[[b if v == a else v for v in faces[k]]]
            n0 = np.cross(old[1] - old[0], old[2] - old[0])
            n1 = np.cross(new[1] - new[0], new[2] - new[0])
            longest = max(float(((new[i] - new[i - 1]) ** 2).sum()) for i in range(3))
            size = np.linalg.norm(n1)
            if n0 @ n1 < 0.3 * np.linalg.norm(n0) * size or size < 0.15 * longest:
                good = False
                break
        if not good:
            continue
        for k in shared:
            for v in faces[k]:
                around[v].discard(k)
        for k in moved:
            faces[k] = tuple(b if v == a else v for v in faces[k])
            around[b].add(k)
        around[a] = set()
        quadrics[b] += quadrics[a]
        stamp[a] += 1
        stamp[b] += 1
        alive -= 1
        for v in near(b):
            push(b, v)
            push(v, b)
    used = sorted({k for s in around for k in s})
    return np.array([faces[k] for k in used])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vertices", type=int, default=4600)
    skin, triangles, at = bust()
    simple = simplify(at, triangles, parser.parse_args().vertices)
    used = np.unique(simple)
    moved = at[used, 1] - head_model().vertices[skin[used], 1]
    np.savez_compressed(
        OUT,
        skin=skin[used].astype(np.uint16),
        triangles=np.searchsorted(used, simple).astype(np.uint16),
        cut_m=moved.astype(np.float32),
        model_vertices=np.int32(len(head_model().vertices)),
    )
    print(len(used), "vertices,", len(simple), "triangles")
    print(hashlib.sha256(OUT.read_bytes()).hexdigest(), OUT)


if __name__ == "__main__":
    main()
