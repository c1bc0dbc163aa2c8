"""Associations as V2 batch JSON: each one a record, whatever it joins.

A batch file could also list associations inside its groups and indicators. As records of their own they come after
everything that they join, in whatever chunks that is, and the platform answers for each of them. Source: ThreatConnect
REST docs, Batch API V2 input, association object (ThreatConnect 7.8.2 or newer).
"""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl
import pyarrow as pa

from tcetl import schema
from tcetl.groups import GROUP_TYPES
from tcetl.load.records import COLUMNS
from tcetl.load.records.encode import encode
from tcetl.load.refusals import Refusals

NAME: Final = "Association"
"""What dead letters give as the type of an association that has none."""

_GROUP: Final = "Group"  # of whatever type
_WINDOW: Final = 10_000
_ENDS: Final = ("type_1", "ref_1", "id_1", "type_2", "ref_2", "id_2")


def settle(associations: pa.Table, groups: pl.DataFrame, refusals: Refusals) -> pl.DataFrame:
    """Return those of *associations* that can be sent, each once, sorted, with groups by their xids.

    Args:
        associations: ASSOCIATIONS in any order.
        groups: The settled groups of the same load.
        refusals: Gets the others.
    """
    rows = pl.DataFrame(associations.cast(schema.ASSOCIATIONS))
    named = groups.filter("named").select("type", "name", "xid")
    types = groups.select("xid", "type")
    for side in (1, 2):
        rows = _with_end(rows, side, named, types)
    both = pl.all_horizontal(_is_indicator(side) for side in (1, 2))
    rows = rows.with_columns(
        association_type=pl.when(both).then("association_type"),
        end_1=_end(1),
        end_2=_end(2),
    ).with_columns(type=pl.coalesce("association_type", pl.lit(NAME)), summary=pl.format("{} - {}", "end_1", "end_2"))
    rows = _checked(rows, both, refusals).sort(*_ENDS, "association_type")
    one, other = pl.min_horizontal("end_1", "end_2").alias("one"), pl.max_horizontal("end_1", "end_2").alias("other")
    first = pl.struct(one, other, "association_type").is_first_distinct()
    refusals.repeat(rows.filter(~first), "association", "the same two are associated already")
    return rows.filter(first)


def records(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the settled *rows* in :data:`~tcetl.load.records.COLUMNS`, a window at a time."""
    for window in rows.iter_slices(_WINDOW):
        keys = window.select("ref_1", "id_1", "type_1", "ref_2", "id_2", "type_2", associationType="association_type")
        yield window.with_columns(encode(keys), xid=pl.lit(None, pl.String)).select(COLUMNS)


def called(record: dict[str, Any]) -> tuple[str, str]:
    """What dead letters call an association: its type, and what it joins."""
    ends = []
    for side in (1, 2):
        id_ = record.get(f"id_{side}")
        name = f"#{id_}" if id_ is not None else record.get(f"ref_{side}", "")
        ends.append(f"{record.get(f'type_{side}') or _GROUP} {name}")
    return str(record.get("associationType") or NAME), " - ".join(ends)


def _with_end(rows: pl.DataFrame, side: int, named: pl.DataFrame, types: pl.DataFrame) -> pl.DataFrame:
    """*rows* with one end settled: an id or else a ref, a group that has no xid of its own by the one made for it."""
    kind, ref, id_ = f"type_{side}", f"ref_{side}", f"id_{side}"
    rows = (
        rows.with_columns(pl.when(pl.col(id_).is_null(), pl.col(ref) != "").then(ref))
        .join(types.rename({"xid": ref, "type": "its_type"}), on=ref, how="left")
        .join(named.rename({"type": kind, "name": ref, "xid": "made_xid"}), on=[kind, ref], how="left")
    )
    # A group given without its type is the same end as one given with it.
    is_xid = pl.col("its_type").is_not_null() & (pl.col(kind).is_null() | (pl.col(kind) == pl.col("its_type")))
    return rows.with_columns(
        pl.when(is_xid).then("its_type").otherwise(kind).alias(kind),
        pl.when(is_xid).then(ref).otherwise(pl.coalesce("made_xid", ref)).alias(ref),
    ).drop("its_type", "made_xid")


def _is_indicator(side: int) -> pl.Expr:
    return pl.col(f"type_{side}").is_in(list(GROUP_TYPES)).not_().fill_null(False)


def _end(side: int) -> pl.Expr:
    """What an end is called; null where it is not said."""
    name = pl.coalesce(pl.format("#{}", f"id_{side}"), f"ref_{side}")
    return pl.format("{} {}", pl.col(f"type_{side}").fill_null(_GROUP), name)


def _checked(rows: pl.DataFrame, both_indicators: pl.Expr, refusals: Refusals) -> pl.DataFrame:
    missing = pl.any_horizontal(pl.col("end_1").is_null(), pl.col("end_2").is_null())
    nameless = both_indicators & pl.col("association_type").is_null()
    itself = pl.col("end_1") == pl.col("end_2")
    for defect, code, reason, hint in (
        (missing, "no-end", "it does not say what it joins", "give a ref or an id for both ends"),
        (nameless, "no-association-type", "it joins two indicators and does not say how", "give its association_type"),
        (itself, "self-association", "it joins something with itself", "name two different ends"),
    ):
        defect = defect.fill_null(False)  # noqa: PLW2901
        refusals.refuse(rows.filter(defect), "association", code, pl.lit(reason), hint=hint)
        rows = rows.filter(~defect)
    return rows
