"""A machine without Open3D, or without a library that it needs, is told what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtrecon.errors import RtreconError
from rtrecon.outputs.window.window import FaceWindow


def test_without_open3d(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(RtreconError, match=r"pip install .rtrecon\[window\]"):
        FaceWindow()


def test_without_a_system_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    message = "libEGL.so.1: cannot open shared object file"
    (tmp_path / "open3d.py").write_text(f"raise OSError({message!r})\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RtreconError, match=r"libEGL\.so\.1.*apt-get install .*libegl1"):
        FaceWindow()
