"""Transforms of the indicators at the end: valid, unique, as they would be loaded."""

from collections.abc import Sequence
from typing import Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tcetl.schema import INDICATORS, TAG
from tcetl.transform.user.calling import Batch, Result, call
from tcetl.transform.user.functions import Transform

_ROWS: Final = 65_536
SETTLED: Final = ("type", "summary", "md5", "sha1", "sha256")
"""What an indicator is; a transform sees it and cannot change it."""
_SEEN: Final = (
    *SETTLED, "rating", "confidence", "description", "source", "tags", "attributes", "security_labels", "tlp", "size",
    "active", "active_locked", "private_flag", "dns_active", "whois_active", "first_seen", "last_seen",
    "external_date_added", "external_last_modified", "external_date_expires",
)  # fmt: skip
_NAMES: Final = pa.list_(pa.string())
_LISTS: Final = ("tags", "attributes", "security_labels")


def run_on_indicators(
    indicators: pa.Table, transforms: Sequence[Transform]
) -> tuple[pa.Table, list[tuple[str, pa.Table]]]:
    """Return *indicators* as they are now, and those dropped, by the name of who dropped them; both INDICATORS.

    ``tags`` are lists of names to the functions; all other columns have the types of INDICATORS.

    Raises:
        TransformError: A function failed, or what it returned breaks a rule.
    """
    kept, dropped = [], []
    starts = range(0, indicators.num_rows, _ROWS)
    for number, start in enumerate(starts, 1):
        table = indicators.slice(start, _ROWS).combine_chunks()
        for transform in transforms:
            if table.num_rows:
                table, lost = _apply(transform, table, number)
                if lost.num_rows:
                    dropped.append((transform.name, lost))
        kept.append(table)
    return pa.concat_tables([indicators.slice(0, 0), *kept]), dropped


def _apply(transform: Transform, table: pa.Table, number: int) -> tuple[pa.Table, pa.Table]:
    origin = table["origin"].combine_chunks()
    rows = cast(pl.Series, pl.from_arrow(pc.struct_field(origin, "row")))
    files = pc.struct_field(origin, "file").unique().to_pylist()
    batch = Batch(number, str(files[0]) if len(files) == 1 else f"{len(files)} files", rows)
    seen = table.select(list(_SEEN))
    tags = table["tags"].combine_chunks()
    names = pa.ListArray.from_arrays(tags.offsets, pc.struct_field(tags.values, "name"), type=_NAMES)
    result = call(transform, seen.set_column(seen.column_names.index("tags"), "tags", names), batch)
    kept = table.take(pa.array(result.positions, pa.int64()))
    for name in result.columns:
        if name not in _SEEN:
            raise result.broken(f"returned a column '{name}'", f"indicators have: {', '.join(_SEEN)}")
        made = result.column(name, _NAMES if name == "tags" else INDICATORS.field(name).type)
        _check(result, name, made, kept[name].combine_chunks())
        made = _tags(made) if name == "tags" else made
        kept = kept.set_column(kept.column_names.index(name), INDICATORS.field(name), made)
    lost = set(range(table.num_rows)).difference(result.positions)
    return kept, table.take(pa.array(sorted(lost), pa.int64()))


def _check(result: Result, name: str, made: pa.Array, before: pa.Array) -> None:
    values = cast(pl.Series, pl.from_arrow(made))
    if name in SETTLED and not made.equals(before):
        changed = int(values.ne_missing(cast(pl.Series, pl.from_arrow(before))).arg_true()[0])
        raise result.broken(
            f"changed '{name}' of row {result.row(changed)}",
            "what an indicator is is settled by then: change it in a transform of the feed's rows",
        )
    if name in _LISTS and made.null_count:
        missing = int(values.is_null().arg_true()[0])
        raise result.broken(f"returned nothing as '{name}' of row {result.row(missing)}", "return an empty list")
    result.check_range(name, values)


def _tags(names: pa.ListArray) -> pa.Array:
    """Lists of names as tags: sorted, each once, none that is empty."""
    lists = cast(pl.Series, pl.from_arrow(names)).to_frame("tag")
    tidy = pl.col("tag").list.eval(pl.element().drop_nulls().filter(pl.element() != "")).list.unique().list.sort()
    tidied = lists.select(tidy.cast(pl.List(pl.String))).to_series().to_arrow(compat_level=pl.CompatLevel.oldest())
    flat = tidied.flatten().cast(pa.string())
    values = pa.StructArray.from_arrays([flat, pa.nulls(len(flat), pa.string())], fields=list(TAG))
    offsets = tidied.offsets.cast(pa.int32())
    return pa.ListArray.from_arrays(offsets, values, type=INDICATORS.field("tags").type)
