"""Which column of a feed means what, by its name or, where names say nothing, by its values."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import polars as pl

from tcetl.errors import FeedError
from tcetl.feeds import PLACE, Feed
from tcetl.indicators import classify, refang
from tcetl.transform import vocabulary as words
from tcetl.transform.columns.column_map import ColumnMap
from tcetl.transform.columns.fingerprints import are_certificates, is_fingerprint, may_be_certificates, not_files
from tcetl.transform.columns.instead import filled_instead
from tcetl.transform.columns.leading import leading
from tcetl.transform.values.exact import LONGEST_VALUE, settle_one
from tcetl.transform.vocabulary import plain_name

_SAMPLE: Final = 500
_MOSTLY: Final = 0.5  # share of a column's cells that must be indicators for it to be the value column
# What says something about an indicator and may well consist of addresses, but of those of reports.
_REMARKS: Final = frozenset((*words.DESCRIPTION_NAMES, *words.SOURCE_NAMES, *words.TAG_NAMES))
_RANGE_ENDS: Final = frozenset({"end", "end_ip", "ip_end", "last_ip"})
_REFERENCES: Final = 0.1  # distinct hosts per URL below which a column of URLs is one of links to reports


def map_columns(feed: Feed, sample: pl.DataFrame, given: Mapping[str, Any] | None = None) -> ColumnMap:
    """Return what the columns of *feed* mean; *sample* holds its first rows, *given* the columns of some roles.

    Raises:
        FeedError: no column holds indicators; the message names the columns found.
    """
    columns = [name for name in sample.columns if name not in PLACE]
    by_name = {plain_name(column): column for column in reversed(columns)}  # the first of equals wins
    kind = _first(by_name, words.TYPE_NAMES)
    given = given or {}
    value_type = None
    declares = kind is not None and any(plain_name(cell) in words.TYPE_WORDS for cell in _cells(sample, kind))
    if feed.format == "list" and "value_type" in given:
        given = {"value": feed.columns[0], **given}
    value = given.get("value") or next(
        (by_name[name] for name in words.VALUE_NAMES if name in by_name and (declares or _any(sample, by_name[name]))),
        None,
    )
    if "value" in given and not declares:
        kind = None
    of_certificates = may_be_certificates(by_name.keys(), feed.comments)
    others: dict[str, str] = {}
    if value is None and (named := [(by_name[name], of) for name, of in words.TYPED_NAMES.items() if name in by_name]):
        if others_than_files := [one for one in named if one[1] != "File" and of_certificates]:
            named = others_than_files
        value, value_type = named[0]
        kind = kind if declares else None  # a type of threat, where the column itself says what its values are
        others = filled_instead(sample, value)
        if not others:
            value, value_type = leading(sample, named)
    if value_type == "EmailAddress" and _stands_before(sample, value):
        value = value_type = None  # an address to complain to
    if value is None:
        kind = kind or _type_column(sample)
        value = _value_column(sample, kind)
    if value is None:
        raise _unusable(feed, sample)
    is_found = "value" not in given
    if is_found and are_certificates(by_name.keys(), feed.comments) and _are_files(sample, value):
        raise not_files(feed.file, value, "TLS certificates", "the servers that SSLBL lists are the feed sslbl-c2; ")
    value_type = None if kind else value_type
    hashes = [column for name, column in by_name.items() if name in words.HASH_NAMES and column != value]
    if value_type not in (None, "File") and of_certificates:
        hashes = []
    further = [
        column
        for column in columns
        if words.FURTHER_NAME.fullmatch(plain_name(column)) and column not in (value, kind) and _share(sample, column)
    ]
    return ColumnMap(
        value=value,
        value_type=value_type,
        type=kind,
        hashes=hashes,
        also=dict.fromkeys(further, "") | others,
        description=_first(by_name, words.DESCRIPTION_NAMES),
        details=[column for column in columns if plain_name(column) in words.DETAIL_NAMES],
        source=_first(by_name, words.SOURCE_NAMES),
        tags=_first(by_name, words.TAG_NAMES),
        first_seen=_first(by_name, words.FIRST_SEEN_NAMES),
        last_seen=_first(by_name, words.LAST_SEEN_NAMES),
        confidence=_first(by_name, words.CONFIDENCE_NAMES),
        rating=_first(by_name, words.RATING_NAMES),
        tlp=_first(by_name, words.TLP_NAMES),
    ).with_roles(given)


def left_over(sample: pl.DataFrame, taken: ColumnMap) -> list[str]:
    """Return the columns of *sample* that hold indicators as well, but of which *taken* takes nothing.

    Hosts do not count, unless the column is called so: names of malware (``win.example``) and of people are shaped like
    them. Nor do e-mail addresses, unless they are those of senders: beside something else, they are whom to complain
    to; nor the last address of a range.
    """
    return [
        column
        for column in sample.columns
        if column not in {*PLACE, *taken.used()}
        and plain_name(column) not in _REMARKS | _RANGE_ENDS
        and not is_fingerprint(plain_name(column))
        and not _is_reference(sample, column)
        and _share(sample, column, but=_unlikely(plain_name(column))) >= _MOSTLY
    ]


def _unlikely(name: str) -> set[str]:
    """The types of indicators that a column of that plain *name* is not looked at for."""
    host: set[str] = set() if name in words.TYPED_NAMES else {"Host"}
    return host if "sender" in name else {*host, "EmailAddress"}


def _stands_before(sample: pl.DataFrame, column: str | None) -> bool:
    """Tell whether an indicator, other than what may be a name, stands before *column* in a row."""
    before = sample.columns[: sample.columns.index(column)] if column else []
    return any(_share(sample, name, but={"Host"}) >= _MOSTLY for name in before if plain_name(name) not in _REMARKS)


def _unusable(feed: Feed, sample: pl.DataFrame) -> FeedError:
    for column in feed.columns:
        if is_fingerprint(plain_name(column)) and any(_shape(cell) == "File" for cell in _cells(sample, column)):
            return not_files(feed.file, column, "something else than files")
    if feed.format == "list":
        return FeedError(
            f"no line of {feed.file} is an indicator; the first is {sample[feed.columns[0]][0]!r:.120}",
            hint="a list holds one value per line; of free text, say the type: --column value_type=Mutex or the like",
        )
    return FeedError(
        f"no column of {feed.file} holds indicators; it has: {', '.join(feed.columns)}",
        hint="name the column ioc, url, ip, domain, sha256 or the like, or say which it is: --column value=NAME",
    )


def _any(sample: pl.DataFrame, column: str) -> bool:
    """Tell whether any cell is an indicator by its shape; a column called ``value`` may hold anything."""
    return any(_shape(cell) for cell in sample[column])


def _share(sample: pl.DataFrame, column: str, *, but: Collection[str] = ()) -> float:
    """Return the share of cells that are valid indicators, or lists of them, of any type *but* some."""
    cells = _cells(sample, column)
    no = (None, *but)
    hits = sum(all(settle_one(part).type not in no for part in words.LISTED.split(cell.strip())) for cell in cells)
    return hits / max(len(cells), 1)


def _shape(cell: str) -> str | None:
    return classify(refang(cell)) if len(cell) <= LONGEST_VALUE else None


def _are_files(sample: pl.DataFrame, column: str) -> bool:
    return {_shape(cell) for cell in _cells(sample, column)} == {"File"}


def _first(by_name: dict[str, str], names: Sequence[str]) -> str | None:
    return next((by_name[name] for name in names if name in by_name), None)


def _type_column(sample: pl.DataFrame) -> str | None:
    """Return the column in which nearly every cell is a type word."""
    for column in sample.columns:
        cells = _cells(sample, column)
        if cells and sum(plain_name(cell) in words.TYPE_WORDS for cell in cells) >= 0.9 * len(cells):
            return column
    return None


def _value_column(sample: pl.DataFrame, kind: str | None) -> str | None:
    """Return the column with the most indicators: of the declared types, if a column declares any."""
    best, best_share = None, _MOSTLY
    for column in sample.columns:
        if column in (kind, *PLACE) or plain_name(column) in _REMARKS:
            continue
        no_file = is_fingerprint(plain_name(column))
        shapes = (_shape(cell) for cell in sample[column].head(_SAMPLE))
        types = [None if no_file and shape == "File" else shape for shape in shapes]
        if kind:
            declared = [words.TYPE_WORDS.get(plain_name(word)) for word in sample[kind].head(_SAMPLE)]
            hits = sum(found is not None and found == wanted for found, wanted in zip(types, declared, strict=True))
        else:
            hits = 0 if _is_reference(sample, column) else sum(found is not None for found in types)
        share = hits / max(len(types), 1)
        if share > best_share:
            best, best_share = column, share
    return best


def _is_reference(sample: pl.DataFrame, column: str) -> bool:
    """Tell whether a column of URLs links to reports: very many rows, very few hosts."""
    hosts = [cell.split("/")[2].lower() for cell in _cells(sample, column) if cell.count("/") > 1 and "://" in cell]
    return len(hosts) >= 20 and len(set(hosts)) <= _REFERENCES * len(hosts)


def _cells(sample: pl.DataFrame, column: str) -> list[str]:
    return [] if column in PLACE else [cell for cell in sample[column].head(_SAMPLE) if cell and cell.strip()]
