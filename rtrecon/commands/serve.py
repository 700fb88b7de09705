"""``rtrecon serve``: faces on a page in the browser, for this machine, a phone or a headset."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from rtrecon.commands.run import RunConfig, run
from rtrecon.config import (
    ModelConfig,
    OptionalFloat,
    OptionalInt,
    OptionalPath,
    OptionalText,
)
from rtrecon.errors import UserError

__all__ = ["ServeConfig", "run_serve"]

logger = logging.getLogger(__name__)

_NO_DEFAULT = ""


@dataclass(kw_only=True)
class ServeConfig(ModelConfig):
    """Show faces on a page in the browser."""

    source: Annotated[
        tyro.conf.Positional[str | None],
        tyro.conf.arg(metavar="[SOURCE]", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Camera, file, stream, folder, take or `demo`, as for `rtrecon run`. Default: the camera of
    the browser that opens the page."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for other machines, with a token and encrypted."""
    port: OptionalInt = None
    """Port to listen on. Default: 8765, or the next that is free."""
    no_open: bool = False
    """Do not open the browser."""
    token: str = ""
    """What the page's address must have. Default: none here, a random one for other machines."""
    peers: int = 8
    """Pages at once."""
    tls_cert: OptionalPath = None
    """Certificate (PEM), with those that signed it. Default: for other machines, one of our own."""
    tls_key: OptionalPath = None
    """Its key (PEM), unless it is in the same file."""
    out: Annotated[
        list[str],
        tyro.conf.arg(
            metavar="NAME[:TARGET][?key=value]", help_behavior_hint=_NO_DEFAULT, aliases=("-o",)
        ),
    ] = field(default_factory=list)
    """Where results go beside the page, such as vmc; several times for several outputs."""
    person: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint=_NO_DEFAULT)] = (
        None
    )
    """Whose calibration avatars use, kept for each camera (default: one called default)."""
    max_frames: OptionalInt = None
    """End after this many processed frames."""
    size: OptionalText = None
    """Camera picture size to ask for, such as 1280x720."""
    rate: OptionalFloat = None
    """Camera frame rate to ask for."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.port is not None and not 0 <= self.port <= 65535:
            raise UserError(f"--port must be 0 to 65535, not {self.port}")
        if not 1 <= self.peers <= 1000:
            raise UserError(f"--peers must be 1 to 1000, not {self.peers}")
        self.run_config()  # says what is wrong with the rest

    def run_config(self) -> RunConfig:
        """The run that this is."""
        same = ("model", "provider", "precision", "faces", "fov", "intrinsics", "ipd_mm",
                "threads", "stats", "quiet", "debug", "out", "person", "max_frames", "size",
                "rate", "source")  # fmt: skip
        return RunConfig(**{name: getattr(self, name) for name in same}, view="none", loop=True)


def run_serve(config: ServeConfig) -> int:
    """Serve until Ctrl-C.

    Returns:
        0, or 1 if an output failed.

    Raises:
        RtreconError: the source, the model or the address cannot be used.
    """
    from rtrecon.capture.pushed import PushedSource
    from rtrecon.outputs.web.output import WebOutput

    host = f"[{config.host}]" if ":" in config.host else config.host
    output = WebOutput(
        host if config.port is None else f"{host}:{config.port}",
        open=not config.no_open,
        token=config.token,
        peers=config.peers,
        tls_cert=config.tls_cert,
        tls_key=config.tls_key,
    )
    if config.source is not None:
        return run(config.run_config(), first=[output])
    source = PushedSource("browser")
    output.take_camera_of_pages(source)
    return run(config.run_config(), first=[output], source=source)
