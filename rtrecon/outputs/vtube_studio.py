"""VTube Studio over its websocket, on a thread of its own: newest wins, nothing waits for it."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.vtube_studio import (
    BEACON_PORT,
    CUSTOM_NAMES,
    Answer,
    ParameterRange,
    VTubeStudioEncoder,
    as_text,
    create_request,
    message,
    parameters_of,
    read_answer,
    request,
)
from rtrecon.errors import MissingExtraError, OutputError, RtreconError
from rtrecon.files import make_folder, write_secret
from rtrecon.output import Run
from rtrecon.outputs.avatar_output import (
    DEFAULTS,
    AvatarOptions,
    AvatarOutput,
    look_up,
    names_port,
    parse_address,
)
from rtrecon.outputs.vtube_beacon import BeaconEar
from rtrecon.threads import start_thread

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["VTubeStudioOutput"]

logger = logging.getLogger(__name__)

_REPEAT_S = 0.4  # after one second without data VTube Studio takes its parameters back
_STALE_S = 1.0  # a face that is not followed by another for so long is not there
_OPEN_TIMEOUT_S = 1.0
_ANSWER_TIMEOUT_S = 5.0
_POLL_S = 0.1
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0

_USUAL_PORT = 8001
_BEACON_S = 2.5  # beacons come every two seconds
_API_OFF, _DENIED, _ALREADY_ASKING = 1, 50, 51  # numbers of VTube Studio's errors
_ABSENT = "nobody listens there (is VTube Studio running, and plugin access on?)"
_OFF = "plugins are not allowed: turn on plugin API access in its settings"


class _Trouble(Exception):  # noqa: N818
    """This session cannot go on; the next may."""


class _Ended(Exception):  # noqa: N818
    """The run has ended."""


class VTubeStudioOutput(AvatarOutput):
    """See `rtrecon.avatar.vtube_studio`.

    VTube Studio may come, go and come back. That somebody has to click "Allow" in it is said;
    what it gives for that is kept in the user's configuration, for them alone.

    Args:
        target: host and port; without a port, the one that VTube Studio's beacon names is taken,
            and 8001 until it is heard.
        create: make a parameter for each of ARKit's names, such as ``rtJawOpen``.
        common: as everywhere.
    """

    name = "vtube-studio"
    summary = "VTube Studio's tracking parameters, by its websocket"
    close_timeout_s = 3.0

    def __init__(
        self,
        target: str = "127.0.0.1",
        *,
        create: bool = False,
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        address = parse_address(target, "127.0.0.1", _USUAL_PORT)
        super().__init__(address, common)
        self._create = create
        self._wants_beacon = not names_port(target)
        self._ear: BeaconEar | None = None
        self._changed = threading.Condition()
        self._newest: AvatarFrame | None = None
        self._is_new = self._is_closing = False
        self._newest_s = 0.0
        self._failure: RtreconError | None = None
        self._thread: threading.Thread | None = None
        self._said: set[str] = set()
        self._requests = 0
        self._token = ""
        self._was_connected = False
        self._unsaid = ""  # what a beacon may yet make good

    @classmethod
    def missing(cls) -> str:
        """Whether the websocket's library is there."""
        try:
            _import_connect()
        except MissingExtraError as error:
            return str(error)
        return ""

    def open(self, run: Run) -> None:
        """Look the host up and begin to connect; VTube Studio need not be there yet.

        Raises:
            MissingExtraError: websockets is not installed.
            UserError: there is no such host.
        """
        super().open(run)
        _import_connect()
        family, _, _, _, place = look_up(*self._address, socket.SOCK_STREAM)
        if self._wants_beacon:
            try:
                self._ear = BeaconEar(family, place)
            except OSError as error:
                self._say(
                    f"cannot listen on UDP port {BEACON_PORT} for its beacon ({error.strerror}): "
                    f"give its port where it is not {_USUAL_PORT}"
                )
        self._thread = start_thread(self._serve, name="rtrecon-vtube-studio")

    def send(self, frame: AvatarFrame) -> None:
        """Leave one frame for the thread, in place of one that still waits.

        Raises:
            OutputError: the user has said no, or the thread has failed.
        """
        if self._failure is not None:
            raise self._failure
        with self._changed:
            self._newest, self._newest_s = frame, time.monotonic()
            self._is_new = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread, which hangs up."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self.close_timeout_s - _POLL_S)  # longer than it takes to connect
        if self._ear is not None:
            self._ear.close()
        if not self._said:
            self._say(self._unsaid)

    def _serve(self) -> None:
        """Connect, again and again, until the run ends or the user says no."""
        try:
            connect = _import_connect()
            delay_s = _FIRST_DELAY_S
            start_s = time.monotonic()
            while not self._is_closing:
                self._was_connected = False
                self._heed_beacon()
                trouble = self._try(connect)
                hopes = self._ear is not None and time.monotonic() - start_s < _BEACON_S
                self._unsaid = trouble if hopes and trouble == _ABSENT else ""
                self._say("" if self._unsaid else trouble)
                delay_s = _FIRST_DELAY_S if self._was_connected else delay_s
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closing, delay_s)
                delay_s = min(2.0 * delay_s, _LONGEST_DELAY_S)
        except _Ended:
            return
        except RtreconError as error:
            self._failure = error
        except Exception as error:
            logger.debug("%s", self.name, exc_info=True)
            self._failure = OutputError(f"its thread ended: {error!r}")

    def _heed_beacon(self) -> None:
        """Go where the beacons say, if there were any; stay where one of them still is."""
        heard = self._ear.heard() if self._ear is not None else []
        ports = [beacon.port for beacon in heard if beacon.is_on]
        if heard and not ports:
            self._say(_OFF)
        elif ports and self._address[1] not in ports:
            self._address = (self._address[0], ports[-1])
            logger.info("%s: its beacon names %s", self.name, self.target)

    def _try(self, connect: Any) -> str:
        """One session; what ended it."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException

        try:
            with (
                connect(
                    f"ws://{self.target}",
                    open_timeout=_OPEN_TIMEOUT_S,
                    close_timeout=_POLL_S,
                    ping_interval=None,
                    compression=None,
                    proxy=None,
                ) as connection,
                contextlib.suppress(_Ended),
            ):  # hangs up as one who has done
                self._converse(connection)
        except _Trouble as error:
            return str(error)
        except ConnectionRefusedError:
            return _ABSENT
        except TimeoutError:
            return "it does not answer"
        except ConnectionClosed:
            return "it closed the connection"
        except (InvalidHandshake, WebSocketException, EOFError) as error:
            logger.debug("%s", self.name, exc_info=True)
            return f"it is no VTube Studio ({type(error).__name__})"
        except OSError as error:
            return error.strerror or repr(error)
        return ""

    def _converse(self, connection: ClientConnection) -> None:
        self._unsaid = ""
        self._authenticate(connection)
        encode = VTubeStudioEncoder(self._parameters(connection))
        logger.info("%s at %s: connected", self.name, self.target)
        has_failed = False
        while True:
            frame, is_found = self._next()
            answer = self._ask(connection, encode(frame, self._new_id(), is_found=is_found))
            if answer.error_id is None:
                has_failed, self._was_connected = False, True
            elif has_failed:
                raise _Trouble(_refusal(answer))
            else:
                # One name that is gone, and nothing is taken: see what there is now.
                has_failed = True
                self._say(_refusal(answer))
                encode = VTubeStudioEncoder(self._parameters(connection))

    def _next(self) -> tuple[AvatarFrame, bool]:
        """The newest frame, as soon as there is one or it is time to say the last once more."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._is_new or self._is_closing, _REPEAT_S)
                if self._is_closing:
                    raise _Ended
                if self._newest is not None:
                    break
            self._is_new = False
            frame, age_s = self._newest, time.monotonic() - self._newest_s
        is_found = frame.is_tracked and age_s < _STALE_S
        return mirrored(frame) if self.is_mirrored else frame, is_found

    def _authenticate(self, connection: ClientConnection) -> None:
        """By the token that is kept, else by one that the user allows."""
        path = _token_path(self.target)
        token = self._token or _read_token(path)
        if token and self._is_taken(connection, token):
            self._token = token
            return
        if token:
            self._say("the access that was allowed is no longer valid, it is asked for again")
            self._token = ""
            with contextlib.suppress(OSError):  # it is written over, or asked for once more
                path.unlink(missing_ok=True)
        token = self._token_by_click(connection)
        try:
            make_folder(path.parent)
            write_secret(path, token.encode())
        except OutputError as error:
            self._say(f"{error}; it will have to be allowed again next time")
        if not self._is_taken(connection, token):
            raise _Trouble("it does not take the token that it gave")
        self._token = token

    def _token_by_click(self, connection: ClientConnection) -> str:
        self._say('click "Allow" in VTube Studio, this once')
        asked = request("AuthenticationTokenRequest", self._new_id())
        answer = self._ask(connection, asked, timeout_s=None)
        if answer.error_id == _DENIED:
            raise OutputError(
                f"access to VTube Studio at {self.target} was denied: "
                'start again and click "Allow" there'
            )
        if answer.error_id == _ALREADY_ASKING:
            raise _Trouble("it still asks its user about another plugin")
        token = self._checked(answer).get("authenticationToken")
        if not isinstance(token, str) or not _is_token(token):
            raise _Trouble("it gives no token")
        return token

    def _is_taken(self, connection: ClientConnection, token: str) -> bool:
        answer = self._ask(connection, request("AuthenticationRequest", self._new_id(), token))
        return self._checked(answer).get("authenticated") is True

    def _parameters(self, connection: ClientConnection) -> dict[str, ParameterRange]:
        """Those that exist; those of ARKit's names are made before, if that was asked for."""
        found = self._listed(connection)
        absent = [name for name in CUSTOM_NAMES if name not in found] if self._create else []
        for name in absent:
            answer = self._ask(connection, create_request(name, self._new_id()))
            if answer.error_id is not None:
                self._say(f"it makes no parameter {name}: {answer.words}")
                break
        found = self._listed(connection) if absent else found
        if not found:
            raise _Trouble("it has none of the parameters that a face has")
        return found

    def _listed(self, connection: ClientConnection) -> dict[str, ParameterRange]:
        answer = self._ask(connection, message("InputParameterListRequest", self._new_id()))
        try:
            return parameters_of(self._checked(answer))
        except ValueError as error:
            raise _Trouble(str(error)) from error

    def _ask(
        self,
        connection: ClientConnection,
        asked: dict[str, Any],
        timeout_s: float | None = _ANSWER_TIMEOUT_S,
    ) -> Answer:
        """Send a request and wait for its answer; what else comes meanwhile is not ours."""
        connection.send(as_text(asked))
        start_s = time.monotonic()
        while not self._is_closing:
            try:
                answer = read_answer(connection.recv(timeout=_POLL_S))
            except TimeoutError:
                if timeout_s is not None and time.monotonic() - start_s > timeout_s:
                    raise _Trouble(f"it does not answer within {timeout_s:g} s") from None
                continue
            except ValueError as error:
                logger.debug("%s", self.name, exc_info=True)
                raise _Trouble("what it answers cannot be understood") from error
            if answer.request_id == asked["requestID"]:
                return answer
        raise _Ended

    def _checked(self, answer: Answer) -> Any:
        """Data of an answer that is no error."""
        if answer.error_id is not None:
            raise _Trouble(_refusal(answer))
        return answer.data

    def _new_id(self) -> str:
        self._requests += 1
        return f"rtrecon{self._requests}"

    def _say(self, trouble: str) -> None:
        """Each trouble once a run."""
        if trouble and trouble not in self._said:
            self._said.add(trouble)
            logger.warning("%s at %s: %s", self.name, self.target, trouble)


def _refusal(answer: Answer) -> str:
    if answer.error_id == _API_OFF:
        return _OFF
    return f"it refuses: {answer.words}"


def _import_connect() -> Any:
    try:
        from websockets.sync.client import connect
    except ImportError as error:
        raise MissingExtraError("websockets", "vtube-studio") from error
    return connect


def _token_path(target: str) -> Path:
    """A file for each VTube Studio, so that outputs do not write over each other's."""
    place = re.sub(r"[^A-Za-z0-9.-]", "_", target)
    folder = Path(platformdirs.user_config_dir("rtrecon", appauthor=False))
    return folder / f"vtube-studio-{place}.token"


def _read_token(path: Path) -> str:
    """The token that is kept, or ""; a damaged one is none, it is asked for anew."""
    try:
        with path.open("rb") as file:
            token = file.read(200).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return token if _is_token(token) else ""


def _is_token(text: str) -> bool:
    return re.fullmatch(r"[!-~]{1,128}", text) is not None
