"""Facts of this machine: processor, memory, cards, versions, and optional libraries that work."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rtrecon._version import __version__
from rtrecon.errors import MissingExtraError, RtreconError

__all__ = [
    "describe_machine",
    "gpu_memory_mb",
    "has_open3d",
    "import_open3d",
    "parse_gpu_memory",
    "peak_rss_mb",
    "usable_cores",
    "versions",
]

_SMI_TIMEOUT_S = 5.0


def describe_machine() -> dict[str, Any]:
    """Processor, memory, system, versions, governor, power source and the load before.

    What cannot be read is None.
    """
    import psutil

    load = psutil.getloadavg() if hasattr(psutil, "getloadavg") else None
    return {
        "cpu": _cpu_model(),
        "cores_usable": usable_cores(),
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


def usable_cores() -> int | None:
    """How many of the machine's cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def peak_rss_mb() -> float:
    """The most memory this process has had resident, in MiB."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def versions() -> dict[str, str]:
    """Versions of Python, rtrecon and what it stands on; a package never imported counts too."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "rtrecon": __version__}
    for package in (
        "numpy",
        "av",
        "opencv-python",
        "onnxruntime",
        "onnxruntime-gpu",
        "open3d",
        "open3d-cpu",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


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


def has_open3d() -> bool:
    """Whether Open3D is installed; it is not imported, which takes a second."""
    if "open3d" in sys.modules:
        return sys.modules["open3d"] is not None
    return importlib.util.find_spec("open3d") is not None


def import_open3d() -> Any:
    """Open3D's module.

    Raises:
        MissingExtraError: it is not installed.
        RtreconError: a library of the system that it needs is not.
    """
    try:
        import open3d
    except ImportError as error:
        raise MissingExtraError("Open3D", "window") from error
    except OSError as error:
        raise RtreconError(
            f"Open3D lacks a library of the system ({error}); on Debian: "
            "apt-get install libegl1 libgl1 libusb-1.0-0 libgomp1"
        ) from error
    return open3d


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


def _on_battery() -> bool | None:
    import psutil

    reader = getattr(psutil, "sensors_battery", None)
    battery = reader() if reader is not None else None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
