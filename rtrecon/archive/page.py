"""One page a video: what was seen, when, and how it went. No network, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtrecon.archive.units import Input

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Course", "index_html", "page_html"]

_POINTS = 400  # of a curve
_MOST_FACES = 20  # that are listed
_WIDE, _HIGH = 800, 90
_COLORS = ("#2a78d6", "#eb6834", "#1baf7a", "#eda100", "#4a3aa7")
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1.25rem 4rem; font: 15px/1.5 system-ui,
  sans-serif; background: light-dark(#fcfcfb, #1a1a19); color: light-dark(#0b0b0b, #fff); }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; }
dt, .note, th { color: light-dark(#52514e, #c3c2b7); font-weight: 400; } dd { margin: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; }
svg { display: block; width: 100%; height: auto; border-bottom: 1px solid #8886; }
a { color: inherit; } .failed { color: light-dark(#b3261e, #ff8a80); }
"""


class Course:
    """How it went over time, gathered piece by piece: what a page shows.

    Args:
        coefficients: that are drawn, where the model gives them.
    """

    def __init__(self, coefficients: Sequence[str]) -> None:
        self._coefficients = coefficients
        self._parts: dict[str, list[npt.NDArray[np.float64]]] = {}
        self._frames = self._with_face = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def add(self, frames: pa.Table, faces: pa.Table) -> None:
        """Take in the rows of one piece."""
        self._frames += frames.num_rows
        self._with_face += int((frames["faces"].to_numpy() > 0).sum())
        if frames.num_rows and frames["t_ns"].null_count == 0:
            t_ns = frames["t_ns"].to_numpy()
            self._first_ns = int(t_ns[0]) if self._first_ns is None else self._first_ns
            self._last_ns = int(t_ns[-1])
        poses = faces["T_camera_face"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        R = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)[:, :3, :3]
        self._keep("id", faces["id"].to_numpy())
        place = "frame" if faces["t_ns"].null_count else "t_ns"
        self._keep("at", faces[place].to_numpy())
        self._keep("distance_m", faces["distance_m"].to_numpy())
        self._keep("yaw_deg", np.degrees(np.arctan2(R[:, 0, 2], R[:, 2, 2])))
        self._keep("pitch_deg", np.degrees(np.arcsin(np.clip(-R[:, 1, 2], -1.0, 1.0))))
        self._keep("roll_deg", np.degrees(np.arctan2(R[:, 1, 0], R[:, 1, 1])))
        for name in self._coefficients:
            if name in faces.schema.names:
                self._keep(name, faces[name].to_numpy())

    def summary(self) -> dict[str, Any]:
        """Figures of it, as JSON has them."""
        seen = self.values("id").astype(int)
        distance, at = self.values("distance_m"), self.values("at")
        faces = []
        for face_id in sorted(set(seen.tolist())):
            own = seen == face_id
            faces.append(
                {
                    "id": face_id,
                    "rows": int(own.sum()),
                    "first": int(at[own][0]),
                    "last": int(at[own][-1]),
                    "median_distance_m": round(float(np.median(distance[own])), 4),
                }
            )
        length_s = None
        if self._first_ns is not None and self._last_ns is not None:
            length_s = round((self._last_ns - self._first_ns) * 1e-9, 3)
        return {
            "rows": len(seen),
            "with_face": self._with_face,
            "seconds": length_s,
            "faces": faces,
        }

    def values(self, name: str) -> npt.NDArray[np.float64]:
        """Of all faces, one after the other; empty where there are none."""
        parts = self._parts.get(name)
        return np.concatenate(parts) if parts else np.empty(0)

    @property
    def curves(self) -> list[str]:
        """Names of what is drawn."""
        return [name for name in self._parts if name not in ("id", "at")]

    def _keep(self, name: str, values: npt.NDArray[Any]) -> None:
        self._parts.setdefault(name, []).append(np.asarray(values, dtype=np.float64))


