"""The HTTP server around the application."""

import asyncio
import contextlib
import errno
import signal
import socket
import sqlite3
import ssl
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tcetl.emulator.app import App
from tcetl.emulator.instance import Instance
from tcetl.emulator.tenants import OWNERS, SOURCE
from tcetl.emulator.tls import issue


class _Protocol(H11Protocol):
    """Hands the connection down to the application, so that faults can reset it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def connected(scope: Any, receive: Any, send: Any) -> None:
            scope["emulator.transport"] = transport
            await app(scope, receive, send)

        self.app = cast("Any", connected)


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.should_exit:
            self._ready()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: bool = False,
    seed: int = 0,
    data_dir: Path | None = None,
    ready: Callable[[str, Path | None], None] = lambda _url, _ca_file: None,
) -> None:
    """Serve an instance until the process is told to stop.

    Args:
        host: The address to listen on; the administration interface answers this machine only.
        port: The port; 0 takes a free one.
        tls: Serve HTTPS with a certificate of a new authority of our own.
        seed: How many made-up indicators "Demo Source" starts with.
        data_dir: Where the state is kept; by default a temporary folder, removed at the end.
        ready: Called once with the API's base URL and the authority's certificate, when requests are answered.

    Raises:
        OSError: The port is taken, or *data_dir* cannot be written.
    """
    # Stopped politely or by Ctrl-C, the temporary folder, which may hold gigabytes, is removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        _listen(host, port, data_dir, ready, tls=tls, seed=seed)


def _listen(
    host: str, port: int, data_dir: Path | None, ready: Callable[[str, Path | None], None], *, tls: bool, seed: int
) -> None:
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        if data_dir is not None:
            _serve(listener, data_dir, host, ready, tls=tls, seed=seed)
            return
        with tempfile.TemporaryDirectory(prefix="tcetl-emulator-") as temporary:
            _serve(listener, Path(temporary), host, ready, tls=tls, seed=seed)


def _serve(
    listener: socket.socket,
    directory: Path,
    host: str,
    ready: Callable[[str, Path | None], None],
    *,
    tls: bool,
    seed: int,
) -> None:
    try:
        instance = Instance(directory)
        if seed:
            instance.seed(next(owner for owner in OWNERS if owner.name == SOURCE), seed)
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(directory)) from error
    ca_file, server_file = issue(directory) if tls else (None, None)
    name = f"[{host}]" if ":" in host else host
    url = f"{'https' if tls else 'http'}://{name}:{listener.getsockname()[1]}/api"
    config = uvicorn.Config(
        App(instance),
        http=_Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",  # what faults break on purpose would otherwise fill the log
        date_header=False,  # ours follows the emulated clock
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        ssl_certfile=server_file,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    _Server(config, lambda: ready(url, ca_file)).run(sockets=[listener])
