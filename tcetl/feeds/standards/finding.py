"""A value that a standard says something about, and how many of them become the batches of a feed."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple

import polars as pl

from tcetl.feeds.base import FILE, POINTER, ROW, Malformed, RawBatch, reject_table

_BATCH: Final = 20_000
_NOT_IN_TAG: Final = re.compile(r"[,;|\s]+")
LONGEST_DESCRIPTION: Final = 4000
"""Most characters of a description that is put together."""


class Finding(NamedTuple):
    """One value as a standard states it; the fields are the columns that `tcetl.transform.vocabulary` knows.

    ``type`` is an API name (``Host``) or a word that says more (``sha256``); empty where the value's shape decides.
    """

    value: str
    type: str
    description: str = ""
    source: str = ""
    tags: str = ""
    first_seen: str = ""
    last_seen: str = ""
    confidence: str = ""
    rating: str = ""
    tlp: str = ""


COLUMNS: Final = Finding._fields
"""The columns of every feed of a structured standard."""


class Refusal(NamedTuple):
    """What a standard states that is no indicator to load: deleted, expired, or of a type that is none.

    ``raw`` is the value or record as it stands. ``severity`` is ``info`` where the standard itself says so, ``error``
    where the record breaks its own standard.
    """

    raw: str
    code: str
    reason: str
    hint: str | None = None
    severity: str = "info"


class Placed(NamedTuple):
    """A finding or refusal, and where in the feed it stands: see `tcetl.feeds.base` on places."""

    item: Finding | Refusal
    row: int
    pointer: str | None
    file: str | None = None


def to_batches(items: Iterable[Placed], *, name: str, file: str, several_files: bool = False) -> Iterator[RawBatch]:
    """Yield *items* as the raw batches of the feed *name* in *file*; with *several_files* each item names its own."""
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(COLUMNS, pl.String) | {ROW: pl.Int64, POINTER: pl.String}
    if several_files:
        schema[FILE] = pl.String
    items = iter(items)
    while some := list(islice(items, _BATCH)):
        rows: list[tuple[object, ...]] = []
        refused: list[Malformed] = []
        for item, row, pointer, at in some:
            if isinstance(item, Finding):
                rows.append((*item, row, pointer, at) if several_files else (*item, row, pointer))
            else:
                raw, code, reason, hint, severity = item
                refused.append(Malformed(row, raw, code, reason, hint, pointer, at, severity))
        yield RawBatch(pl.DataFrame(rows, schema=schema, orient="row"), reject_table(refused, source=name, file=file))


def describe(*parts: str | None) -> str:
    """Return what is said of a value, each thing once, as one description."""
    said = dict.fromkeys(" ".join(part.split()) for part in parts if part)
    return "; ".join(part for part in said if part)[:LONGEST_DESCRIPTION]


def tag_cell(tags: Iterable[str]) -> str:
    """Return *tags* as one cell; what would cut a tag in two is a blank in it."""
    return ",".join(dict.fromkeys(filter(None, (_NOT_IN_TAG.sub(" ", tag).strip() for tag in tags))))


def moment(said: object) -> str:
    """Return a time, ISO 8601 or seconds since 1970, as ISO 8601 in UTC; what is no time comes back as it is."""
    text = str(said or "").strip()
    try:
        if re.fullmatch(r"[0-9]{1,11}", text):
            when = datetime.fromtimestamp(int(text), UTC) if int(text) else None
        else:
            when = datetime.fromisoformat(text) if text else None
            when = when.replace(tzinfo=UTC) if when and when.tzinfo is None else when
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else ""
    except (ValueError, OverflowError, OSError):
        return text[:100]
