"""Completion in real shells: what a TAB gives."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtrecon.commands.completion_scripts import SCRIPTS
from rtrecon.commands.options import completed_commands
from rtrecon.commands.table import COMMANDS

pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))

Cli = Callable[..., tuple[int, str, str]]

LINES: list[tuple[str, set[str], set[str]]] = [
    # What is typed, what must be offered, what must not.
    ("rtrecon do", {"doctor"}, {"run"}),
    ("rtrecon models ", {"list", "export", "build", "verify", "remove"}, {"run", "--faces"}),
    ("rtrecon run --vi", {"--view"}, {"--verbose"}),
    ("rtrecon run --view ", {"auto", "window", "none"}, {"demo"}),
    ("rtrecon run --provider cu", {"cuda"}, {"cpu"}),
    ("rtrecon run -o v", {"vmc", "vtube-studio"}, {"window"}),
    ("rtrecon run d", {"demo"}, {"doctor"}),
    ("rtrecon models export --prec", {"--precision"}, {"--provider"}),
    ("rtrecon models export --precision ", {"fp32", "fp16", "int8"}, set()),
    ("rtrecon image pho", {"photo.jpg"}, {"demo"}),
    ("rtrecon image --intrinsics pho", {"photo.jpg"}, set()),
    ("rtrecon run --model ", {"face-dpt", "photo.jpg"}, set()),
    ("rtrecon doctor --al", {"--all"}, set()),
    ("rtrecon eval --no", {"--no-heads"}, set()),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scripts and a picture."""
    folder = tmp_path_factory.mktemp("completion")
    commands = completed_commands()
    for shell, script in SCRIPTS.items():
        (folder / f"rtrecon.{shell}").write_text(script(commands), encoding="utf-8")
    (folder / "photo.jpg").touch()
    return folder


def needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell}")
    return found


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, *command: str, folder: Path) -> None:
        self._outer, inner = pty.openpty()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TERM": "vt100",
            "PS1": "> ",
        }
        self._shell = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)

    def type(self, text: str, until: set[str], silence_s: float = 1.0) -> str:
        """What comes until all of ``until`` was seen, or nothing more."""
        os.write(self._outer, text.encode())
        seen, end_s = "", time.monotonic() + 20.0
        while time.monotonic() < end_s:
            if not select.select([self._outer], [], [], 10.0 if until else silence_s)[0]:
                break
            seen += os.read(self._outer, 1 << 14).decode(errors="replace")
            if until and all(word in seen for word in until):
                break
        return seen

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._outer)


@pytest.mark.parametrize(("line", "offered", "not_offered"), LINES)
def test_bash(scripts: Path, line: str, offered: set[str], not_offered: set[str]) -> None:
    words = line.split(" ")
    program = (
        'source rtrecon.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rtrecon; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [needs("bash"), "--norc", "-c", program, "bash", *words],
        capture_output=True,
        text=True,
        cwd=scripts,
        check=True,
    )
    found = set(done.stdout.split())
    assert done.stderr == ""
    assert offered <= found
    assert not not_offered & found


def test_bash_at_a_terminal(scripts: Path) -> None:
    terminal = Terminal(needs("bash"), "--norc", "-i", folder=scripts)
    try:
        terminal.type("source rtrecon.bash; set +o history\n", {"> "})
        assert "rtrecon doctor" in terminal.type("rtrecon doc\t", {"rtrecon doctor"})
        assert "--all" in terminal.type("--al\t", {"--all"})
        terminal.type("\x15", set())
        assert "--view=window" in terminal.type("rtrecon run --view=win\t", {"--view=window"})
    finally:
        terminal.close()


