"""Who is at work on a run directory: one process on all of it, or several on different chunks of it.

Whoever takes all of it holds ``lock``; whoever takes some chunks holds ``claims/NNNNN`` of each. Both first take what
they want and then look whether somebody holds the other kind, so of two that exclude each other at least one sees the
other and goes away again; at worst both do.

On a local disk the kernel holds a lock (``flock``), so it is gone the moment its process is: nothing to clean up
after a kill. Elsewhere a lock is a lease: a file created only where none is, renewed while it is held, and taken over
once its holder has been silent for :data:`LEASE`. A holder that was silent for too long itself finds out at its next
step, and stops.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from upath import UPath

from tcetl.errors import LoadError
from tcetl.load.storage import RunPath, make_folder

try:
    import fcntl
except ImportError:  # pragma: no cover - no flock on this system: every lock is a lease
    fcntl = None  # type: ignore[assignment]

LEASE: Final = 60.0
"""Seconds of silence after which the holder of a lease counts as dead; it renews every third of that."""

Check = Callable[[], None]
"""Raises LoadError when the hold was lost meanwhile."""


@contextmanager
def exclusive(folder: RunPath, chunks: Collection[int] | None = None) -> Iterator[Check]:
    """Hold the run directory *folder* for the block; given *chunks*, no more than those of it.

    Yields:
        A check to make before whatever must not be done twice.

    Raises:
        LoadError: Another process holds it or a part of what is wanted; the message names host, process and since when.
    """
    whole, claims = folder / "lock", folder / "claims"
    if chunks is None:
        wanted = [whole]
    else:
        make_folder(claims)
        wanted = [claims / f"{chunk:05}" for chunk in sorted(set(chunks))]
    with ExitStack() as held:
        if _is_local(folder):
            for path in wanted:
                held.enter_context(_flock(path))
            check = _nothing_to_check
        else:
            check = held.enter_context(_leases(wanted))
        for path in _listed(claims) if chunks is None else [whole]:
            if (holder := _holder(path)) is not None:
                raise _taken(path, holder)
        yield check


def _is_local(path: RunPath) -> bool:
    return isinstance(path, Path) and fcntl is not None


def _nothing_to_check() -> None:
    """The kernel does not take a lock away."""


@contextmanager
def _flock(path: RunPath) -> Iterator[None]:
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(path, os.read(handle, 4096)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, _document(token_hex(8)), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


@contextmanager
def _leases(paths: Sequence[RunPath]) -> Iterator[Check]:
    token = token_hex(8)
    lease = _Lease(token, paths)
    with ExitStack() as held:
        for path in paths:
            _take_lease(path, _document(token))
            held.callback(_give_up, path, token)
        held.enter_context(lease)
        yield lease.check


class _Lease:
    """Renews lease files, all by one thread, and knows when they were lost."""

    def __init__(self, token: str, paths: Sequence[RunPath]) -> None:
        self._token, self._paths = token, paths
        self._renewed = time.monotonic()
        self._lost = False
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="tcetl-run-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._thread.join()

    def check(self) -> None:
        if self._lost or time.monotonic() - self._renewed > LEASE:
            raise LoadError(
                f"the hold on {self._paths[0].parent} was lost: its lease could not be renewed for {LEASE:g} s",
                hint="run again to go on from there; another process may be at it already",
            )

    def _renew(self) -> None:
        while not self._released.wait(LEASE / 3):
            now = time.monotonic()
            try:
                for path in self._paths:
                    if not _is_mine(path, self._token):
                        self._lost = True
                        return
                    path.write_bytes(_document(self._token))
            except OSError:  # the store cannot be reached: try again until the time is up
                continue
            self._renewed = now


def _take_lease(path: RunPath, content: bytes) -> None:
    try:
        _create(path, content)
    except FileExistsError:
        if (holder := _holder(path)) is not None:
            raise _taken(path, holder) from None
        path.unlink(missing_ok=True)
        try:
            _create(path, content)
        except FileExistsError:
            raise _taken(path, path.read_bytes()) from None


def _give_up(path: RunPath, token: str) -> None:
    if _is_mine(path, token):
        path.unlink(missing_ok=True)


def _is_mine(path: RunPath, token: str) -> bool:
    try:
        return bool(_parse(path.read_bytes()).get("token") == token)
    except FileNotFoundError:
        return False


def _create(path: RunPath, content: bytes) -> None:
    """Create *path*, raising FileExistsError where it exists (a conditional put where the store knows one)."""
    if isinstance(path, UPath):
        path.fs.pipe_file(path.path, content, mode="create")
    else:
        with path.open("xb") as stream:
            stream.write(content)


def _listed(folder: RunPath) -> list[RunPath]:
    _forget(folder)
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _forget(path: RunPath) -> None:
    """Drop what a store's client remembers: what it saw before the lock was taken says nothing."""
    if isinstance(path, UPath):
        path.fs.invalidate_cache()


def _holder(path: RunPath) -> bytes | None:
    """What the lock file at *path* says about its holder; None when nobody holds it."""
    if _is_local(path):
        with suppress(FileNotFoundError), path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return stream.read()
        return None
    _forget(path)
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        if time.time() - float(_parse(content).get("renewed", 0)) < LEASE:
            return content
    return None


def _document(token: str) -> bytes:
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "token": token,
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
    what = (
        f"chunk {int(path.name)} of run directory {path.parent.parent}"
        if path.parent.name == "claims"
        else f"run directory {path.parent}"
    )
    return LoadError(f"{what} is in use by {who}", hint="wait until it is done, or end that process; its lock goes too")
