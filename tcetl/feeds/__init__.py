"""Feed readers: each turns one format into raw batches whose every row knows its origin."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tcetl.errors import FeedError
from tcetl.feeds.base import FILE, PLACE, POINTER, ROW, Feed, RawBatch
from tcetl.feeds.decode import Decoder
from tcetl.feeds.lines import ListFeed
from tcetl.feeds.records import COMMENT
from tcetl.feeds.sniff import is_list, table_dialect
from tcetl.feeds.source import Source
from tcetl.feeds.table import TableFeed

__all__ = ["FILE", "FORMATS", "PLACE", "POINTER", "ROW", "Feed", "RawBatch", "open_feed"]

FORMATS: Final = ("csv", "text")


def open_feed(path: str | os.PathLike[str], *, name: str | None = None, format: str = "auto") -> Feed:  # noqa: A002
    """Return the feed in the file at *path*, plain or gzip, bzip2 or xz by its content.

    Args:
        path: The file.
        name: The feed's name, for the origin of its records; the file's name without its ending by default.
        format: ``csv`` (any delimited table), ``text`` (one value per line), or ``auto`` to look at the content.

    Raises:
        FeedError: The file is missing, empty, or no feed of a known format; the message names what was found.
    """
    if format not in ("auto", *FORMATS):
        raise FeedError(f"'{format}' is not a feed format", hint=f"one of: auto, {', '.join(FORMATS)}")
    source = Source(Path(path))
    name = name or _name(source.path)
    lines = Decoder().lines(source.head)
    if not any(line.strip() and not line.startswith(COMMENT) for line in lines):
        raise FeedError(f"feed file {path} holds comments but no rows", hint="is the feed empty today?")
    dialect = None if format == "text" else table_dialect(lines)
    # A list whose remarks follow a semicolon looks like a table too; only a row of names settles that it is one.
    if dialect and (format == "csv" or dialect.header or not is_list(lines)):
        return TableFeed(source, name, dialect)
    if format != "csv":
        return ListFeed(source, name)
    raise FeedError(
        f"feed file {path} is no table: its lines do not split into the same number of columns",
        hint=f"try format 'text'; the first line is {_first(lines)!r}",
    )


def _name(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in (".gz", ".bz2", ".xz") else path).stem


def _first(lines: Sequence[str]) -> str:
    return next(line for line in lines if line.strip() and not line.startswith(COMMENT))[:80]