@pytest.mark.parametrize(("line", "offered", "not_offered"), LINES)
def test_fish(scripts: Path, line: str, offered: set[str], not_offered: set[str]) -> None:
    done = subprocess.run(
        [needs("fish"), "--no-config", "-c", f"source rtrecon.fish; complete -C '{line}'"],
        capture_output=True,
        text=True,
        cwd=scripts,
        env={**os.environ, "HOME": str(scripts)},
        check=True,
    )
    found = {row.split("\t")[0] for row in done.stdout.splitlines()}
    assert done.stderr == ""
    assert offered <= found
    assert not not_offered & found


def test_zsh(scripts: Path) -> None:
    terminal = Terminal(needs("zsh"), "-f", "-i", folder=scripts)
    try:
        terminal.type(
            "unsetopt zle_bracketed_paste; zstyle ':completion:*' verbose yes; LISTMAX=1000; "
            "source rtrecon.zsh; echo re''ady\n",
            {"ready"},
        )
        terminal.type("", set())
        for line, offered, _ in LINES:
            # Listed if there are several, and written to its end if there is one.
            said = terminal.type(f"{line}\t\t", offered)
            assert all(word in said for word in offered), (line, said)
            terminal.type("\x15", set(), 0.3)
    finally:
        terminal.close()


def test_tcsh(scripts: Path) -> None:
    terminal = Terminal(needs("tcsh"), "-f", folder=scripts)
    try:
        terminal.type("source rtrecon.tcsh; set autolist; echo re'ady'\n", {"ready"})
        terminal.type("", set())  # its own editor is there once it has asked
        for line, offered, _ in LINES:
            if line in ("rtrecon run d", "rtrecon run --model "):
                continue  # of words beside files tcsh takes the one or the other
            words = {word.lstrip("-") for word in offered}
            said = terminal.type(f"{line}\t", words)
            assert all(word in said for word in words), (line, said)
            terminal.type("\x15", set(), 0.3)
    finally:
        terminal.close()


def test_powershell_has_every_command_and_option(scripts: Path) -> None:
    script = (scripts / "rtrecon.powershell").read_text(encoding="utf-8")
    for command in completed_commands():
        (line,) = (
            row
            for row in script.splitlines()
            if row.startswith(f"    '{' '.join(command.words)}' =") and "--config" in row
        )
        for option in command.options:
            assert all(f"'{spelling}'" in line for spelling in option.spellings)
    shell = shutil.which("pwsh")
    if shell is None:
        pytest.skip("no pwsh to run it")
    asked = "(TabExpansion2 'rtrecon run --vi' 16).CompletionMatches.CompletionText"
    program = f". {scripts / 'rtrecon.powershell'}; {asked}"
    done = subprocess.run([shell, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--view"]


def test_every_option_of_every_command_is_known() -> None:
    commands = completed_commands()
    assert {command.words[0] for command in commands} == set(COMMANDS)
    run = next(command for command in commands if command.words == ("run",))
    by_name = {option.spellings[-1]: option for option in run.options}
    assert by_name["--quiet"].spellings == ("-q", "--quiet")
    assert by_name["--faces"].summary == "Faces to follow at most."
    assert set(by_name["--view"].values) >= {"auto", "window", "none"}
    assert by_name["--provider"].values[:3] == ("auto", "cpu", "cuda")
    assert (by_name["--loop"].takes, by_name["--intrinsics"].takes) == ("nothing", "file")


def test_the_users_shell(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    code, out, err = run_cli("completion")
    assert (code, out.startswith("# rtrecon's completion for fish")) == (0, True)
    assert "for fish; in its settings: rtrecon completion fish | source" in err
    code, out, _ = run_cli("completion", "--install")
    path = tmp_path / "fish" / "completions" / "rtrecon.fish"
    assert (code, str(path) in out, path.is_file()) == (0, True, True)
    monkeypatch.setenv("SHELL", "/bin/nosh")
    code, _, err = run_cli("completion")
    assert code == 2
    assert "your shell is not known (nosh)" in err
    code, _, err = run_cli("completion", "tcsh", "--install")
    assert code == 2
    assert "~/.tcshrc" in err
