"""Tell from a feed's first lines whether it is a table, how cells are separated, and what the columns are called."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tcetl.feeds.base import PLACE
from tcetl.feeds.records import COMMENT, Records

_SAMPLE: Final = 200  # records looked at
_DELIMITERS: Final = (",", "\t", ";", "|")
_MOST_TITLES: Final = 4  # records above the one that names the columns
_AGREE: Final = 0.8  # share of records that must have the same number of cells for the file to be a table

_HASH: Final = r"[0-9A-Fa-f]{32,}"
_IPV4: Final = r"[0-9]+(?:\.[0-9]+){3}\S*"
_DATA: Final = re.compile(  # what stands in a row and never in a header
    rf"{_HASH}|{_IPV4}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:\S*|\S+://\S+|\S+@\S+\.\S+|[-+0-9.,:/ ]+|[0-9]{{4}}-[0-9]{{2}}.*"
    r"|AS[0-9]+|\S*\[\.\]\S*",
    re.IGNORECASE,
)
_DOTTED: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
# A list of one column may name it: the words such a line consists of.
_LONE_HEADER: Final = re.compile(
    r"urls?|ips?|ip[_ ]?address|domains?|host|hostname|indicator|ioc|value|md5|sha1|sha256|hash|email|cidr|asn",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table's cells are separated and what its columns are called.

    ``header`` is the number of records that stand before the data: none, or the one that names the columns and titles
    above it.
    """

    delimiter: str
    columns: tuple[str, ...]
    header: int
    skip_initial_space: bool


def table_dialect(lines: Sequence[str]) -> Dialect | None:
    """Return the dialect of the table that *lines* begin, or None when they are no table of several columns."""
    best: tuple[float, int, str, list[list[str]]] | None = None
    for delimiter in _DELIMITERS:
        # A line that begins with a semicolon is a comment to many lists, and hardly ever a record with a blank cell.
        rows = _records([line for line in lines if not line.startswith(";")] if delimiter == ";" else lines, delimiter)
        width, agreeing = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
        share = agreeing / max(len(rows), 1)
        if (width > 1 and share >= _AGREE) and (best is None or (share, width) > best[:2]):
            best = share, width, delimiter, rows
    data = [line for line in lines if line.strip() and not line.startswith(COMMENT)]
    if best is None:
        return _lone_column(data)
    _, width, delimiter, rows = best
    spaced = _spaced(data, delimiter)
    at = _header_at(rows, width)
    if at is not None:
        return Dialect(delimiter, column_names(map(str.strip, rows[at])), at + 1, spaced)
    for line in reversed(_comments_before_data(lines)):
        named = [cell.strip() for row in _records([line.lstrip(COMMENT).strip()], delimiter) for cell in row]
        if len(named) == width and is_header(named, rows):
            return Dialect(delimiter, column_names(named), 0, spaced)
    return Dialect(delimiter, column_names([""] * width), 0, spaced)


def _header_at(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """Return which of the first *rows* names the columns; above it stand titles, which leave most cells blank."""
    for at, row in enumerate(rows[: _MOST_TITLES + 1]):
        cells = [cell.strip() for cell in row]
        is_title = 2 * sum(map(bool, cells)) <= width
        if len(cells) == width and not is_title and is_header(cells, rows[at + 1 :]):
            return at
        if not is_title:
            break
    whole = bool(rows) and len(rows[0]) == width
    return 0 if whole and is_header([cell.strip() for cell in rows[0]], rows[1:]) else None


def is_header(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether *cells* name the columns of *rows*: no cell is data, and a dotted one is not a host among hosts."""
    if not any(cells) or any(len(cell) > 80 or _DATA.fullmatch(cell) for cell in cells):
        return False
    for at, cell in enumerate(cells):
        if _DOTTED.fullmatch(cell) and any(at < len(row) and _DOTTED.fullmatch(row[at].strip()) for row in rows[:20]):
            return False
    return True


def column_names(cells: Iterable[str]) -> tuple[str, ...]:
    """Return *cells* as unique column names: a blank one gets its number, a repeated one a suffix.

    A name that begins like a reserved one (``_row``) loses its underscore.
    """
    names: list[str] = []
    for at, cell in enumerate(cells):
        name = wanted = (cell.removeprefix("_") if cell.startswith(PLACE) else cell) or f"column_{at + 1}"
        suffix = 1
        while name in names:
            suffix += 1
            name = f"{wanted}_{suffix}"
        names.append(name)
    return tuple(names)


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    found = Records(lines, delimiter, skip_initial_space=True)
    found.read(_SAMPLE)
    return [record.cells for record in found.records]


def _lone_column(data: Sequence[str]) -> Dialect | None:
    """A table of one column is a list whose first line names it."""
    name = data[0].strip().strip('"') if data else ""
    if _LONE_HEADER.fullmatch(name):
        return Dialect(",", (name,), 1, skip_initial_space=False)
    return None


def _spaced(data: Sequence[str], delimiter: str) -> bool:
    """Tell whether a blank between delimiter and quote is notation (``"a", "b"``), as ThreatFox writes it."""
    return delimiter != "\t" and any(f'{delimiter} "' in line for line in data[:_SAMPLE])


def _comments_before_data(lines: Sequence[str]) -> list[str]:
    comments: list[str] = []
    for line in lines:
        if line.startswith(COMMENT):
            comments.append(line)
        elif line.strip():
            break
    return comments
