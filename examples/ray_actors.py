"""Many films over many cores or machines: a Reconstructor an actor, by Ray (ray.io).

``rtrecon archive`` does this with segments, resuming and tables; this is the bare idea.

Install:  pip install 'rtrecon[cpu]' ray
Run:      python ray_actors.py a.mp4 b.mp4 ...
"""

import os
import sys

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import

import ray
from ray.util import ActorPool

import rtrecon


@ray.remote(num_cpus=1)
class Worker:
    """Holds the networks for as long as it lives."""

    def __init__(self) -> None:
        self.recon = rtrecon.Reconstructor(threads=1)

    def distances(self, path: str) -> tuple[str, list[float]]:
        """Of the face in each frame of a film, metres."""
        self.recon.reset()
        with rtrecon.open_source(path) as source:
            found = [float(f.T_camera_face[2, 3]) for frame in source for f in self.recon(frame)]
        return path, found


ray.init(include_dashboard=False, log_to_driver=False)
count = min(len(sys.argv) - 1, int(ray.cluster_resources()["CPU"]))
pool = ActorPool([Worker.remote() for _ in range(count)])
for path, found in pool.map_unordered(lambda w, p: w.distances.remote(p), sys.argv[1:]):
    print(f"{path}: {len(found)} faces, {sum(found) / max(len(found), 1):.3f} m away on average")
