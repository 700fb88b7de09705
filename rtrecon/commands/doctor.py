"""``rtrecon doctor``: what works on this machine, and the command that mends the rest."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtrecon.commands.table import COMMANDS, config_types, load
from rtrecon.config import CommonConfig
from rtrecon.console import say
from rtrecon.errors import MissingExtraError, RtreconError
from rtrecon.shown import plain

__all__ = ["DoctorConfig", "Finding", "findings", "run_doctor"]

_SIGNS = {"ok": "ok     ", "absent": "absent ", "broken": "BROKEN "}


@dataclass(kw_only=True)
class DoctorConfig(CommonConfig):
    """Say what works on this machine, and what mends the rest."""

    all: bool = False
    """Say all that was looked at, not only what most people need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: absent is not needed, broken is; ``is_detail`` few want to know."""

    state: Literal["ok", "absent", "broken"]
    subject: str
    detail: str = ""
    remedy: str = ""
    is_detail: bool = False


def run_doctor(config: DoctorConfig) -> int:
    """Print the findings; 1 if something that is needed is broken."""
    broken, left_out = False, 0
    for finding in findings(config, everything=config.all):
        is_broken = finding.state == "broken"
        broken |= is_broken
        if not is_broken and (config.quiet or (finding.is_detail and not config.all)):
            left_out += 1
            continue
        say(_SIGNS[finding.state] + plain(f"{finding.subject}: {finding.detail}"))
        if finding.remedy and finding.state != "ok":
            say(f"           mend: {plain(finding.remedy)}")
    if left_out and not config.quiet:
        say(f"{left_out} more, fine or not needed by most: rtrecon doctor --all")
    return 1 if broken else 0


def findings(config: DoctorConfig | None = None, *, everything: bool = True) -> Iterator[Finding]:
    """Look at versions, options, processor, cameras, display, providers and models, in that order.

    Without ``everything``, what takes seconds and few need is not looked at.
    """
    from rtrecon.host import versions

    yield Finding("ok", "versions", ", ".join(f"{k} {v}" for k, v in versions().items()))
    yield from _options(DoctorConfig() if config is None else config)
    yield _processor()
    yield from _cameras()
    yield from _saved_cameras()
    yield _display()
    yield _window()
    yield from _providers(everything=everything)
    yield from _models()


def _options(config: DoctorConfig) -> Iterator[Finding]:
    """The files of options that are in use, each looked at as a whole."""
    from rtrecon.options_file import NONE, check_options, read_options, user_options_path

    own, asked = user_options_path(), config.config
    if asked is not None and str(asked) == NONE:
        yield Finding("ok", "options", "from the command line alone, by --config none")
        return
    for path in (asked, own):
        if path is None:
            continue
        subject = "options" if path == own else "options of --config"
        try:
            file = read_options(path, COMMANDS, must=path != own)
            if file is None:
                detail = f"no file of your own; it would be {path}"
                yield Finding("ok", subject, detail, is_detail=True)
                continue
            for name in file.tables:
                if name in COMMANDS:
                    check_options(file, name, config_types(load(COMMANDS[name].config)))
        except RtreconError as error:
            yield Finding("broken", subject, str(error), f"mend or remove {path}")
        else:
            yield Finding("ok", subject, f"{path}: {', '.join(file.tables) or 'empty'}")


def _processor() -> Finding:
    from rtrecon.depth.session import default_threads
    from rtrecon.host import usable_cores

    threads = f"{default_threads()} threads for the depth model (--threads)"
    cores = f"{platform.machine()}, {usable_cores()} cores"
    return Finding("ok", "processor", f"{cores}; {threads}", is_detail=True)


def _cameras() -> Iterator[Finding]:
    from rtrecon.capture import list_cameras

    cameras = list_cameras(probe_modes=True)
    if not cameras:
        yield Finding(
            "absent",
            "camera",
            "none found",
            "plug one in; on Linux look for /dev/video* and be in group video: "
            "sudo usermod -aG video $USER",
        )
    for camera in cameras:
        if camera.modes:
            detail = f"{camera.name}, {', '.join(camera.modes)}"
            yield Finding("ok", f"camera {camera.index}", detail)
        else:
            yield Finding(
                "broken",
                f"camera {camera.index}",
                f"{camera.name} cannot be opened",
                "end the program that uses it, or: sudo usermod -aG video $USER",
            )


def _saved_cameras() -> Iterator[Finding]:
    """The calibrations that are kept of cameras."""
    from rtrecon.capture.saved_cameras import CameraStore
    from rtrecon.commands.calibrate_camera import describe

    for saved in CameraStore().stored():
        if saved.trouble:
            remedy = f"delete {saved.path} and calibrate again: rtrecon calibrate-camera"
            yield Finding("broken", "saved camera", saved.trouble, remedy)
        else:
            yield Finding("ok", "saved camera", describe(saved), is_detail=True)


def _display() -> Finding:
    from rtrecon.outputs.window.display import has_display

    displayed, reason = has_display()
    if displayed:
        return Finding("ok", "display", os.environ.get("DISPLAY", "yes"))
    return Finding(
        "absent",
        "display",
        f"{reason}: `rtrecon run` writes files instead of opening a window",
        "run it on a desktop, or under a virtual one: xvfb-run rtrecon run",
    )


def _window() -> Finding:
    from rtrecon.host import import_open3d

    try:
        open3d = import_open3d()
    except MissingExtraError as error:
        return Finding("absent", "Open3D", f"{error}: there is no window without it")
    except RtreconError as error:
        return Finding("broken", "Open3D", str(error))
    return Finding("ok", "Open3D", str(open3d.__version__))


def _providers(*, everything: bool) -> Iterator[Finding]:
    from rtrecon.depth.model import load_depth_model
    from rtrecon.depth.session import PROVIDERS
    from rtrecon.depth.store import list_models

    models = list_models()
    folder = models.get("face-dpt") or next(iter(models.values()), None)
    if folder is None:
        return
    for name in PROVIDERS:
        try:
            model = load_depth_model(folder, provider=name)
            duration_ms = model.warmup()
        except RtreconError as error:
            state: Literal["absent", "broken"] = "broken" if name == "cpu" else "absent"
            # Who has a card wants to know why it is idle.
            wanted = name == "cuda" and shutil.which("nvidia-smi") is not None
            yield Finding(state, f"provider {name}", str(error), is_detail=not wanted)
        else:
            detail = f"{model.name} {model.precision} in {duration_ms:.1f} ms a face"
            yield Finding("ok", f"provider {name}", f"{detail}, {model.threads} threads")
    if everything:
        yield _torch_provider(models)


def _torch_provider(models: Mapping[str, Path]) -> Finding:
    """PyTorch runs checkpoints, so it is tried on one of the models exported from them."""
    from rtrecon.depth.manifest import Manifest
    from rtrecon.depth.model import load_depth_model

    subject = "provider torch"
    try:
        import torch
        import transformers
    except ImportError as error:
        return Finding("absent", subject, str(error), "pip install 'rtrecon[export]'")
    except OSError as error:
        return Finding("broken", subject, str(error), "pip install --force-reinstall torch==2.13.0")
    device = "CUDA" if torch.cuda.is_available() else "the CPU"
    detail = f"torch {torch.__version__} on {device}, transformers {transformers.__version__}"
    problem = "none is there to try it with: rtrecon models export ID --out DIR"
    for folder in models.values():
        try:
            if not Manifest.load(folder).origin:
                continue
            model = load_depth_model(folder, provider="torch")
            duration_ms = model.warmup()
        except RtreconError as error:
            problem = str(error)
        else:
            return Finding("ok", subject, f"{detail}; {model.name} in {duration_ms:.1f} ms a face")
    return Finding("absent", subject, f"{detail}; it runs exported models, and {problem}")


def _models() -> Iterator[Finding]:
    from rtrecon.assets import ASSETS, read_asset
    from rtrecon.depth.manifest import Manifest
    from rtrecon.depth.store import list_models, user_models_folder
    from rtrecon.faces.mtcnn import Mtcnn

    try:
        Mtcnn()
    except RtreconError as error:
        yield Finding("broken", "model mtcnn", str(error), "reinstall rtrecon")
    else:
        yield Finding("ok", "model mtcnn", "hashes match", is_detail=True)
    try:
        for name in ASSETS:
            read_asset(name)
    except RtreconError as error:
        yield Finding("broken", "data of the package", str(error), "reinstall rtrecon")
    models = list_models()
    if "face-dpt" not in models:
        yield Finding("broken", "model face-dpt", "missing", "reinstall rtrecon")
    for name, folder in models.items():
        try:
            manifest = Manifest.load(folder)
            for file in manifest.files.values():
                file.verify()
            hashed = all(file.sha256 is not None for file in manifest.files.values())
        except RtreconError as error:
            yield Finding("broken", f"model {name}", str(error), f"put it again into {folder}")
        else:
            said = "hash matches" if hashed else "no hash to compare with"
            detail = f"{manifest.kind}, {said}, {folder}"
            yield Finding("ok", f"model {name}", detail, is_detail=name == "face-dpt")
    users = str(user_models_folder())
    yield Finding("ok", "folder for your models", users, is_detail=True)
