"""A web server on loopback that does what tests tell it to, and keeps what it was asked."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Asked:
    path: str
    headers: dict[str, str]


@dataclass
class Web:
    """``pages`` by path: a status, headers and a body, or a function that writes the answer itself."""

    port: int = 0
    pages: dict[str, tuple[int, dict[str, str], bytes] | Callable] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def url(self, path="/", host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def serve(self, path, body=b"", status=200, **headers):
        body = body.encode() if isinstance(body, str) else body
        self.pages[path] = status, {name.replace("_", "-"): value for name, value in headers.items()}, body


@pytest.fixture
def web():
    found = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            found.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
            page = found.pages.get(self.path) or found.pages.get(self.path.partition("?")[0]) or (404, {}, b"")
            if callable(page):
                page = page(self)
            if page is None:
                self.close_connection = True
                return
            status, headers, body = page
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # a client that hangs up is what some tests are about

    server = Server(("0.0.0.0", 0), Handler)
    found.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def quick(monkeypatch):
    """Waits between attempts take no time, and are noted."""
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    return waited


@pytest.fixture
def names(monkeypatch):
    """A name service that tests fill: the answers to each name, one after the other; and 127.0.0.1 is "public"."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        if host not in answers:
            return real(host, port, *args, **kwargs)
        now = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in now]

    from tcetl.feeds.sources import pinning

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    is_public = pinning.is_public
    monkeypatch.setattr(pinning, "is_public", lambda address: address == "127.0.0.1" or is_public(address))
    return answers
