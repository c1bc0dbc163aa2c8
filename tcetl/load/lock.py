"""Who is at work on a run directory: one process on all of it, or several on different chunks of it.

On a local disk the kernel holds the locks (``flock``), so they are gone the moment their process is: nothing to clean
up after a kill. Whoever takes all of the directory locks ``lock``; whoever takes some chunks locks ``claims/NNNNN`` of
each. Both first take what they want and then look whether somebody holds the other kind, so of two that exclude each
other at least one sees the other and goes away again; at worst both do.

Elsewhere a lock is a lease: see :mod:`tcetl.load.lease`.
"""

import json
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tcetl.errors import LoadError
from tcetl.load.lease import WHOLE, Check, TakenError, claimed, lease
from tcetl.load.storage import RunPath, make_folder

try:
    import fcntl
except ImportError:  # pragma: no cover - no flock on this system: every lock is a lease
    fcntl = None  # type: ignore[assignment]


class Holder(NamedTuple):
    """A process at work on a run directory: on *chunk* of it, or on all of it where that is None."""

    host: str
    pid: int
    since: str
    chunk: int | None


def holders(folder: RunPath) -> list[Holder]:
    """Return who is at work on the run directory *folder*, without getting in anybody's way."""
    found = _locked(folder) if _has_locks(folder) else claimed(folder / "claims")
    claims = ((part, _parse(claim)) for part, claim in found)
    return [
        Holder(
            str(said.get("host", "?")),
            int(said.get("pid", 0)),
            str(said.get("since", "?")),
            None if part == WHOLE else int(part),
        )
        for part, said in claims
    ]


def _locked(folder: RunPath) -> Iterator[tuple[str, bytes]]:
    claims = folder / "claims"
    parts = sorted(path.name for path in claims.iterdir()) if claims.is_dir() else []
    for part in (WHOLE, *parts):
        path = _file(folder, part)
        # Looking at a lock holds it for an instant, so not at one that was given up in good order: those are empty.
        with suppress(FileNotFoundError):
            if path.read_bytes() and (holder := _holder(path)) is not None:
                yield part, holder


@contextmanager
def exclusive(folder: RunPath, chunks: Collection[int] | None = None) -> Iterator[Check]:
    """Hold the run directory *folder* for the block; given *chunks*, no more than those of it.

    Yields:
        A check to make before whatever must not be done twice.

    Raises:
        LoadError: Another process holds it or a part of what is wanted; the message names host, process and since when.
    """
    parts = [WHOLE] if chunks is None else [f"{chunk:05}" for chunk in sorted(set(chunks))]
    if not parts:
        yield _nothing_to_check
        return
    hold = _locks if _has_locks(folder) else _leases
    try:
        with hold(folder, parts) as check:
            yield check
    except TakenError as error:
        raise _taken(folder, error) from None


def _has_locks(folder: RunPath) -> bool:
    return isinstance(folder, Path) and fcntl is not None


@contextmanager
def _leases(folder: RunPath, parts: Collection[str]) -> Iterator[Check]:
    with lease(folder / "claims", parts, _document()) as check:
        yield check


@contextmanager
def _locks(folder: RunPath, parts: Collection[str]) -> Iterator[Check]:
    claims = folder / "claims"
    make_folder(claims)
    with ExitStack() as held:
        for part in parts:
            held.enter_context(_flock(part, _file(folder, part)))
        others = [path.name for path in claims.iterdir()] if WHOLE in parts else [WHOLE]
        for part in others:
            if (holder := _holder(_file(folder, part))) is not None:
                raise TakenError(part, holder)
        yield _nothing_to_check


def _file(folder: RunPath, part: str) -> Path:
    assert isinstance(folder, Path)
    return folder / "lock" if part == WHOLE else folder / "claims" / part


def _nothing_to_check() -> None:
    """The kernel does not take a lock away, and who holds nothing has nothing to lose."""


@contextmanager
def _flock(part: str, path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TakenError(part, os.read(handle, 4096)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, _document(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _holder(path: Path) -> bytes | None:
    """What the lock file at *path* says about its holder; None when nobody holds it."""
    with suppress(FileNotFoundError), path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return stream.read()
    return None


def _document() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}).encode()


def _taken(folder: RunPath, error: TakenError) -> LoadError:
    holder = _parse(error.claim)
    who = (
        f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        if {"pid", "host", "since"} <= holder.keys()
        else "another process"
    )
    what = f"run directory {folder}" if error.part == WHOLE else f"chunk {int(error.part)} of run directory {folder}"
    return LoadError(f"{what} is in use by {who}", hint="wait until it is done, or end that process; its lock goes too")


def _parse(content: bytes) -> dict[str, Any]:
    """What a claim says; nothing when its writer died while writing it."""
    try:
        holder = json.loads(content)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
