"""Scripts that complete the command line in a shell. They start no program: a TAB is immediate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from rtrecon.commands.options import Completed, Option
from rtrecon.commands.table import COMMANDS

__all__ = ["SCRIPTS"]

_OWN = ("--help", "--version")


def _groups(commands: Sequence[Completed]) -> dict[str, list[Completed]]:
    """The commands that have subcommands, by their first word."""
    found: dict[str, list[Completed]] = {}
    for command in commands:
        if len(command.words) > 1:
            found.setdefault(command.words[0], []).append(command)
    return found


def _spellings(options: Iterable[Option]) -> str:
    return " ".join(spelling for option in options for spelling in option.spellings)


def _brief(text: str) -> str:
    """The first sentence, without what shells take for their own."""
    first = re.split(r"(?<=[.;:])\s|\s\(", text, maxsplit=1)[0].rstrip(".;:")
    return re.sub(r"[`'\"\\\[\]:$!{}]", "", first)


def bash(commands: Sequence[Completed]) -> str:
    """For bash, from 3.2 on."""
    names = " ".join([*COMMANDS, *_OWN])
    nested, by_option, by_command = [], [], []
    for name, inner in _groups(commands).items():
        subs = " ".join(command.words[1] for command in inner)
        nested.append(
            f"    {name}) if [[ $COMP_CWORD -eq 2 ]]; then "
            f'COMPREPLY=($(compgen -W "{subs} --help" -- "$cur")); return; fi; '
            'command="$command ${COMP_WORDS[2]}";;'
        )
    for command in commands:
        words = " ".join(command.words)
        for option in command.options:
            if option.takes == "nothing":
                continue
            cases = "|".join(f'"{words} {spelling}"' for spelling in option.spellings)
            values = f'"{" ".join(option.values)}"' if option.values else '""'
            by_option.append(f"    {cases}) values={values}; kind={option.takes};;")
        by_command.append(
            f'    "{words}") options="{_spellings(command.options)}"; '
            f'values="{" ".join(command.values)}";;'
        )
    nl = "\n"
    return f"""# rtrecon's completion for bash
_rtrecon() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
  local command="${{COMP_WORDS[1]}}" options="" values="" kind=""
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "{names}" -- "$cur")); return
  fi
  case "$command" in
{nl.join(nested)}
  esac
  if [[ $cur == "=" ]]; then cur=""
  elif [[ $prev == "=" ]]; then prev="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
  case "$command $prev" in
{nl.join(by_option)}
  esac
  if [[ -z $kind ]]; then
    case "$command" in
{nl.join("  " + line for line in by_command)}
    esac
    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$cur")); return; fi
    kind=file
  fi
  if [[ $kind == file ]]; then
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY=($(IFS=' '; compgen -W "$values" -- "$cur") $(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$values" -- "$cur"))
  fi
}}
complete -F _rtrecon rtrecon
"""


def zsh(commands: Sequence[Completed]) -> str:
    """For zsh: evaluated, or as the file ``_rtrecon`` in a folder of ``fpath``."""
    groups = _groups(commands)

    def arguments(command: Completed) -> str:
        specs = []
        for option in command.options:
            exclusive = f"({' '.join(option.spellings)})" if len(option.spellings) > 1 else ""
            action = ""
            if option.takes == "file":
                action = " ".join([":file: _rtrecon_or_files", *option.values])
            elif option.takes == "text":
                action = f":value:({' '.join(option.values)})" if option.values else ":value: "
            for spelling in option.spellings:
                # Of -o FILE the value is the next word; of --out it may come behind a =.
                joined = "=" if action and spelling.startswith("--") else ""
                specs.append(f"'{exclusive}{spelling}{joined}[{_brief(option.summary)}]{action}'")
        rest = " ".join(["_rtrecon_or_files", *command.values])
        specs.append(f"'*:file: {rest}'")
        return " \\\n        ".join(["_arguments", *specs])

    lines = []
    for command in commands:
        if len(command.words) == 1:
            lines.append(f"      {command.words[0]})\n        {arguments(command)};;")
    for name, inner in groups.items():
        subs = " ".join(f"'{c.words[1]}:{_brief(c.summary)}'" for c in inner)
        cases = "\n".join(f"          {c.words[1]}) {arguments(c)};;" for c in inner)
        lines.append(
            f"      {name})\n"
            f"        if (( CURRENT == 2 )); then local -a subs=({subs}); "
            "_describe command subs; return; fi\n"
            "        shift words; (( CURRENT-- ))\n"
            f"        case $words[1] in\n{cases}\n        esac;;"
        )
    named = "\n".join(f"    '{name}:{_brief(c.summary)}'" for name, c in COMMANDS.items())
    nl = "\n"
    return f"""#compdef rtrecon
