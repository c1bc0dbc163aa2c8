"""Feed readers: each turns one format into raw batches whose every row knows its origin."""

import os
from pathlib import Path
from typing import Any, BinaryIO

from tcetl.errors import FeedError
from tcetl.feeds.base import FILE, PLACE, POINTER, ROW, Feed, RawBatch
from tcetl.feeds.comments import stated_records
from tcetl.feeds.formats import FORMATS, recognise
from tcetl.feeds.source import Folder, Source, locate
from tcetl.feeds.unpack import Unpacking

__all__ = [
    "FILE",
    "FORMATS",
    "PLACE",
    "POINTER",
    "ROW",
    "Feed",
    "Folder",
    "RawBatch",
    "Source",
    "Unpacking",
    "open_feed",
    "stated_records",
]


def open_feed(
    given: str | os.PathLike[str] | BinaryIO | Source | Folder,
    *,
    name: str | None = None,
    format: str = "auto",  # noqa: A002 - the word users know
    unpacking: Unpacking | None = None,
    **options: Any,
) -> Feed:
    """Return the feed in *given*, plain or packed (gzip, bzip2, xz, Zstandard, ZIP) by its content.

    Args:
        given: A path to a file or folder, an opened binary stream, or a source that somebody else fetched.
        name: The feed's name, for the origin of its records; the file's name without its ending by default.
        format: One of `FORMATS`, or ``auto`` to look at the content.
        unpacking: Password, member and limits for packed files; of a `Source` or `Folder`, its own counts.
        **options: Options of the format.

    Raises:
        FeedError: The file is missing, empty, or no feed of a known format; the message names what was found.
    """
    if format not in ("auto", *FORMATS):
        raise FeedError(f"'{format}' is not a feed format", hint=f"one of: auto, {', '.join(FORMATS)}")
    source = locate(Path(given) if isinstance(given, str | os.PathLike) else given, unpacking or Unpacking())
    found = recognise(source) if format == "auto" else FORMATS[format]
    return found.open(source, name or _name(source.location), **options)


def _name(location: str) -> str:
    path = Path(location)
    return (path.with_suffix("") if path.suffix in (".gz", ".bz2", ".xz", ".zst", ".zip") else path).stem
