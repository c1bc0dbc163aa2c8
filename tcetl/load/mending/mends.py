"""The record of what somebody changed by hand before a retry, kept with the run that it was changed for."""

from collections.abc import Iterable
from typing import Final

import msgspec

from tcetl.load.mending.mend import Named
from tcetl.load.run import Run
from tcetl.load.storage import RunPath, read_json, replacing

_MENDS: Final = "mends.json"


class Mend(msgspec.Struct, frozen=True):
    """One record that somebody changed: the number of its letter, and what it was and is called."""

    letter: int
    was: Named
    now: Named

    def to_json(self) -> str:
        """The mend as the file has it."""
        return msgspec.json.encode(self).decode()


def write_mends(path: RunPath, mends: Iterable[str]) -> None:
    """Keep in the new run at *path* what was changed for it: *mends*, each as JSON."""
    with replacing(path / _MENDS) as stream:
        mark = b"["
        for mend in mends:
            stream.write(mark + mend.encode())
            mark = b","
        stream.write(b"]" if mark == b"," else b"[]")


def read_mends(run: Run) -> list[Mend]:
    """Return what was changed by hand before *run*, a retry, was planned."""
    try:
        return read_json(run.path / _MENDS, list[Mend], hint="restore it, or plan the retry in a new directory")
    except FileNotFoundError:
        return []
