"""Groups as V2 batch JSON, and the files that go with them.

Source: ThreatConnect REST docs, Batch API V2 input, group object.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.groups import GROUP_TYPES, NAME_LIMIT, OWN_COLUMNS, GroupType, group_xid
from tcetl.load.records import COLUMNS
from tcetl.load.records.encode import Labels, encode, metadata, moment
from tcetl.load.refusals import Refusals
from tcetl.load.storage import full_name, locate

_WINDOW: Final = 10_000  # rows serialised at once: bounds memory, and has no bearing on where chunks are cut
_EVERYONES: Final = (
    "first_seen",
    "last_seen",
    "external_date_added",
    "external_last_modified",
    "external_date_expires",
)
_DISPLAYED: Final = {"description": "Description", "source": "Source"}


def settle(groups: pa.Table, owner: str, refusals: Refusals, labels: Labels, *, delete: bool) -> pl.DataFrame:
    """Return those of *groups* that can be sent, each once, sorted by type, name and xid.

    Args:
        groups: GROUPS in any order.
        owner: The owner that they are for.
        refusals: Gets the others.
        labels: What is known of security labels.
        delete: For a job that deletes: only the identity counts.

    Returns:
        Columns of GROUPS, where every row has an ``xid``, and ``content`` only where a file is to be uploaded after the
        group; with ``summary``, the name, and ``named``, true where the xid was made from it.
    """
    rows = pl.DataFrame(groups.cast(schema.GROUPS))
    made = [xid or group_xid(owner, kind, name) for kind, name, xid in rows.select("type", "name", "xid").iter_rows()]
    rows = rows.with_columns(
        xid=pl.Series(made, dtype=pl.String), named=pl.col("xid").fill_null("") == "", summary=pl.col("name")
    ).sort("type", "name", "xid")
    if delete:
        rows = rows.with_columns(content=pl.lit(None, pl.String))
    else:
        rows = _checked(_with_texts(rows, refusals), refusals)
    return _once(rows, refusals, labels, delete=delete)


def records(rows: pl.DataFrame, labels: Labels, *, delete: bool) -> Iterator[pl.DataFrame]:
    """Yield the settled *rows* in :data:`~tcetl.load.records.COLUMNS`, a window at a time."""
    for window in rows.iter_slices(_WINDOW):
        yield window.with_columns(_serialise(window, labels, delete=delete)).select(COLUMNS)


def files(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the files to upload to the settled *rows* in :data:`~tcetl.load.records.COLUMNS`, a window at a time."""
    for window in rows.filter(pl.col("content").is_not_null()).iter_slices(_WINDOW):
        paths = pl.Series([full_name(locate(content)) for content in window["content"]], dtype=pl.String)
        keys = window.select("type", "xid", pl.col("file_name").alias("fileName"), content=paths)
        yield window.with_columns(encode(keys), type=pl.format("{} file", "type")).select(COLUMNS)


def _serialise(rows: pl.DataFrame, labels: Labels, *, delete: bool) -> pl.Series:
    """One JSON object per row, in the same order; *rows* are sorted by type."""
    texts = []
    for part in rows.partition_by("type", maintain_order=True):
        keys = [pl.col("type"), pl.col("name"), pl.col("xid")]
        if not delete:
            kind = GROUP_TYPES.get(str(part["type"][0]))
            own = (*kind.required, *kind.optional) if kind else OWN_COLUMNS
            keys += [_key(part, column) for column in (*own, *_EVERYONES)]
            keys += metadata(part, labels, _DISPLAYED)
        texts.append(encode(part.select(keys)))
    return pl.concat(texts).alias("json") if texts else pl.Series("json", [], pl.String)


def _key(rows: pl.DataFrame, column: str) -> pl.Expr:
    first, *rest = column.split("_")
    key = first + "".join(word.capitalize() for word in rest)
    return moment(column, key) if rows.schema[column].is_temporal() else pl.col(column).alias(key)


