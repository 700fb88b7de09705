"""``rtrecon completion``: the script by which a shell completes the command line."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rtrecon.config import CommonConfig
from rtrecon.console import say
from rtrecon.errors import UserError
from rtrecon.files import make_folder, write_files

__all__ = ["CompletionConfig", "run_completion"]

logger = logging.getLogger(__name__)

Shell = Literal["auto", "bash", "zsh", "fish", "tcsh", "powershell"]

_HOW = {
    "bash": 'eval "$(rtrecon completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(rtrecon completion zsh)"  # in ~/.zshrc',
    "fish": "rtrecon completion fish | source  # in ~/.config/fish/config.fish",
    "tcsh": 'eval "`rtrecon completion tcsh`"  # in ~/.tcshrc',
    "powershell": "rtrecon completion powershell | Out-String | Invoke-Expression  # in $PROFILE",
}
_FILES = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/rtrecon"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_rtrecon"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/rtrecon.fish"),
}


@dataclass(kw_only=True)
class CompletionConfig(CommonConfig):
    """Complete commands, options and values with the TAB key: print the script for a shell."""

    shell: Annotated[
        tyro.conf.Positional[Shell],
        tyro.conf.arg(metavar="[{bash,zsh,fish,tcsh,powershell}]", help_behavior_hint=""),
    ] = "auto"
    """Which shell (default: yours)."""
    install: bool = False
    """Write it where the shell looks for it, instead; bash, zsh, fish."""


def run_completion(config: CompletionConfig) -> int:
    """Print or write the script; 0.

    Raises:
        UserError: the shell is not known, or has no place for such files.
        OutputError: the file cannot be written.
    """
    from rtrecon.commands.completion_scripts import SCRIPTS
    from rtrecon.commands.options import completed_commands

    shell = _own_shell() if config.shell == "auto" else config.shell
    if config.install and shell not in _FILES:
        raise UserError(
            f"{shell} has no folder for completions: put in its settings: {_HOW[shell]}"
        )
    script = SCRIPTS[shell](completed_commands())
    if not config.install:
        say(script)
        return 0
    variable, usual, name = _FILES[shell]
    path = Path(os.environ.get(variable) or Path.home() / usual, name)
    make_folder(path.parent)
    write_files({path: script.encode()}, overwrite=True)
    say(f"wrote {path}: new shells complete rtrecon")
    if shell == "zsh":
        say(
            f"where ~/.zshrc does not say so yet, put before compinit: fpath=({path.parent} $fpath)"
        )
    if shell == "bash":
        say(f"needs the package bash-completion; without it: {_HOW[shell]}")
    return 0


def _own_shell() -> str:
    """The shell that the system names as the user's.

    Raises:
        UserError: it names none that is known.
    """
    name = Path(os.environ.get("SHELL", "")).name
    if not name and os.environ.get("PSMODULEPATH"):
        name = "powershell"
    name = {"csh": "tcsh", "pwsh": "powershell"}.get(name, name)
    if name not in _HOW:
        raise UserError(
            f"your shell is not known ({name or 'SHELL is not set'}): name one: "
            f"rtrecon completion {'|'.join(_HOW)}"
        )
    logger.info("for %s; in its settings: %s", name, _HOW[name])
    return name
