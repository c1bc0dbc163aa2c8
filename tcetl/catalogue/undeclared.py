"""Feeds that nobody declared: a path or an address, and what its reader is told on the way."""

import os
import sys
from typing import Final

from tcetl.catalogue.definition import Alarms, Defaults, Expect, FeedDefinition

_NOBODY: Final = "unknown"


def undeclared(path: str | os.PathLike[str], format: str = "auto") -> FeedDefinition:  # noqa: A002 - the word users know
    """Return a definition of the feed at *path* that expects nothing but rows, as many as the feed itself may state."""
    return FeedDefinition(
        name="",  # that of the file
        title=f"the feed at {path}",
        provider=_NOBODY,
        homepage=_NOBODY,
        licence=_NOBODY,
        url=os.fspath(path),
        every="1s",
        format=format,
        expect=Expect(rows=(1, sys.maxsize)),
        alarms=Alarms(missing_column="ignore", new_column="ignore", count="warn", volume="ignore"),
        defaults=Defaults(),
    )