def _with_texts(rows: pl.DataFrame, refusals: Refusals) -> pl.DataFrame:
    """*rows*, where Signatures given as a file have its text, which a batch file must have, and no file any more."""
    as_file = (pl.col("type") == "Signature") & pl.col("file_text").is_null() & pl.col("content").is_not_null()
    texts: dict[str, str] = {}
    problems: dict[str, str] = {}
    for content in rows.filter(as_file)["content"].unique():
        try:
            texts[content] = locate(content).read_bytes().decode()
        except (OSError, ValueError) as error:
            problems[content] = f"the signature cannot be read from {content}: {error}"
    if not (texts or problems):
        return rows
    found = pl.col("content").replace_strict(texts, default=None, return_dtype=pl.String)
    rows = rows.with_columns(
        file_text=pl.when(as_file).then(found).otherwise("file_text"),
        content=pl.when(as_file & found.is_not_null()).then(None).otherwise("content"),
    )
    why = pl.col("content").replace_strict(problems, default=None, return_dtype=pl.String)
    hint = "give a UTF-8 file that can be read, or its text as file_text"
    refusals.refuse(rows.filter(as_file), "group", "no-content", why, hint=hint)
    return rows.filter(~as_file)


def _checked(rows: pl.DataFrame, refusals: Refusals) -> pl.DataFrame:
    """Those of *rows* that are whole groups of their type; what values the platform allows is the platform's to say."""
    length = pl.col("name").str.len_chars()
    defects: list[pl.Expr] = [
        pl.when((length < 1) | (length > NAME_LIMIT)).then(
            pl.format("the name has {} characters; a group's has 1 to {}", length, pl.lit(NAME_LIMIT))
        ),
        pl.when(pl.col("malware") & (pl.col("password").fill_null("") == "")).then(
            pl.lit("malware needs its ZIP's password")
        ),
        pl.when(pl.col("insights").is_not_null() & pl.col("ai_provider").is_null()).then(
            pl.lit("insights need their ai_provider")
        ),
    ]
    filled = {column for column in (*OWN_COLUMNS, "content") if rows[column].count()}
    for name in rows["type"].unique():
        if name in GROUP_TYPES:
            defects += _misfits(GROUP_TYPES[name], filled)
    rows = rows.with_columns(defect=pl.coalesce(defects))
    refusals.refuse(rows.filter(pl.col("defect").is_not_null()), "group", "bad-group", pl.col("defect"))
    return rows.filter(pl.col("defect").is_null()).drop("defect")


def _misfits(kind: GroupType, filled: set[str]) -> Iterator[pl.Expr]:
    """What a group of this type lacks, and what it has that is none of its own; only columns *filled* can be that."""
    mine = pl.col("type") == kind.name
    for column in kind.required:
        empty = pl.col(column).is_null() | (pl.col(column) == "")
        yield pl.when(mine & empty).then(pl.lit(f"it has no {column}, which a {kind.name} needs"))
    own = {*kind.required, *kind.optional, *(("content",) if kind.has_content else ())}
    for column in sorted(filled - own):
        has_it = pl.col(column).is_not_null()
        yield pl.when(mine & has_it).then(pl.lit(f"it has {column}, which no {kind.name} has"))


def _once(rows: pl.DataFrame, refusals: Refusals, labels: Labels, *, delete: bool) -> pl.DataFrame:
    """*rows* with each xid once: the row whose JSON comes first; others that say the same are its repetitions."""
    twice = rows.filter(pl.col("xid").is_duplicated())
    if twice.is_empty():
        return rows
    twice = twice.with_columns(_serialise(twice, labels, delete=delete)).sort("xid", "json", "content")
    first = pl.col("xid").is_first_distinct()
    kept = twice.filter(first)
    others = twice.filter(~first).join(kept.select("xid", kept_json="json", kept_content="content"), on="xid")
    same = (pl.col("json") == pl.col("kept_json")) & pl.col("content").eq_missing(pl.col("kept_content"))
    refusals.repeat(others.filter(same), "group", "the same group is there already")
    why = pl.format("another group has the xid {}, and other data", "xid")
    hint = "keep one of them, or give them xids of their own"
    refusals.refuse(others.filter(~same), "group", "same-xid", why, hint=hint)
    return pl.concat([rows.filter(~pl.col("xid").is_duplicated()), kept.select(rows.columns)]).sort(
        "type", "name", "xid"
    )
