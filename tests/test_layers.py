"""No import climbs: a layer knows nothing of what comes after it.

Imports within functions and under TYPE_CHECKING count, and so do names of modules in strings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# First to last; a line holds what may know each other.
LAYERS = """
errors _version shown telemetry json_text intrinsics_file types
assets blas buffers console files gltf host malloc plugins threads
config stats
options_file
capture
lens
faces
depth
geometry
expression
head
upright pipeline
result output
takes
fanout
live_pipeline
mesh
draw
avatar
profiles
outputs
session
models
evaluate bench train
archive
commands
cli
__init__ __main__
"""
RANK = {name: k for k, line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}
ROOT = Path(__file__).parent.parent / "rtrecon"
MODULE = re.compile(r"rtrecon((?:\.\w+)+)(?::\w+)?")


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def named_layers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and layer of every import of ours and of every string that names a module of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "rtrecon":
                    yield node.lineno, "__init__"
                elif alias.name.startswith("rtrecon."):
                    yield node.lineno, alias.name.split(".")[1]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports name their package in full"
            if node.module == "rtrecon":
                for alias in node.names:
                    yield node.lineno, alias.name if alias.name in RANK else "__init__"
            elif node.module and node.module.startswith("rtrecon."):
                yield node.lineno, node.module.split(".")[1]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = MODULE.fullmatch(node.value)
            if named and named[1].split(".")[1] in RANK:
                yield node.lineno, named[1].split(".")[1]


def climbs(path: Path, text: str) -> list[str]:
    own = RANK[layer_of(path)]
    return [
        f"{path.relative_to(ROOT)}:{line} names {layer}"
        for line, layer in named_layers(ast.parse(text))
        if RANK[layer] > own
    ]


def test_no_import_climbs() -> None:
    paths = sorted(ROOT.rglob("*.py"))
    assert len(paths) > 100
    missing = {layer_of(path) for path in paths} - RANK.keys()
    assert not missing, f"say where these stand in LAYERS: {missing}"
    found = [line for path in paths for line in climbs(path, path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "from rtrecon.outputs.record import RecordOutput",
        "import rtrecon.commands.run",
        "import rtrecon",
        "from rtrecon import __version__",
        "def f():\n    from rtrecon.mesh import save_mesh",
        "if TYPE_CHECKING:\n    from rtrecon.draw.state import ViewFrame",
        "HOME = {'x': 'rtrecon.session:live'}",
        "import_module('rtrecon.models')",
    ],
)
def test_a_climb_is_seen(text: str) -> None:
    assert climbs(ROOT / "geometry" / "stage.py", text)
    assert not climbs(ROOT / "geometry" / "stage.py", "from rtrecon.depth.model import DepthModel")
