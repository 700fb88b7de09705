"""The page's files; its modules are tested by their own tests where there is a node to run them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import rtrecon
from rtrecon.expression.names import ARKIT_NAMES

HERE = Path(__file__).parent
NODE = shutil.which("node")
STATIC = Path(rtrecon.__file__).parent / "outputs" / "web" / "static"
VENDOR = STATIC / "vendor"
BARE = {
    "three": VENDOR / "three" / "three.module.js",
    "@pixiv/three-vrm": VENDOR / "three-vrm" / "three-vrm.module.js",
}
OURS = sorted(STATIC.glob("*.js"))


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.stem)
def test_module(path: Path) -> None:
    assert NODE is not None
    done = subprocess.run([NODE, "--test", str(path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def found(name: str, importer: Path) -> Path:
    if name.startswith("."):
        return importer.parent / name
    if name.startswith("three/addons/"):
        return VENDOR / "three" / "addons" / name.removeprefix("three/addons/")
    return BARE.get(name, STATIC / "not there")


def test_all_that_modules_import_is_shipped() -> None:
    imports = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']((?:\.|three|@)[^"'\s]*)["']""")
    for path in sorted(STATIC.rglob("*.js")):
        names = imports.findall(path.read_text(encoding="utf-8"))
        assert not [name for name in names if not found(name, path).is_file()], path.name


def test_all_that_the_page_names_is_there_and_named_once() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'"/static/([^"]+)"', page)
    assert len(named) > 5
    assert not [name for name in named if not (STATIC / name).exists()]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    wanted = {name for path in OURS for name in re.findall(r'\$\("([\w-]+)"\)', path.read_text())}
    assert not wanted - set(ids)
    icons = set(re.findall(r'href="#([\w-]+)"', page))
    assert not icons - set(ids)


def test_nothing_comes_from_elsewhere() -> None:
    addresses = re.compile(r"""["'(]((?:https?:)?//[^"')\s]+)""")
    for path in [*OURS, STATIC / "index.html", STATIC / "style.css"]:
        assert not addresses.findall(path.read_text(encoding="utf-8")), path.name


def test_a_button_has_words() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    for attributes, inside in re.findall(r"<button\b([^>]*)>(.*?)</button>", page, re.DOTALL):
        text = re.sub(r"<svg.*?</svg>|<[^>]+>", "", inside, flags=re.DOTALL)
        assert re.search(r"\w", text) or "aria-label=" in attributes, attributes


@pytest.mark.parametrize("library", ["three", "three-vrm"])
def test_licences_are_shipped(library: str) -> None:
    assert "MIT License" in (VENDOR / library / "LICENSE").read_text(encoding="utf-8")


def test_the_page_knows_arkits_names_in_their_order() -> None:
    text = (STATIC / "avatar_shapes.js").read_text(encoding="utf-8")
    listed = text[text.index("ARKIT_NAMES") : text.index("]")]
    assert re.findall(r'"(\w+)"', listed) == list(ARKIT_NAMES)
