"""The command line: ``rtrecon COMMAND [options]``."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rtrecon._version import __version__
from rtrecon.commands.table import COMMANDS, Command, config_types, load
from rtrecon.console import LogHandler, note_interrupts, raise_if_interrupted
from rtrecon.errors import ArgumentError, RtreconError
from rtrecon.malloc import share_arenas
from rtrecon.shown import hide_secrets
from rtrecon.threads import end_process

__all__ = ["entry", "main"]

logger = logging.getLogger("rtrecon")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # what our own files say as errors of ours


def entry() -> NoReturn:
    """The program: as `main`, and the process ends with it, whatever hangs in a driver."""
    try:
        note_interrupts()
        _open_closed_streams()
        code = main()
    except KeyboardInterrupt:
        code = 130
    end_process(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed, 2 a user's mistake."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())  # noqa: T201
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"rtrecon {__version__}")  # noqa: T201
        return 0
    name = arguments[0]
    command = COMMANDS.get(name)
    if command is None:
        print(f"rtrecon: there is no command {hide_secrets(name)!r}\n\n{_usage()}", file=sys.stderr)  # noqa: T201
        return 2
    share_arenas()
    debug, quiet = "--debug" in arguments, bool({"-q", "--quiet"} & set(arguments))
    verbose = bool({"-v", "--verbose"} & set(arguments))
    if not debug:
        # What OpenCV and FFmpeg print of a bad source is said better by our own errors.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        _set_up_logging(quiet=quiet, verbose=verbose, debug=debug)
        config = _with_options(_parse(command, name, arguments[1:]), name, arguments[1:])
        function = load(command.function)
        raise_if_interrupted()
        return int(function(config))
    except RtreconError as error:
        if _is_of_an_interrupt(error):
            logger.error("interrupted")
            return 130
        if debug:
            logger.exception("%s", error)
        else:
            logger.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone: nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if debug or error.errno not in _FULL:
            raise
        logger.error("standard output cannot be written: %s", error.strerror)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parse(command: Command, name: str, arguments: list[str]) -> Any:
    import tyro

    if any("\0" in argument for argument in arguments):
        raise ArgumentError("an option has a NUL character in it, which no name can have")
    markers = [] if command.lists else [tyro.conf.UseAppendAction]
    if not any(argument.startswith("--no-") for argument in arguments):
        markers.append(tyro.conf.FlagCreatePairsOff)

    def parse(given: list[str]) -> Any:
        return tyro.cli(
            load(command.config),
            prog=f"rtrecon {name}",
            args=given,
            config=markers,
        )

    shown = [hide_secrets(argument) for argument in arguments]
    if shown == arguments:
        return parse(arguments)
    # What tyro says of a mistake repeats the arguments, with the password of a camera in them.
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return parse(arguments)
    except SystemExit:
        parse(shown)
        raise


def _with_options(config: Any, name: str, arguments: list[str]) -> Any:
    """What the command line says, and the user's files where it says nothing."""
    from rtrecon import options_file

    asked = config.config
    if asked is not None and str(asked) == options_file.NONE:
        return config
    nearest = options_file.read_options(asked, COMMANDS) if asked is not None else None
    own = options_file.read_options(options_file.user_options_path(), COMMANDS, must=False)
    files = [file for file in (nearest, own) if file is not None]
    if not files:
        return config
    configs = config_types(load(COMMANDS[name].config))
    sub = next(sub for sub, kind in configs.items() if type(config) is kind)
    config, places = options_file.with_options(
        config, [name, *filter(None, [sub])], arguments, files
    )
    _set_up_logging(quiet=config.quiet, verbose=config.verbose, debug=config.debug)
    for file in files:
        used = [option.replace("_", "-") for option, path in places.items() if path == file.path]
        if used:
            logger.info("options of %s: %s", file.path, ", ".join(used))
    return config


def _open_closed_streams() -> None:
    """Nothing in place of standard streams that whoever started us has closed.

    The first files that are opened would take their numbers, and get what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _is_of_an_interrupt(error: BaseException) -> bool:
    """A Ctrl-C in the middle of the import of a library in C looks as if that were missing."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _usage() -> str:
    width = max(len(name) for name in COMMANDS)
    rows = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "usage: rtrecon COMMAND [options]\n\n"
        "One webcam in, a metric, textured 3D face out, every frame.\n\n"
        f"commands:\n{rows}\n\n"
        "`rtrecon COMMAND --help` lists a command's options; `rtrecon --version` the version."
    )


def _set_up_logging(*, quiet: bool, verbose: bool, debug: bool) -> None:
    level = logging.ERROR if quiet else logging.DEBUG if verbose or debug else logging.INFO
    if not logger.handlers:
        logger.addHandler(LogHandler())
    for handler in logger.handlers:
        if isinstance(handler, LogHandler):
            handler.traces = debug
    logger.setLevel(level)
    logger.propagate = False
