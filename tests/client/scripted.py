"""A tiny scripted HTTP server: each test says what it answers; it keeps what it was asked."""

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "s3cret-key-that-must-never-show"
TOKEN = "APIV2:430:token-that-must-never-show"


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # to announce another length than is sent
    reset: bool = False  # break the connection after the body, instead of before it when there is none
    stall: float = 0


def answer(document: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"} | _dashed(headers))


def success(data: Any, status: int = 200) -> Answer:
    return answer({"status": "Success", "data": data}, status)


def failure(message: str, status: int, **headers: str) -> Answer:
    return answer({"status": "Failure", "message": message}, status, **headers)


def html(status: int = 200, title: str = "Sign in") -> Answer:
    page = f"<html><head><title>{title}</title></head><body>x</body></html>"
    return Answer(status, page.encode(), {"Content-Type": "text/html;charset=UTF-8"})


def text(words: str, status: int) -> Answer:
    return Answer(status, words.encode(), {"Content-Type": "text/plain"})


def zipped(document: Any, *, say_so: bool = True) -> Answer:
    headers = {"Content-Type": "application/octet-stream"} | ({"Content-Encoding": "gzip"} if say_so else {})
    return Answer(200, gzip.compress(json.dumps(document).encode()), headers)


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


Script = Answer | Callable[[Asked], Answer]


class Api:
    """``on(method, path, *script)``: what the server answers, one by one; the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._lock = threading.Lock()
        self.url = ""

    def on(self, method: str, path: str, *script: Script) -> None:
        self._scripts[method, "/api" + path] = list(script)

    def calls(self, method: str, path: str) -> list[Asked]:
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, "/api" + path)]

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.get((asked.method, asked.path))
            if script is None:
                return failure("The requested resource was not found", 404)
            step = script.pop(0) if len(script) > 1 else script[0]
        return step(asked) if callable(step) else step


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[Api]:
    script = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = script.answer(Asked(self.command, self.path, dict(self.headers), body))
            if given.stall and stopping.wait(given.stall):
                return
            if given.reset and not given.body:
                self._reset()
                return
            self.send_response_only(given.status)
            if "Date" not in given.headers:
                self.send_header("Date", self.date_time_string())
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body) if given.length is None else given.length))
            self.end_headers()
            self.wfile.write(given.body)
            if given.reset:
                self._reset()
            elif given.length is not None:
                self.close_connection = True

        def _reset(self) -> None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that hang up are part of the tests."""

    stopping = threading.Event()
    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/api"
    yield script
    stopping.set()
    server.shutdown()
    thread.join()
    server.server_close()
