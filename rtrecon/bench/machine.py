"""What a figure was measured on, in words, and whether two were measured on the same."""

from __future__ import annotations

from typing import Any

__all__ = ["busy_before", "machine_line", "same_machine"]

_QUIET_LOAD = 0.5  # of each core, at most
_SAME = ("cpu", "cores_usable", "cores_logical", "memory_gb", "gpus", "os")


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in one line for people."""
    parts = [
        str(machine.get("cpu") or "unknown processor"),
        f"{machine.get('cores_usable')} of {machine.get('cores_logical')} threads",
        f"{machine.get('memory_gb')} GiB",
        ", ".join(machine.get("gpus") or ()) or "no GPU known",
        str(machine.get("os")),
        f"governor {machine.get('governor') or 'unknown'}",
        {True: "on battery", False: "on mains", None: "power source unknown"}[
            machine.get("on_battery")
        ],
        f"load before {_or_unknown(machine.get('load_average_1min'))}",
    ]
    return ", ".join(parts)


def same_machine(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What differs between two machines, as ``name: a, now b``; empty if they are alike."""
    return [
        f"{name}: {one.get(name)}, now {other.get(name)}"
        for name in _SAME
        if one.get(name) != other.get(name)
    ]


def busy_before(machine: dict[str, Any]) -> str | None:
    """The load before measuring, in words, if it was too high for good figures; else None."""
    load, cores = machine.get("load_average_1min"), machine.get("cores_usable") or 1
    if load is None or load <= _QUIET_LOAD * cores:
        return None
    return f"load {load:.2f} on {cores} cores"


def _or_unknown(value: object) -> object:
    return "unknown" if value is None else value
