"""Feed readers: each turns one format into raw batches whose every row knows its origin."""

import os
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from tcetl.errors import FeedError
from tcetl.feeds.base import FILE, PLACE, POINTER, ROW, Feed, PartedFeed, RawBatch
from tcetl.feeds.comments import stated_records
from tcetl.feeds.formats import FORMATS, folder_format, recognise
from tcetl.feeds.formats.misp import MANIFEST
from tcetl.feeds.frame import FrameFeed, Table, is_table
from tcetl.feeds.joined import JoinedFeed
from tcetl.feeds.source import Archive, Folder, Source, locate
from tcetl.feeds.sources import Fetching, fetch, shown
from tcetl.feeds.sources.stores import Matches
from tcetl.feeds.standards.grouping import GroupedFeed
from tcetl.feeds.unpack import Unpacking

__all__ = [
    "FILE",
    "FORMATS",
    "PLACE",
    "POINTER",
    "ROW",
    "Feed",
    "Fetching",
    "Folder",
    "GroupedFeed",
    "PartedFeed",
    "RawBatch",
    "Source",
    "Unpacking",
    "feed_name",
    "index_of",
    "open_feed",
    "stated_records",
]


def open_feed(
    given: "str | os.PathLike[str] | BinaryIO | Source | Folder | Table",
    *,
    name: str | None = None,
    format: str = "auto",  # noqa: A002 - the word users know
    unpacking: Unpacking | None = None,
    fetching: Fetching | None = None,
    **options: Any,
) -> Feed:
    """Return the feed in *given*, plain or packed (gzip, bzip2, xz, Zstandard, ZIP) by its content.

    Args:
        given: A path to a file or folder, a pattern of paths, an address as `tcetl.feeds.sources.fetch` takes it, an
            opened binary stream, a source that somebody else fetched, or a table: a DataFrame of pandas or polars, a
            table of Arrow. The files that a pattern matches, and those of an archive, are one feed if they are of one
            format.
        name: The feed's name, for the origin of its records; the file's name without its ending by default.
        format: One of `FORMATS`, or ``auto`` to look at the content.
        unpacking: Password, member and limits for packed files; of a `Source` or `Folder`, its own counts.
        fetching: Keys, limits and proxies for an address.
        **options: Options of the format.

    Raises:
        FeedError: The file is missing, empty, or no feed of a known format; the message names what was found.
    """
    if format not in ("auto", *FORMATS):
        raise FeedError(f"'{format}' is not a feed format", hint=f"one of: auto, {', '.join(FORMATS)}")
    if is_table(given):
        return FrameFeed(given, name or "frame")
    unpacking = unpacking or Unpacking()
    if isinstance(given, str):
        fetched = fetch(given, fetching, unpacking=unpacking, index=index_of(given, format)).source
        assert fetched is not None  # nothing was made conditional
        source = fetched
    else:
        # No table any more, which mypy cannot conclude from a type guard.
        held: Any = Path(given) if isinstance(given, os.PathLike) else given
        source = locate(held, unpacking)
    if isinstance(source, Matches | Archive) and folder_format(source, format) is None:
        return JoinedFeed(source, name or feed_name(source.location), partial(_read, format, options))
    return _read(format, options, source, name or feed_name(source.location))


def index_of(address: str, format: str) -> str | None:  # noqa: A002
    """Return the name of the file that lists the others of a feed at *address*, where it is a folder of *format*."""
    return MANIFEST if format == "misp" or address.endswith(f"/{MANIFEST}") else None


def _read(format: str, options: dict[str, Any], source: Source | Folder, name: str) -> Feed:  # noqa: A002
    found = recognise(source) if format == "auto" else FORMATS[format]
    return found.open(source, name, **options)


def feed_name(given: str) -> str:
    """Return the name of the feed at a path or address: that of its file without endings."""
    path = Path(shown(given) if "://" in given else given)
    return (path.with_suffix("") if path.suffix in (".gz", ".bz2", ".xz", ".zst", ".zip") else path).stem
