"""VTube Studio as its protocol says: tokens, sessions, parameters, and control that is lost."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

API = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0"}
RANGES = {
    "FaceAngleX": (-30, 30), "FaceAngleY": (-30, 30), "FaceAngleZ": (-90, 90),
    "FacePositionX": (-15, 15), "EyeOpenLeft": (0, 1), "EyeOpenRight": (0, 1),
    "EyeLeftX": (-1, 1), "MouthOpen": (0, 2), "VoiceVolume": (0, 1),
}  # fmt: skip


class Refused(Exception):  # noqa: N818
    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number = number


@dataclass
class VTubeStudio:
    """One on loopback; its fields say how it behaves and what it has seen."""

    tokens: set[str] = field(default_factory=set)
    ranges: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(RANGES))
    custom: dict[str, tuple[float, float]] = field(default_factory=dict)
    denies: bool = False
    most_custom: int = 100
    garbage_for: str = ""
    closes_after: int = 0
    port: int = 0
    kinds: list[str] = field(default_factory=list)
    injected: list[dict[str, Any]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    control_lost: int = 0
    sessions: int = 0
    ends: list[int | None] = field(default_factory=list)  # codes that sessions ended with

    def __enter__(self) -> VTubeStudio:
        self._changed = threading.Condition()
        self._last_s = 0.0
        self._server: Server = serve(self._talk, "127.0.0.1", self.port, compression=None)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        with self._changed:  # who still talks is not waited for long
            self._changed.wait_for(lambda: len(self.ends) == self.sessions, 3.0)

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.injected) >= count, 20.0), self.kinds

    def _talk(self, connection: ServerConnection) -> None:
        self.sessions += 1
        self._last_s = 0.0
        session = {"open": False}
        try:
            for text in connection:
                asked = json.loads(text)
                kind = asked["messageType"]
                answer = {**API, "timestamp": 0, "requestID": asked["requestID"]}
                if kind == self.garbage_for:
                    connection.send("<html>" if kind != "AuthenticationRequest" else "[1]")
                    continue
                try:
                    assert {k: asked[k] for k in API} == API
                    data = self._answer(kind, asked.get("data") or {}, session)
                    answer |= {"messageType": kind.replace("Request", "Response"), "data": data}
                except Refused as error:
                    self.refused.append(error.number)
                    data = {"errorID": error.number, "message": str(error)}
                    answer |= {"messageType": "APIError", "data": data}
                # An event that nobody asked about comes between.
                connection.send(json.dumps({**API, "messageType": "TestEvent", "data": {}}))
                connection.send(json.dumps(answer))
                with self._changed:
                    self.kinds.append(kind)
                    self._changed.notify_all()
                if self.closes_after and len(self.injected) >= self.closes_after:
                    self.closes_after = 0
                    return
        except ConnectionClosed:
            return
        finally:
            with self._changed:
                self.ends.append(connection.close_code)
                self._changed.notify_all()

    def _answer(self, kind: str, data: dict[str, Any], session: dict[str, bool]) -> dict[str, Any]:
        if kind == "AuthenticationTokenRequest":
            assert 3 <= len(data["pluginName"]) <= 32
            if self.denies:
                raise Refused(50, "User has denied API access for your plugin.")
            token = f"token-{len(self.kinds)}"
            self.tokens.add(token)
            return {"authenticationToken": token}
        if kind == "AuthenticationRequest":
            session["open"] = data["authenticationToken"] in self.tokens
            return {"authenticated": session["open"], "reason": ""}
        if not session["open"]:
            raise Refused(8, "authenticate first")
        if kind == "InputParameterListRequest":
            return {
                "modelLoaded": True, "modelName": "", "modelID": "",
                "customParameters": [self._entry(*p, "rtrecon") for p in self.custom.items()],
                "defaultParameters": [self._entry(*p, "VTS") for p in self.ranges.items()],
            }  # fmt: skip
        if kind == "ParameterCreationRequest":
            name = data["parameterName"]
            assert name.isalnum()
            assert 4 <= len(name) <= 32
            if len(self.custom) >= self.most_custom:
                raise Refused(354, "too many")
            self.custom[name] = (data["min"], data["max"])
            return {"parameterName": name}
        assert kind == "InjectParameterDataRequest"
        return self._inject(data)

    def _entry(self, name: str, span: tuple[float, float], by: str) -> dict[str, Any]:
        return {
            "name": name, "addedBy": by, "value": 0, "min": span[0], "max": span[1],
            "defaultValue": 0,
        }  # fmt: skip

    def _inject(self, data: dict[str, Any]) -> dict[str, Any]:
        names = [entry["id"] for entry in data["parameterValues"]]
        if not names or not set(names) <= {*self.ranges, *self.custom}:
            raise Refused(453, "a parameter does not exist")
        now_s = time.monotonic()
        self.control_lost += self._last_s > 0.0 and now_s - self._last_s > 1.0
        self._last_s = now_s
        with self._changed:
            self.injected.append(
                {e["id"]: e["value"] for e in data["parameterValues"]}
                | {"faceFound": data["faceFound"]}
            )
            self._changed.notify_all()
        return {}
