"""The page's modules in a real browser, without the server: files, nothing else."""

from __future__ import annotations

import contextlib
import mimetypes
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import web_page

STATIC = Path(__file__).resolve().parents[3] / "rtrecon" / "outputs" / "web" / "static"
_PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html, body { margin: 0; height: 100% } #box { width: 100%; height: 100% }</style>
<script type="importmap">{"imports": {
  "three": "/static/vendor/three/three.module.js",
  "three/addons/": "/static/vendor/three/addons/",
  "@pixiv/three-vrm": "/static/vendor/three-vrm/three-vrm.module.js"
}}</script></head><body><div id="box"><canvas id="view"></canvas></div></body></html>"""

STAGE = """async () => {
  const {Stage} = await import('/static/stage.js');
  const {AvatarView} = await import('/static/avatar.js');
  const {ARKIT_NAMES} = await import('/static/avatar_shapes.js');
  const stage = new Stage(document.getElementById('view'), {still: true});
  const view = new AvatarView(stage);
  stage.show('avatar');
  const header = ({coefficients = {}, rotation = [0, 0, 0, 1], eyes = [0, 0, 0, 0],
                   position_m = [0, 0, 0]} = {}) => ({
    state: 'tracked', rotation, eyes, position_m,
    coefficients: ARKIT_NAMES.map((name) => coefficients[name] ?? 0),
  });
  // What a pose becomes once the view has had the time to get there.
  const settle = (pose) => {
    const avatar = header(pose);
    stage.frameAvatar(view.framing);
    for (let k = 0; k < 8; k += 1) view.update(avatar, 0.05);
    view.object3D.updateWorldMatrix(true, true);
  };
  const morphs = () => {
    const found = {};
    view.object3D.traverse((mesh) => {
      for (const [name, k] of Object.entries(mesh.morphTargetDictionary ?? {})) {
        found[name] = Math.max(found[name] ?? 0, mesh.morphTargetInfluences[k]);
      }
    });
    return found;
  };
  Object.assign(window, {stage, view, header, settle, morphs, ARKIT_NAMES});
}"""
"""Sets up ``stage`` with an avatar's ``view`` in it, and ways to pose and read it."""


@dataclass
class Asked:
    """What a page asked of the server: method and path, and how much it sent."""

    all: list[tuple[str, str, int]] = field(default_factory=list)


@contextlib.contextmanager
def serve(files: Mapping[str, bytes], asked: Asked | None = None) -> Iterator[str]:
    """The static files, ``files`` by path, and at ``/`` a page with an import map and a canvas."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            length = int(self.headers.get("content-length") or 0)
            self.rfile.read(length)
            if asked is not None:
                asked.all.append((self.command, path, length))
            body, kind = self._find(path)
            self.send_response(200 if body is not None else 404)
            self.send_header("content-type", kind)
            body = b"nothing of that name" if body is None else body
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def _find(self, path: str) -> tuple[bytes | None, str]:
            if path == "/":
                return _PAGE.encode(), "text/html"
            if path in files:
                return files[path], "model/gltf-binary"
            file = STATIC / path.removeprefix("/static/")
            if path.startswith("/static/") and file.is_file():
                return file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain"
            return None, "text/plain"

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def open_page(
    url: str, *, init: str | None = None, errors: list[str] | None = None
) -> Iterator[Any]:
    """A page of a browser of its own; what it says as errors goes to ``errors``."""
    with web_page.chromium() as browser:
        page = browser.new_page(viewport={"width": 480, "height": 360})
        page.set_default_timeout(90_000)
        if errors is not None:
            page.on("pageerror", lambda error: errors.append(str(error)))
        if init is not None:
            page.add_init_script(init)
        page.goto(url)
        yield page
        page.close()