# rtrecon's completion for zsh
_rtrecon_or_files() {{
  (( $# )) && compadd -- "$@"
  _files
}}
_rtrecon() {{
  local curcontext="$curcontext" state line
  local -a commands=(
{named}
  )
  _arguments -C '(- *)'{{-h,--help}}'[list the commands]' '(- *)'{{-V,--version}}'[the version]' \\
    '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands;;
    argument) case $words[1] in
{nl.join(lines)}
    esac;;
  esac
}}
if [[ $funcstack[1] == _rtrecon ]]; then _rtrecon "$@"; else
  (( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -u; }}
  compdef _rtrecon rtrecon
fi
"""


def fish(commands: Sequence[Completed]) -> str:
    """For fish."""
    lines = ["# rtrecon's completion for fish"]
    first = "__fish_is_nth_token 1"
    for name, listed in COMMANDS.items():
        lines.append(f"complete -c rtrecon -f -n '{first}' -a {name} -d '{_brief(listed.summary)}'")
    for own in _OWN:
        lines.append(f"complete -c rtrecon -f -n '{first}' -l {own[2:]}")
    for name, inner in _groups(commands).items():
        for command in inner:
            lines.append(
                f"complete -c rtrecon -f -n '__fish_seen_subcommand_from {name}; and "
                f"__fish_is_nth_token 2' -a {command.words[1]} -d '{_brief(command.summary)}'"
            )
    for command in commands:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.words)
        for option in command.options:
            spelt = " ".join(
                f"-l {s[2:]}" if s.startswith("--") else f"-s {s[1:]}" for s in option.spellings
            )
            takes = {"nothing": "", "file": " -r -F", "text": " -x"}[option.takes]
            values = f" -a '{' '.join(option.values)}'" if option.values else ""
            about = _brief(option.summary)
            lines.append(f"complete -c rtrecon -n '{seen}' {spelt}{takes}{values} -d '{about}'")
        if command.values:
            lines.append(f"complete -c rtrecon -n '{seen}' -a '{' '.join(command.values)}'")
    return "\n".join(lines) + "\n"


def tcsh(commands: Sequence[Completed]) -> str:
    """For tcsh, which knows the options of all commands as one list."""
    everything = {s for c in commands for o in c.options for s in o.spellings}
    long = " ".join(sorted(s[2:] for s in everything if s.startswith("--")))
    rules = [f"'p/1/({' '.join(COMMANDS)})/'"]
    for name, inner in _groups(commands).items():
        rules.append(f"'n/{name}/({' '.join(c.words[1] for c in inner)})/'")
    values: dict[str, dict[str, None]] = {}
    for command in commands:
        for option in command.options:
            for spelling in option.spellings if option.takes == "text" and option.values else ():
                values.setdefault(spelling, {}).update(dict.fromkeys(option.values))
    for spelling, known in values.items():
        rules.append(f"'n/{spelling}/({' '.join(known)})/'")
    rules += [f"'c/--/({long})/'", "'n/*/f/'"]
    return "# rtrecon's completion for tcsh\ncomplete rtrecon " + " ".join(rules) + "\n"


def powershell(commands: Sequence[Completed]) -> str:
    """For PowerShell, from 5 on."""

    def listed(words: Iterable[str]) -> str:
        return "@(" + ", ".join(f"'{word}'" for word in words) + ")"

    options, values = [], []
    for command in commands:
        words = " ".join(command.words)
        spelt = [s for option in command.options for s in option.spellings]
        options.append(f"    '{words}' = {listed([*spelt, *command.values])}")
        for option in command.options:
            for spelling in option.spellings if option.values else ():
                values.append(f"    '{words} {spelling}' = {listed(option.values)}")
    nested = [
        f"    '{name}' = {listed([*(c.words[1] for c in inner), '--help'])}"
        for name, inner in _groups(commands).items()
    ]
    nl = "\n"
    return f"""# rtrecon's completion for PowerShell
Register-ArgumentCompleter -Native -CommandName rtrecon -ScriptBlock {{
  param($word, $tree, $position)
  $options = @{{
{nl.join(options)}
  }}
  $values = @{{
{nl.join(values)}
  }}
  $nested = @{{
{nl.join(nested)}
  }}
  $before = @($tree.CommandElements | Where-Object {{ $_.Extent.EndOffset -lt $position }} |
    ForEach-Object {{ $_.ToString() }})
  if ($before.Count -le 1) {{
    $found = {listed([*COMMANDS, *_OWN])}
  }} elseif ($before.Count -eq 2 -and $nested.ContainsKey($before[1])) {{
    $found = $nested[$before[1]]
  }} else {{
    $command = $before[1]
    if ($nested.ContainsKey($command)) {{ $command = "$command $($before[2])" }}
    $found = $values["$command $($before[-1])"]
    if (-not $found) {{ $found = $options[$command] }}
  }}
  $found | Where-Object {{ $_ -like "$word*" }} | ForEach-Object {{
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }}
}}
"""


SCRIPTS: dict[str, Callable[[Sequence[Completed]], str]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
    "tcsh": tcsh,
    "powershell": powershell,
}
"""What makes the script of a shell."""
