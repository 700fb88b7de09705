"""Outputs by name: ``NAME[:TARGET][?key=value&...]`` to an `Output`, ours or another package's."""

from __future__ import annotations

from collections.abc import Sequence

from rtrecon.errors import ArgumentError, RtreconError, UserError
from rtrecon.output import Output, Run
from rtrecon.plugins import Registry, Spec
from rtrecon.result import LiveResult

__all__ = ["OUTPUTS", "make_output", "make_outputs"]

OUTPUTS = Registry(
    "output",
    "rtrecon.outputs",
    {
        "window": "rtrecon.outputs.window.output:WindowOutput",
        "web": "rtrecon.outputs.web.output:WebOutput",
        "record": "rtrecon.outputs.record:RecordOutput",
        "take": "rtrecon.outputs.take:TakeOutput",
        "camera": "rtrecon.outputs.camera:CameraOutput",
        "csv": "rtrecon.outputs.face_csv:FaceCsvOutput",
        "vmc": "rtrecon.outputs.avatars:VmcOutput",
        "ifacialmocap": "rtrecon.outputs.ifacialmocap:IFacialMocapOutput",
        "livelink": "rtrecon.outputs.avatars:LiveLinkOutput",
        "openseeface": "rtrecon.outputs.avatars:OpenSeeFaceOutput",
        "vtube-studio": "rtrecon.outputs.vtube_studio:VTubeStudioOutput",
        "osc": "rtrecon.outputs.avatars:OscOutput",
    },
)
"""Every output, by the name of the command line; imported when named."""


def make_output(text: str) -> Output:
    """The output that ``text`` asks for, not opened yet.

    Raises:
        ArgumentError: the text is not of the form ``NAME[:TARGET][?key=value&...]``, or its
            target or options cannot be used.
        UserError: there is no such output, or the package that brings it is broken.
    """
    spec = Spec.parse(text)
    output = spec.build(OUTPUTS.load(spec.name))
    if not isinstance(output, Output):
        raise UserError(
            f"output {spec.name} of the package {OUTPUTS.package(spec.name)} makes a "
            f"{type(output).__name__}, not an rtrecon.Output: upgrade or remove that package"
        )
    return output


def make_outputs(asked: Sequence[str | Output]) -> list[Output]:
    """All outputs that are asked for; one that cannot be made says so when it is opened.

    So that the others go on, and all that is wrong is said at once.
    """
    made: list[Output] = []
    for entry in asked:
        if isinstance(entry, Output):
            made.append(entry)
            continue
        try:
            output = make_output(entry)
            if any((o.name, o.target) == (output.name, output.target) for o in made):
                raise ArgumentError("it is asked for twice")
        except RtreconError as error:
            output = _Refused(entry, error)
        made.append(output)
    return made


class _Refused(Output):
    """Stands for an output that cannot be made, until it is opened."""

    def __init__(self, text: str, error: RtreconError) -> None:
        name, _, rest = text.partition(":")
        self.name, self._target, self._error = name, rest.partition("?")[0], error

    @property
    def target(self) -> str:
        return self._target

    def open(self, run: Run) -> None:  # noqa: ARG002
        raise self._error

    def write(self, result: LiveResult) -> None:
        raise NotImplementedError
