"""Real servers on the loopback: files with and without ranges, MJPEG, RTSP, and broken ones."""

from __future__ import annotations

import base64
import contextlib
import http.server
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2

from tests.faults.videos import pictures

__all__ = ["Http", "mjpeg", "plain_file", "ranged_file", "rtsp", "serving"]

Answer = Callable[["Http"], None]


class Http(http.server.BaseHTTPRequestHandler):
    """Answers GET by the server's ``answer``; each request is noted in the server's ``asked``."""

    server: HttpServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        # The reader may go at any time.
        with contextlib.suppress(OSError):
            self.server.answer(self)

    def log_message(self, *_: object) -> None:
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer
    asked: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(answer: Answer) -> Iterator[HttpServer]:
    """A server that answers so, on a port of its own."""
    with HttpServer(("127.0.0.1", 0), Http) as server:
        server.answer, server.asked = answer, []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def plain_file(path: Path, *, upto: int | None = None) -> Answer:
    """The whole file, without ranges, as ``python -m http.server`` does; or it breaks off."""

    def answer(request: Http) -> None:
        data = path.read_bytes()
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:upto])

    return answer


def ranged_file(path: Path) -> Answer:
    """Any range of the file."""

    def answer(request: Http) -> None:
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "bytes=0-"))
        assert asked is not None
        first, last = int(asked[1]), int(asked[2] or len(data) - 1)
        request.send_response(206)
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        request.send_header("Content-Length", str(last - first + 1))
        request.end_headers()
        request.wfile.write(data[first : last + 1])

    return answer


def mjpeg(count: int | None, *, rate_hz: float = 50.0, then: Answer | None = None) -> Answer:
    """``count`` pictures of a live stream (None: without end), then the end or ``then``."""

    def answer(request: Http) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        shown = pictures(32)
        k = 0
        while count is None or k < count:
            jpeg = cv2.imencode(".jpg", shown[k % 32])[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            request.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(1 / rate_hz)
            k += 1
        if then is not None:
            then(request)

    return answer


@contextmanager
def rtsp(
    count: int | None, *, rate_hz: float = 50.0, length_s: float | None = None
) -> Iterator[str]:
    """A camera over RTSP, interleaved in TCP, H.264: its address. With ``length_s``, a film."""

    class Camera(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                _answer_rtsp(self, count, rate_hz, length_s)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Camera) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"rtsp://user:secret@127.0.0.1:{server.server_address[1]}/live"
        server.shutdown()
        thread.join()


def _answer_rtsp(
    camera: socketserver.StreamRequestHandler,
    count: int | None,
    rate_hz: float,
    length_s: float | None,
) -> None:
    units = _coded(32)
    parameters = [u for u in units[0] if u[0] & 31 in (7, 8)]
    sets = ",".join(base64.b64encode(unit).decode() for unit in parameters)
    length = "" if length_s is None else f"a=range:npt=0-{length_s:.3f}\r\n"
    sdp = (
        f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\n{length}"
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\na=control:track\r\n"
    )
    while True:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            line = camera.rfile.readline()
            if not line:
                return
            request += line
        method = request.split(b" ")[0].decode()
        number = re.search(rb"CSeq: *(\d+)", request)
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number[1].decode() if number else 0}\r\n"
        body = ""
        if method == "DESCRIBE":
            body = sdp
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n"
        elif method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
        camera.wfile.write((head + "\r\n" + body).encode())
        if method == "PLAY":
            break
    k = sequence = 0
    while count is None or k < count:
        access = units[k % len(units)]
        for at, unit in enumerate(access):
            marker = 0x80 if at == len(access) - 1 else 0
            rtp = struct.pack(
                ">BBHII", 0x80, marker | 96, sequence & 0xFFFF, int(k * 90000 / rate_hz), 7
            )
            camera.wfile.write(struct.pack(">BBH", 0x24, 0, len(rtp) + len(unit)) + rtp + unit)
            sequence += 1
        time.sleep(1 / rate_hz)
        k += 1
    camera.connection.shutdown(socket.SHUT_RDWR)


def _coded(count: int) -> list[list[bytes]]:
    """H.264 units of each picture, all of them whole pictures."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base = Fraction(1, 50)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=1"}
    coded = []
    for k, image in enumerate(pictures(count)):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts = k
        for packet in encoder.encode(frame):
            found = re.split(rb"\x00\x00\x00?\x01", bytes(packet))
            coded.append([unit for unit in found if unit])
    return coded