def page_html(source: Input, record: Mapping[str, Any], course: Course) -> str:
    """The page of one input."""
    facts = {
        "source": source.path,
        "made with": ", ".join(
            f"{name} {value}" for name, value in record["made_with"].items() if value is not None
        ),
        "pictures": f"{record['pictures']}, {record['with_face']} with a face",
        "damaged": f"{record['damaged']} could not be decoded",
        "length": "" if record["seconds"] is None else f"{record['seconds']:g} s",
        "left out": f"{record['values_dropped']} values and {record['depths_dropped']} depths that "
        "were not finite",
    }
    rows = "".join(
        f"<tr><td>{face['id']}</td><td>{face['rows']}</td>"
        f"<td>{_when(face['first'], record)} to {_when(face['last'], record)}</td>"
        f"<td>{face['median_distance_m']:.2f} m</td></tr>"
        for face in record["faces"][:_MOST_FACES]
    )
    more = len(record["faces"]) - _MOST_FACES
    groups = {
        "distance": ("distance_m",),
        "head, degrees: to the person's own right, down, clockwise in the picture": (
            "yaw_deg",
            "pitch_deg",
            "roll_deg",
        ),
        "coefficients": tuple(n for n in course.curves if not n.endswith(("_m", "_deg"))),
    }
    charts = "".join(_chart(title, names, course) for title, names in groups.items() if names)
    body = (
        f"<h1>{escape(source.name)}</h1>{_list(facts)}"
        "<h2>faces</h2><table><tr><th>id</th><th>pictures</th><th>seen</th><th>distance</th></tr>"
        f"{rows}</table>{f'<p class=note>and {more} more</p>' if more > 0 else ''}{charts}"
    )
    return _page(source.name, body)


def index_html(videos: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, str]]) -> str:
    """The page of an archive: a row for each of the inputs in its ``archive.json``."""
    rows = "".join(
        f'<tr><td><a href="{escape(_quoted(video["name"]))}/index.html">{escape(video["name"])}'
        f"</a></td><td>{video['pictures']}</td><td>{video['with_face']}</td>"
        f"<td>{video['faces']}</td><td>{'' if video['seconds'] is None else video['seconds']}</td>"
        "</tr>"
        for video in videos
    )
    wrong = "".join(
        f"<tr class=failed><td>{escape(one['source'])}</td><td>{escape(one['error'])}</td></tr>"
        for one in failed
    )
    failures = f"<h2>failed</h2><table>{wrong}</table>" if failed else ""
    return _page(
        "archive",
        f"<h1>{len(videos)} done, {len(failed)} failed</h1><table><tr><th>input</th>"
        "<th>pictures</th><th>with a face</th><th>faces</th><th>seconds</th></tr>"
        f"{rows}</table>{failures}",
    )


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, errors="surrogateescape")


def _when(at: int, record: Mapping[str, Any]) -> str:
    return f"picture {at}" if record["seconds"] is None else f"{at * 1e-9:.2f} s"


def _list(facts: Mapping[str, str]) -> str:
    pairs = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v)
    return f"<dl>{''.join(pairs)}</dl>"


def _chart(title: str, names: Sequence[str], course: Course) -> str:
    """Curves of the face that is seen most, over time."""
    ids, at = course.values("id"), course.values("at")
    if len(ids) < 2:
        return ""
    face_ids, counts = np.unique(ids, return_counts=True)
    own = ids == face_ids[counts.argmax()]
    at = at[own]
    span = max(float(at[-1] - at[0]), 1.0)
    curves = {name: course.values(name)[own] for name in names}
    known = np.concatenate([v[np.isfinite(v)] for v in curves.values()])
    if not len(known) or len(at) < 2:
        return ""
    low, high = float(known.min()), float(known.max())
    step = math.ceil(len(at) / _POINTS)
    x = ((at - at[0]) / span * _WIDE)[::step]
    lines, legend = [], []
    for (name, values), color in zip(curves.items(), _COLORS, strict=False):
        y = _HIGH - (values[::step] - low) / max(high - low, 1e-9) * _HIGH
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if b == b)
        lines.append(f'<polyline fill="none" stroke="{color}" points="{points}"/>')
        legend.append(f'<span style="color:{color}">{escape(name)}</span>')
    return (
        f"<h2>{escape(title)}</h2><p class=note>{' '.join(legend)} · {low:.3g} to {high:.3g}</p>"
        f'<svg viewBox="0 -4 {_WIDE} {_HIGH + 8}" preserveAspectRatio="none">{"".join(lines)}</svg>'
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><body>{body}</body></html>\n"
    )
