"""One process at a time on a run directory.

On a local disk the kernel holds the lock (``flock``), so it is gone the moment its process is: nothing to clean up
after a kill. Elsewhere the lock is a lease: a file created only where none is, renewed while it is held, and taken
over once its holder has been silent for :data:`LEASE`.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from upath import UPath

from tcetl.errors import LoadError
from tcetl.load.storage import RunPath

try:
    import fcntl
except ImportError:  # pragma: no cover - no flock on this system: every lock is a lease
    fcntl = None  # type: ignore[assignment]

LEASE: Final = 60.0
"""Seconds of silence after which the holder of a lease counts as dead; it renews every third of that."""


@contextmanager
def exclusive(path: RunPath) -> Iterator[None]:
    """Hold the lock file at *path* for the block.

    Raises:
        LoadError: Another process holds it; the message names host, process and since when.
    """
    hold = _flock(path) if isinstance(path, Path) and fcntl is not None else _lease(path)
    with hold:
        yield


@contextmanager
def _flock(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(path, os.read(handle, 4096)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, _me(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


@contextmanager
def _lease(path: RunPath) -> Iterator[None]:
    me = _me()
    try:
        _create(path, me)
    except FileExistsError:
        holder = path.read_bytes()
        if time.time() - float(_parse(holder).get("renewed", 0)) < LEASE:
            raise _taken(path, holder) from None
        path.unlink()
        try:
            _create(path, me)
        except FileExistsError:
            raise _taken(path, path.read_bytes()) from None

    released = threading.Event()
    renewal = threading.Thread(target=_renew, args=(path, released), name="tcetl-run-lease", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        released.set()
        renewal.join()
        path.unlink(missing_ok=True)


def _create(path: RunPath, content: bytes) -> None:
    """Create *path*, raising FileExistsError where it exists (a conditional put where the store knows one)."""
    if isinstance(path, UPath):
        path.fs.pipe_file(path.path, content, mode="create")
    else:
        with path.open("xb") as stream:
            stream.write(content)


def _renew(path: RunPath, released: threading.Event) -> None:
    while not released.wait(LEASE / 3):
        path.write_bytes(_me())


def _me() -> bytes:
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(holder | {"renewed": time.time()}).encode()


def _parse(content: bytes) -> dict[str, Any]:
    """Return what a lock file says; nothing when its writer died while writing it."""
    try:
        holder = json.loads(content)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _taken(path: RunPath, content: bytes) -> LoadError:
    holder = _parse(content)
    who = (
        f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        if {"pid", "host", "since"} <= holder.keys()
        else "another process"
    )
    return LoadError(
        f"run directory {path.parent} is in use by {who}",
        hint="wait until it is done, or end that process; its lock goes with it",
    )
