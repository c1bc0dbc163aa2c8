"""Leases on parts of a run directory in an object store, which knows no locks.

Whoever wants a part first puts a claim there under a name of its own, and then looks what other claims there are: a
live one on the same part, and it withdraws. So of two that exclude each other at least one sees the other, in whatever
order their requests arrive; at worst both withdraw. That asks no more of a store than to list what was put before.
Nobody ever takes over or replaces another's claim, which two could do at once.

A claim is live while its holder renews it. How old it is tells the store, by its own time of that claim and of the one
put just now: the clocks of the machines may be off. A holder that was silent for :data:`LEASE` finds out at its next
step, and stops.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from tcetl.atomic import publish_errors
from tcetl.errors import LoadError
from tcetl.load.storage import RunPath, make_folder

LEASE: Final = 60.0
"""Seconds of silence after which the holder of a claim counts as dead; it renews every third of that."""
WHOLE: Final = "all"
"""The part that excludes all others."""

Check = Callable[[], None]
"""Raises LoadError when the hold was lost meanwhile."""


class TakenError(Exception):
    """Somebody else holds *part*; *claim* is what they put there."""

    def __init__(self, part: str, claim: bytes) -> None:
        super().__init__(part)
        self.part, self.claim = part, claim


@contextmanager
def lease(folder: RunPath, parts: Collection[str], document: bytes) -> Iterator[Check]:
    """Hold *parts* by claims in *folder* for the block; *document* tells others who holds them.

    Yields:
        A check to make before whatever must not be done twice.

    Raises:
        TakenError: Somebody else holds one of them.
    """
    make_folder(folder)
    token = token_hex(8)
    mine = [folder / f"{part}.{token}" for part in parts]
    with ExitStack() as held:
        for path in mine:
            held.callback(path.unlink, missing_ok=True)
            with publish_errors(str(path)):
                path.write_bytes(document)
        dead = _others(folder, parts, mine)
        for path in dead:
            path.unlink(missing_ok=True)
        renewal = _Renewal(mine, document)
        held.enter_context(renewal)
        yield renewal.check


def claimed(folder: RunPath) -> Iterator[tuple[str, bytes]]:
    """Yield the parts that are claimed in *folder* now, and the claims, as far as this machine's clock can tell."""
    _forget(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # withdrawn meanwhile
            if time.time() - _renewed_at(path) < LEASE:
                yield path.name.partition(".")[0], path.read_bytes()


def _others(folder: RunPath, parts: Collection[str], mine: Sequence[RunPath]) -> list[RunPath]:
    """The dead claims of others on *parts*; TakenError if there is a live one."""
    _forget(folder)
    names = {path.name for path in mine}
    now = max(map(_renewed_at, mine))
    dead = []
    for path in folder.iterdir():
        part = path.name.partition(".")[0]
        if path.name in names or not (part in parts or part == WHOLE or WHOLE in parts):
            continue
        with suppress(FileNotFoundError):  # withdrawn meanwhile
            if now - _renewed_at(path) < LEASE:
                raise TakenError(part, path.read_bytes())
            dead.append(path)
    return dead


def _renewed_at(path: RunPath) -> float:
    """When the file was written, in seconds by the clock of its store."""
    return path.stat().st_mtime if isinstance(path, Path) else path.fs.modified(path.path).timestamp()


def _forget(path: RunPath) -> None:
    """Drop what a store's client remembers: what it saw before the claim was put says nothing."""
    if not isinstance(path, Path):
        path.fs.invalidate_cache()


class _Renewal:
    """Renews claims, all by one thread, and knows when they were lost."""

    def __init__(self, paths: Sequence[RunPath], document: bytes) -> None:
        self._paths, self._document = paths, document
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
                f"the hold on {self._paths[0].parent.parent} was lost: it could not be renewed for {LEASE:g} s",
                hint="run again to go on from there; another process may be at it already",
            )

    def _renew(self) -> None:
        while not self._released.wait(LEASE / 3):
            now = time.monotonic()
            try:
                for path in self._paths:
                    path.read_bytes()  # there is nothing left to renew once others held it for dead
                    path.write_bytes(self._document)
            except FileNotFoundError:
                self._lost = True
                return
            except OSError:  # the store cannot be reached: try again until the time is up
                continue
            self._renewed = now
