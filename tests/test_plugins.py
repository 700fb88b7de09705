from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from rtrecon import plugins
from rtrecon.capture import Source, open_source
from rtrecon.depth.model import load_depth_model
from rtrecon.errors import ArgumentError, ProviderError, SourceError, UserError
from rtrecon.plugins import Registry, Spec, options_of

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module with entry points, as an installer would leave it."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def make(module: str, code: str, **points: str) -> None:
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8"
        )
        lines = [
            f"[rtrecon.{group}]\n{name.replace('=', f' = {module}:')}\n"
            for group, name in points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        plugins._installed.cache_clear()

    yield make
    monkeypatch.undo()
    plugins._installed.cache_clear()


@pytest.mark.parametrize(
    ("text", "name", "target", "options"),
    [
        ("window", "window", "", {}),
        ("record:out", "record", "out", {}),
        ("record:/a b/c.d", "record", "/a b/c.d", {}),
        ("record:C:\\takes", "record", "C:\\takes", {}),
        ("vmc://127.0.0.1:39539", "vmc", "127.0.0.1:39539", {}),
        ("vmc://[::1]:39539?rate-hz=30&bones=no", "vmc", "[::1]:39539",
         {"rate_hz": "30", "bones": "no"}),
        ("camera?device=/dev/video9&a=b%26c", "camera", "", {"device": "/dev/video9", "a": "b&c"}),
    ],
)  # fmt: skip
def test_specs_are_taken_apart(text: str, name: str, target: str, options: dict[str, str]) -> None:
    assert Spec.parse(text) == Spec(name, target, options)


@pytest.mark.parametrize("text", ["", ":x", "9lives:x", "record:a?", "record:a?x", "record:a?=1&&"])
def test_bad_specs(text: str) -> None:
    if text == "record:a?":
        assert Spec.parse(text) == Spec("record", "a")
        return
    with pytest.raises(ArgumentError):
        Spec.parse(text)


def make(
    target: Path = Path("here"),
    *,
    count: int = 1,
    rate_hz: float | None = None,
    loud: bool = False,
    mode: Literal["fast", "slow"] = "fast",
) -> dict[str, Any]:
    return dict(locals())


def test_an_option_that_is_said_twice() -> None:
    with pytest.raises(ArgumentError, match="says rate_hz twice: '30' and '15'"):
        Spec.parse("record:out?rate_hz=30&rate-hz=15")
    assert Spec.parse("vmc?mirror=1&mirror=1").options == {"mirror": "1"}


def test_options_are_read_as_their_annotations_say() -> None:
    built = Spec.parse("box:there?count=3&rate-hz=2.5&loud=yes&mode=slow").build(make)
    assert built == {
        "target": Path("there"), "count": 3, "rate_hz": 2.5, "loud": True, "mode": "slow",
    }  # fmt: skip
    assert Spec("box").build(make)["target"] == Path("here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("box?count=many", "count must be a whole number, not 'many'"),
        ("box?loud=perhaps", "loud must be 1 or 0, not 'perhaps'"),
        ("box?mode=medium", "mode must be fast or slow"),
        ("box?volume=3", "no option 'volume': it has count, rate_hz, loud, mode"),
    ],
)
def test_bad_options_say_what_there_is(text: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Spec.parse(text).build(make)


def test_targets_that_are_needed_or_refused() -> None:
    with pytest.raises(ArgumentError, match="needs a target"):
        Spec("box").build(lambda target: target)
    with pytest.raises(ArgumentError, match="takes no target"):
        Spec("box", "there").build(lambda: None)


def test_an_unknown_name_says_what_there_is() -> None:
    registry = Registry("output", "rtrecon.outputs", {"window": "nowhere:Nothing"})
    with pytest.raises(UserError, match=r"no output 'widow': take window.*rtrecon\.outputs"):
        registry.load("widow")


def test_ours_keep_their_names(install: Install) -> None:
    install("usurper", "Path = None", outputs="here=Path")
    registry = Registry("output", "rtrecon.outputs", {"here": "pathlib:Path"})
    assert registry.load("here") is Path
    assert registry.names() == ["here"]
    assert registry.package("here") == "rtrecon"


def test_a_package_that_is_broken_is_named(install: Install) -> None:
    install("broken_package", "import no_such_module_at_all", outputs="lamp=Lamp")
    registry = Registry("output", "rtrecon.outputs", {})
    assert registry.names() == ["lamp"]
    with pytest.raises(UserError, match=r"lamp of the package broken_package.*upgrade or remove"):
        registry.load("lamp")


SOURCE = """
import numpy as np
import rtrecon

class Grey(rtrecon.Source):
    def __init__(self, target: int, *, frames: int = 2) -> None:
        super().__init__()
        self.name, self.width, self.height, self.rate_hz = "grey", 64, 48, 30.0
        self._left, self._level = frames, target

    def grab(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def retrieve(self, out=None):
        return np.full((48, 64, 3), self._level, np.uint8)

    def close(self) -> None:
        self._left = 0

def nothing(target=""):
    return {}
"""


def test_a_source_of_another_package(install: Install) -> None:
    install("grey_source", SOURCE, sources="grey=Grey")
    with open_source("grey:7?frames=3") as source:
        assert isinstance(source, Source)
        assert [int(frame.image.mean()) for frame in source] == [7, 7, 7]
    with pytest.raises(SourceError, match="target must be a whole number"):
        open_source("grey:x")
    with pytest.raises(SourceError, match="there is no file"):
        open_source("gray:7")


def test_a_source_that_is_none(install: Install) -> None:
    install("odd_source", SOURCE, sources="odd=nothing")
    with pytest.raises(SourceError, match="odd_source makes a dict, not an"):
        open_source("odd:")


PROVIDER = """
from rtrecon.depth.providers import Provider

class Borrowed(Provider):
    name = "borrowed"
    ort_name = "CPUExecutionProvider"
    remedy = "pip install borrowed"

    def entries(self, source):
        return ["CPUExecutionProvider"]
"""


def test_a_provider_of_another_package(install: Install, dome_model: Path) -> None:
    install("borrowed_provider", PROVIDER, providers="borrowed=Borrowed")
    assert load_depth_model(dome_model, provider="borrowed").provider == "borrowed"
    with pytest.raises(ProviderError, match=r"take auto or one of .*borrowed"):
        load_depth_model(dome_model, provider="lent")


LED = """
from pathlib import Path
import rtrecon

class Led(rtrecon.Output):
    '''Counts faces into a file.'''
    name = "led"
    summary = "a lamp that counts"

    def __init__(self, target: Path, *, colour: str = "red") -> None:
        self._path, self._colour = target, colour

    @property
    def target(self) -> str:
        return str(self._path)

    def open(self, run: rtrecon.Run) -> None:
        if not self._path.parent.is_dir():
            raise rtrecon.OutputError(f"no folder {self._path.parent}")
        self._lines = [f"{run.source} {self._colour}"]

    def write(self, result: rtrecon.LiveResult) -> None:
        self._lines.append(str(len(result.faces)))

    def close(self) -> None:
        self._path.write_text("\\n".join(self._lines))
"""

Cli = Callable[..., tuple[int, str, str]]


def test_an_output_of_another_package(
    install: Install, run_cli: Cli, dome_model: Path, tmp_path: Path
) -> None:
    install("led_package", LED, outputs="led=Led")
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--max-frames", 3,
        "--every-frame", "--out", f"led:{tmp_path / 'led.txt'}?colour=green",
    )  # fmt: skip
    assert code == 0, err
    first, *counts = (tmp_path / "led.txt").read_text().splitlines()
    assert first == "demo green"
    assert 1 <= len(counts) <= 3
    assert set(counts) == {"1"}
    code, out, _ = run_cli("outputs")
    assert code == 0
    assert "led:TARGET (package led_package): a lamp that counts" in out
    assert "?colour=red" in out
    assert "record[:TARGET]" in out
    code, _, err = run_cli("run", "demo", "--view", "none", "--out", "led:no/led.txt")
    assert code == 2
    assert "led:no/led.txt: no folder no" in err


@dataclass(frozen=True)
class Common:
    """What several factories can be told."""

    mirror: bool = False
    gain: float = 1.0

    def __post_init__(self) -> None:
        if self.gain > 5.0:
            raise ArgumentError("gain must be 5 at most")


def in_group(target: str = "here", *, size: int = 3, common: Common = Common()) -> object:
    return target, size, common


def test_a_group_of_options_stands_for_its_fields() -> None:
    assert list(options_of(in_group)) == ["target", "size", "mirror", "gain"]
    assert Spec.parse("some").build(in_group) == ("here", 3, Common())
    built = Spec.parse("some:there?gain=2&size=4").build(in_group)
    assert built == ("there", 4, Common(False, 2.0))
    with pytest.raises(ArgumentError, match="gain must be 5 at most"):
        Spec.parse("some?gain=6").build(in_group)
    with pytest.raises(ArgumentError, match="gain must be a number, not 'much'"):
        Spec.parse("some?gain=much").build(in_group)
    with pytest.raises(ArgumentError, match="no option 'common': it has size, mirror, gain"):
        Spec.parse("some?common=1").build(in_group)
