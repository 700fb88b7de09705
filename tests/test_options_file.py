"""Options in files: the command line wins over --config, and that over the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtrecon.commands.table import COMMANDS, config_types, load
from rtrecon.options_file import check_options, read_options

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options that `run`, `eval`, `bench` and `models` get; they do nothing."""
    configs: list[Any] = []
    for place in ("run:run", "eval:run_eval", "bench:run_bench", "models:run_models"):
        module, _, name = place.partition(":")
        command = lambda config: configs.append(config) or 0  # noqa: E731
        monkeypatch.setattr(f"rtrecon.commands.{module}.{name}", command)
    return configs


@pytest.fixture
def own(config_folder: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        config_folder.mkdir(parents=True, exist_ok=True)
        path = config_folder / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_nearer_wins(run_cli: Cli, seen: list[Any], own: Any, tmp_path: Path) -> None:
    own_path = own('ipd-mm = 60\nfaces = 4\n[run]\nfaces = 5\nsize = "640x480"\nloop = true\n')
    path = tmp_path / "near.toml"
    path.write_text('[run]\nfaces = 2\nout = ["vmc", "window"]\nsource = 1\n', encoding="utf-8")
    code, _, err = run_cli("run", "--config", path, "--ipd-mm", "65")
    assert code == 0, err
    (config,) = seen
    assert (config.ipd_mm, config.faces, config.size) == (65.0, 2, "640x480")
    assert (config.out, config.source, config.loop) == (["vmc", "window"], "1", True)
    assert f"options of {path}: faces, out, source" in err
    assert f"options of {own_path}: size, loop" in err
    run_cli("run", "demo", "-o", "camera", "--no-loop", "--config", path, "--faces=3")
    assert (seen[1].source, seen[1].out, seen[1].loop) == ("demo", ["camera"], False)
    assert (seen[1].faces, seen[1].ipd_mm) == (3, 60.0)
    code, _, err = run_cli("run", "--config", "none")
    assert (seen[2].faces, seen[2].loop) == (1, False)
    assert "options of" not in err


def test_what_comes_before_the_tables_is_for_whoever_has_it(
    run_cli: Cli, seen: list[Any], own: Any
) -> None:
    own('model = "mine"\nfaces = 2\nquiet = true\nfov = 70\n[models.list]\njson = true\n')
    assert run_cli("eval", "folder") == (0, "", "")
    assert (seen[0].model, seen[0].faces, seen[0].quiet) == (["mine"], 2, True)
    assert run_cli("bench") == (0, "", "")
    assert (seen[1].faces, seen[1].models) == ((1,), ("face-dpt",))  # counts of its own
    assert run_cli("models", "list")[0] == 0
    assert seen[2].json
    run_cli("models", "verify")
    assert not hasattr(seen[3], "json")
    code, _, err = run_cli("run", "--intrinsics", "camera.json")
    assert code == 0, err
    assert (seen[4].fov, seen[4].intrinsics) == (None, Path("camera.json"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run]\nfases = 2", ["[run] has no option 'fases'", "'faces'", "rtrecon run --help"]),
        ("[run]\nmax_frame = 2", ["'max_frame'", "'max-frames'"]),
        ("[run]\nconfig = 'x'", ["no option 'config'"]),
        ("[rum]\nfaces = 2", ["no command [rum]", "'run'"]),
        ("view = 'none'", ["'view' is no option that commands have in common", "[run]"]),
        ("modle = 'x'", ["'modle'", "did you mean 'model'?"]),
        ("faces = 'two'", ["faces must be a whole number, not 'two'"]),
        ("quiet = 1", ["quiet must be true or false, not 1"]),
        ("[run]\nfaces = true", ["[run] faces must be a whole number, not True"]),
        ("[run]\nview = 'webb'", ["view must be one of auto, window", "not 'webb'"]),
        ("[run]\nout = [1.5]", ["out must be a list of: a text in quotes"]),
        ("[run]\nfaces = 2\nfaces = 3", ["no TOML", "overwrite"]),
        ("[run]\nmax-frames = 1\nmax_frames = 3", ["max-frames twice"]),
        ("run = 3", ["'run'"]),
        ("[run]\nfaces = 0", ["--faces must be 1 to", "(faces is set in "]),
        ("[run]\nfov = 60\nintrinsics = 'k.json'", ["not both", "fov is set in"]),
        ("\x00", ["no TOML"]),
        ("[run\n", ["no TOML", "line 1"]),
        ("a." * 5000 + "b = 1", ["options"]),
    ],
)
def test_a_mistake_names_file_key_and_remedy(
    run_cli: Cli, seen: list[Any], own: Any, text: str, words: list[str]
) -> None:
    path = own(text)
    code, out, err = run_cli("run")
    assert (code, out, seen) == (2, "", [])
    assert str(path) in err
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_a_file_that_is_not_there(run_cli: Cli, seen: list[Any], tmp_path: Path) -> None:
    code, _, err = run_cli("run", "--config", tmp_path / "no.toml")
    assert code == 2
    assert f"there is no file {tmp_path / 'no.toml'}" in err
    code, _, err = run_cli("run", "--config", tmp_path)
    assert code == 2
    assert "it is no file" in err
    assert seen == []


def test_the_doctor_looks_at_all_of_it(run_cli: Cli, own: Any) -> None:
    from rtrecon.commands.doctor import DoctorConfig, findings

    path = own("faces = 1\n[eval]\nvidoe = true\n")
    finding = next(f for f in findings(everything=False) if f.subject == "options")
    assert finding.state == "broken"
    assert "did you mean 'video'?" in finding.detail
    own("faces = 1\n[eval]\nvideo = true\n")
    finding = next(f for f in findings(DoctorConfig(), everything=False) if f.subject == "options")
    assert (finding.state, finding.detail) == ("ok", f"{path}: faces, eval")
    path.unlink()
    finding = next(f for f in findings(everything=False) if f.subject == "options")
    assert str(path) in finding.detail


def test_every_command_can_have_a_table(own: Any) -> None:
    for name, command in COMMANDS.items():
        configs = config_types(load(command.config))
        subs = [sub for sub in configs if sub]
        path = own(
            "\n".join(f"[{name}.{sub}]\nquiet = true" for sub in subs or [""]).replace(".]", "]")
        )
        file = read_options(path, COMMANDS)
        assert file is not None
        check_options(file, name, configs)
