"""The live face in the programs that people use: one class a protocol that is only sent."""

from __future__ import annotations

from pathlib import Path

from rtrecon.avatar.livelink import AngleUnit, LiveLinkEncoder
from rtrecon.avatar.openseeface import OpenSeeFaceEncoder
from rtrecon.avatar.osc import OscEncoder
from rtrecon.avatar.stage import with_points
from rtrecon.avatar.vmc import ShapeNames, VmcEncoder
from rtrecon.avatar.vrm import bone_offsets
from rtrecon.errors import DataError
from rtrecon.output import Run
from rtrecon.outputs.avatar_output import DEFAULTS, AvatarOptions, parse_address
from rtrecon.outputs.datagrams import DatagramOutput
from rtrecon.result import LiveResult

__all__ = [
    "LiveLinkOutput",
    "OpenSeeFaceOutput",
    "OscOutput",
    "VmcOutput",
]

_HERE = "127.0.0.1"


class OscOutput(DatagramOutput):
    """See `rtrecon.avatar.osc`; ``common`` as everywhere."""

    name = "osc"
    summary = "head, gaze and 52 coefficients as OSC messages (TouchDesigner, Resonite, VRChat)"

    def __init__(
        self,
        target: str = f"{_HERE}:9000",
        *,
        prefix: str = "/rtrecon",
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        address = parse_address(target, _HERE, 9000)
        super().__init__(address, OscEncoder(prefix), common)


class VmcOutput(DatagramOutput):
    """See `rtrecon.avatar.vmc`; ``common`` as everywhere."""

    name = "vmc"
    summary = "VMC protocol (Warudo, VSeeFace, VNyan, Unity, Blender)"

    def __init__(
        self,
        target: str = f"{_HERE}:39539",
        *,
        names: ShapeNames = "both",
        avatar: Path | None = None,
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        address = parse_address(target, _HERE, 39539)
        super().__init__(address, VmcEncoder(names), common)
        self._names, self._avatar = names, avatar

    def open(self, run: Run) -> None:
        """As any, after a look at where the model ``avatar`` has its head and eyes.

        Raises:
            DataError: that file cannot be read, or is no VRM.
        """
        if self._avatar is not None:
            try:
                with self._avatar.open("rb") as file:
                    offsets = bone_offsets(file)
            except OSError as error:
                raise DataError(f"cannot read {self._avatar}: {error.strerror}") from error
            except DataError as error:
                raise DataError(f"{self._avatar}: {error}") from error
            self._encode = VmcEncoder(self._names, offsets)
        super().open(run)


class LiveLinkOutput(DatagramOutput):
    """See `rtrecon.avatar.livelink`; ``common`` as everywhere."""

    name = "livelink"
    summary = "Live Link Face (Unreal Engine, with its ARKit face support)"

    def __init__(
        self,
        target: str = f"{_HERE}:11111",
        *,
        subject: str = "rtrecon",
        angle: AngleUnit = "radians",
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        address = parse_address(target, _HERE, 11111)
        encode = LiveLinkEncoder(subject, angle)
        super().__init__(address, encode, common)


class OpenSeeFaceOutput(DatagramOutput):
    """See `rtrecon.avatar.openseeface`; ``common`` as everywhere."""

    name = "openseeface"
    summary = "OpenSeeFace's tracking (VSeeFace and others)"

    def __init__(
        self,
        target: str = f"{_HERE}:11573",
        *,
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        address = parse_address(target, _HERE, 11573)
        super().__init__(address, OpenSeeFaceEncoder(), common)

    def write(self, result: LiveResult) -> None:
        """Send one result, with its landmarks in metres."""
        self.send(with_points(self._stage.frame(result), result))
