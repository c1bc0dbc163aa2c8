"""The formats of feeds: one module each, and one line here.

They are asked in this order whether a file is theirs: those with a mark of their own first, then those that are told by
their structure, and at the end what any text is.
"""

from typing import Final

from tcetl.errors import FeedError
from tcetl.feeds.format import Format
from tcetl.feeds.formats import csv, json, lines, misp, ndjson, openioc, otx, parquet, report, stix, stix1, xlsx
from tcetl.feeds.source import Folder, Source

FORMATS: Final[dict[str, Format]] = {
    one.name: one
    for one in (
        xlsx.FORMAT,
        parquet.FORMAT,
        misp.FORMAT,
        stix.FORMAT,
        stix1.FORMAT,
        openioc.FORMAT,
        otx.FORMAT,
        ndjson.FORMAT,
        json.FORMAT,
        csv.FORMAT,
        lines.FORMAT,
        report.FORMAT,
    )
}


def folder_format(folder: Folder, format: str = "auto") -> Format | None:  # noqa: A002
    """Return the format, that called *format* or any, of which *folder* is one feed as it is, if it is of one."""
    asked = FORMATS.values() if format == "auto" else [FORMATS[format]]
    return next((one for one in asked if one.recognise_folder and one.recognise_folder(folder)), None)


def recognise(source: Source | Folder) -> Format:
    """Return the format of *source*, by its content.

    Raises:
        FeedError: it is of no known format; the message says what was found instead.
    """
    if isinstance(source, Source):
        found = next((one for one in FORMATS.values() if one.recognise(source)), None)
    else:
        found = folder_format(source)
    if found:
        return found
    known = f"formats that can be read: {', '.join(FORMATS)}"
    if isinstance(source, Source):
        raise FeedError(f"feed file {source.location} is {source.foreign or 'of no known format'}", hint=known)
    names = source.names()
    raise FeedError(
        f"{source.location} holds {len(names)} files and is no feed that consists of several",
        hint=f"name one of them: {', '.join(names[:10])}" if names else "is this the right folder?",
    )
