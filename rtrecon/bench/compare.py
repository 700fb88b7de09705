"""Is it faster or slower than it was? Only where the difference is beyond the spread of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtrecon.bench.figures import told_apart
from rtrecon.bench.machine import busy_before, same_machine
from rtrecon.bench.results import Report, RowResult, Used

__all__ = ["Comparison", "compare_reports"]

LEAST_CHANGE = 0.03
"""Smaller changes than this share count as none: a machine differs so much from day to day."""

Verdict = Literal["faster", "slower", "no difference within the spread", "unknown"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row (or stage of it) then and now; milliseconds, None where it was not measured."""

    label: str
    verdict: Verdict
    old_ms: float | None
    new_ms: float | None
    note: str = ""

    def __str__(self) -> str:
        if self.old_ms is None or self.new_ms is None:
            return f"{self.label}: {self.verdict}: {self.note}"
        change = 100 * (self.new_ms / self.old_ms - 1) if self.old_ms else 0.0
        text = f"{self.label}: {self.verdict} ({self.old_ms:.2f} to {self.new_ms:.2f} ms, "
        return text + f"{change:+.1f}%){f': {self.note}' if self.note else ''}"


def compare_reports(old: Report, new: Report) -> tuple[list[Comparison], list[str]]:
    """Verdicts on the rows of ``new``, and what makes the two hard to compare."""
    notes = [f"another machine: {text}" for text in same_machine(old.machine, new.machine)]
    for when, report in (("then", old), ("now", new)):
        if (busy := busy_before(report.machine)) is not None:
            notes.append(f"the machine was busy {when} ({busy}): a verdict may be of that load")
    for name in ("name", "width_px", "height_px"):
        before, now = old.source.get(name), new.source.get(name)
        if before != now:
            notes.append(f"another source: {name} {before}, now {now}")
    known = {row.asked: row for row in old.rows}
    stages = new.options["stages"] or [None]
    found = [_compare(known.get(row.asked), row, stage) for row in new.rows for stage in stages]
    return found, notes


def _compare(old: RowResult | None, new: RowResult, stage: str | None) -> Comparison:
    label = f"{new.label}, {stage}" if stage else new.label
    if old is None:
        return Comparison(label, "unknown", None, None, "it was not measured then")
    before, now = old.main_figure(stage), new.main_figure(stage)
    if before is None or now is None:
        when = "then" if before is None else "now"
        return Comparison(label, "unknown", None, None, f"it has no figures {when}")
    old_ms, new_ms = before.median_ms, now.median_ms
    note = _used_note(old.used, new.used)
    if min(len(before.round_medians_ms), len(now.round_medians_ms)) < 2:
        note = "one round has no spread, measure with --repeat 3" + (f"; {note}" if note else "")
        return Comparison(label, "unknown", old_ms, new_ms, note)
    verdict: Verdict = "slower" if new_ms > old_ms else "faster"
    if not told_apart(before, now) or abs(new_ms - old_ms) < LEAST_CHANGE * old_ms:
        verdict = "no difference within the spread"
    return Comparison(label, verdict, old_ms, new_ms, note)


def _used_note(before: Used | None, now: Used | None) -> str:
    return ", ".join(
        f"{name} {getattr(before, name, None)}, now {getattr(now, name, None)}"
        for name in ("provider", "precision", "threads")
        if getattr(before, name, None) != getattr(now, name, None)
    )
