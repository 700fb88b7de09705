"""Which commands there are: where the options and the function of each are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

__all__ = ["COMMANDS", "Command", "config_types", "load"]


class Command(NamedTuple):
    """Where a command's options and its function are; both are imported only when asked for."""

    config: str
    function: str
    summary: str
    lists: bool = False  # lists are given as --faces 1 2 4, else by repeating the option


COMMANDS = {
    "run": Command(
        "rtrecon.commands.run:RunConfig",
        "rtrecon.commands.run:run",
        "reconstruct faces live from a camera, file or stream",
    ),
    "serve": Command(
        "rtrecon.commands.serve:ServeConfig",
        "rtrecon.commands.serve:run_serve",
        "show faces on a page: in the browser, on a phone, in a headset",
    ),
    "image": Command(
        "rtrecon.commands.image:ImageConfig",
        "rtrecon.commands.image:run_image",
        "reconstruct the faces of pictures: meshes, depth, previews",
    ),
    "archive": Command(
        "rtrecon.commands.archive:ArchiveConfig",
        "rtrecon.commands.archive:run_archive",
        "reconstruct hours of video and folders of pictures: tables, on all cores or a cluster",
    ),
    "avatar": Command(
        "rtrecon.commands.avatar:AvatarConfig",
        "rtrecon.commands.avatar:run_avatar",
        "make a person's head, rigged: GLB, VRM, OBJ, USDZ",
    ),
    "eval": Command(
        "rtrecon.evaluate.config:EvalConfig",
        "rtrecon.commands.eval:run_eval",
        "score models against measured depth",
    ),
    "bench": Command(
        "rtrecon.bench.config:BenchConfig",
        "rtrecon.commands.bench:run_bench",
        "measure what runs at which rate here, and where the time goes",
        lists=True,
    ),
    "models": Command(
        "rtrecon.commands.models:ModelsConfig",
        "rtrecon.commands.models:run_models",
        "list, export, build, verify and remove depth models",
    ),
    "outputs": Command(
        "rtrecon.commands.outputs:OutputsConfig",
        "rtrecon.commands.outputs:run_outputs",
        "list what results can go to, and what each needs",
    ),
    "take": Command(
        "rtrecon.commands.take:TakeConfig",
        "rtrecon.commands.take:run_take",
        "say what is in a take, or write it as CSV, BVH or an animated GLB",
    ),
    "avatar-check": Command(
        "rtrecon.commands.avatar_check:AvatarCheckConfig",
        "rtrecon.commands.avatar_check:run_avatar_check",
        "play known moves to an avatar, and say what must be seen",
        lists=True,
    ),
    "calibrate": Command(
        "rtrecon.commands.calibrate:CalibrateConfig",
        "rtrecon.commands.calibrate:run_calibrate",
        "learn what is neutral for a person, for avatars",
    ),
    "calibrate-camera": Command(
        "rtrecon.commands.calibrate_camera:CalibrateCameraConfig",
        "rtrecon.commands.calibrate_camera:run_calibrate_camera",
        "measure a camera's lens with a printed board, for true distances",
    ),
    "completion": Command(
        "rtrecon.commands.completion:CompletionConfig",
        "rtrecon.commands.completion:run_completion",
        "complete the command line by TAB in your shell",
    ),
    "doctor": Command(
        "rtrecon.commands.doctor:DoctorConfig",
        "rtrecon.commands.doctor:run_doctor",
        "say what works on this machine, and what mends the rest",
    ),
}


def config_types(config: Any) -> dict[str, type[Any]]:
    """The classes of options of a command, by subcommand; by "" that of a command without."""
    if isinstance(config, type):
        return {"": config}
    found = {}
    for choice in get_args(config):
        kind, *marks = get_args(choice)
        found[next(str(mark.name) for mark in marks if hasattr(mark, "name"))] = kind
    return found


def load(spec: str) -> Callable[..., Any]:
    """What ``package.module:name`` says, imported now."""
    module, _, name = spec.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return loaded
