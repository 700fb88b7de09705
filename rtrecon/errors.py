"""Every error that rtrecon raises on purpose.

::

    RtreconError                 a failure: exit code 1
    ├── UserError                a mistake the user can mend: exit code 2
    │   ├── ArgumentError        an argument or option out of range; a ValueError too
    │   ├── SourceError          a camera, file, stream or folder that cannot be used
    │   ├── ModelError           a model, manifest or hash that cannot be used
    │   ├── ProviderError        an execution provider that was named and does not work
    │   ├── DataError            a picture, dataset, calibration or face-model file that is wrong
    │   ├── MissingExtraError    an optional dependency that is not installed
    │   └── NoOutputError        not one of the outputs that were asked for can be opened
    ├── SourceLostError          a source that worked and then stopped for good
    └── OutputError              a file, folder or receiver that could not be written to

The message names the thing and the remedy; no traceback is shown for any of these
unless ``--debug`` is given.
"""

from __future__ import annotations

from rtrecon.shown import hide_secrets, plain

__all__ = [
    "ArgumentError",
    "DataError",
    "MissingExtraError",
    "ModelError",
    "NoOutputError",
    "OutputError",
    "ProviderError",
    "RtreconError",
    "SourceError",
    "SourceLostError",
    "UserError",
]


class RtreconError(Exception):
    """Base of all errors raised on purpose by rtrecon.

    Messages hold names that came from outside: no control character in them and no password of
    an address is in the error.
    """

    exit_code = 1

    def __init__(self, *message: object) -> None:
        super().__init__(*(hide_secrets(plain(m)) if isinstance(m, str) else m for m in message))


class UserError(RtreconError):
    """Something the user asked for cannot be; the message says what to do instead."""

    exit_code = 2


class ArgumentError(UserError, ValueError):
    """An argument or option that is out of range or not understood."""


class SourceError(UserError):
    """A camera, file, stream or folder that cannot be opened or read."""


class ModelError(UserError):
    """A model that is missing, damaged or of an unknown kind."""


class ProviderError(UserError):
    """An execution provider that was named explicitly and does not work here."""


class DataError(UserError):
    """A picture, dataset, calibration or face-model file with wrong contents."""


class MissingExtraError(UserError):
    """An optional dependency is missing.

    Args:
        package: what could not be imported.
        extra: the extra of rtrecon that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; install it with: pip install 'rtrecon[{extra}]'"
        )
        self.package = package
        self.extra = extra


class NoOutputError(UserError):
    """Not one of the outputs that were asked for can be opened; says why, for each."""


class SourceLostError(RtreconError):
    """A source that worked and then ended or broke for good."""


class OutputError(RtreconError):
    """A file, folder or receiver that could not be written to; no half-written file is left."""
