"""What a figure was measured on: without it, it says nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from rtrecon.stats import versions

__all__ = [
    "busy_before",
    "describe_machine",
    "gpu_memory_mb",
    "machine_line",
    "parse_gpu_memory",
    "same_machine",
]

_SMI_TIMEOUT_S = 5.0
_QUIET_LOAD = 0.5  # of each core, at most
_SAME = ("cpu", "cores_usable", "cores_logical", "memory_gb", "gpus", "os")


def describe_machine() -> dict[str, Any]:
    """Processor, memory, system, versions, governor, power source and the load before.

    What cannot be read is None.
    """
    load = psutil.getloadavg() if hasattr(psutil, "getloadavg") else None
    return {
        "cpu": _cpu_model(),
        "cores_usable": _usable_cores(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "memory_available_gb": round(psutil.virtual_memory().available / 2**30, 1),
        "gpus": _gpus(),
        "os": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "on_battery": _on_battery(),
        "load_average_1min": None if load is None else round(load[0], 2),
        "versions": versions(),
    }


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


def gpu_memory_mb(pid: int) -> float | None:
    """Memory of NVIDIA cards that ``pid`` holds, in MiB; None where that cannot be known."""
    rows = _nvidia_smi("--query-compute-apps=pid,used_memory")
    return None if rows is None else parse_gpu_memory(rows, pid)


def parse_gpu_memory(rows: list[str], pid: int) -> float | None:
    """What ``nvidia-smi`` says of ``pid``: rows of ``pid, MiB``; None if it is not there."""
    held = []
    for row in rows:
        number, _, used = row.partition(",")
        if number.strip() == str(pid) and used.strip().isdigit():
            held.append(float(used))
    return sum(held) if held else None


def _gpus() -> list[str]:
    return _nvidia_smi("--query-gpu=name") or []


def _nvidia_smi(query: str) -> list[str] | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SMI_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _cpu_model() -> str | None:
    info = _read("/proc/cpuinfo") or ""
    for line in info.splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        try:
            done = subprocess.run(
                ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                timeout=_SMI_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() or None
    return platform.processor() or None


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _on_battery() -> bool | None:
    reader = getattr(psutil, "sensors_battery", None)
    battery = reader() if reader is not None else None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _or_unknown(value: object) -> object:
    return "unknown" if value is None else value
