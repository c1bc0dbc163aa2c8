"""Columns to JSON text, and the lists of attributes, tags and security labels that indicators and groups share.

Rows are one struct column, encoded to JSON at once. polars writes a null as ``"key":null``, and the platform should not
see keys that were never set, so those are cut out of the text afterwards. That is exact, not a heuristic: inside a JSON
string a quote is always escaped, so ``,"rating":null`` can only be the key itself.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

import polars as pl
import pyarrow as pa

from tcetl.errors import LoadError

MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
"""Times on the wire: whole seconds, UTC."""

Labels = Mapping[str, tuple[str, str]]
"""Security labels that the platform may have to make: name → color, description."""

_COLOR: Final = re.compile("[0-9A-Fa-f]{6}")


def labels_of(table: pa.Table | None) -> Labels:
    """SECURITY_LABELS as a mapping; of two rows with one name, the one with the smaller color and description.

    Raises:
        LoadError: A color is none.
    """
    rows = sorted((row["name"], row["color"], row["description"]) for row in (table.to_pylist() if table else []))
    for name, color, _ in rows:
        if _COLOR.fullmatch(color) is None:
            raise LoadError(f"the security label {name!r} has the color {color!r}", hint="use six hex digits: FFC000")
    return {name: (color, description) for name, color, description in reversed(rows)}


def encode(keys: pl.DataFrame) -> pl.Series:
    """Return each row of *keys*, a column per key, as a JSON object without its nulls.

    No object may be all nulls, the row's own or one in a list; one in a list within a list must not begin with a null.
    """
    used = keys.select(key.name for key in keys if key.null_count() < keys.height)
    encoded = used.select(pl.struct(pl.all()).struct.json_encode().alias("json"))["json"]
    if not encoded.str.contains(":null", literal=True).any():  # looking is quicker than cutting
        return encoded
    names = {key.name for key in used if key.has_nulls()}.union(*(_names(key.dtype) for key in used))
    null = f'"(?:{"|".join(sorted(map(re.escape, names)))})":null'
    if any(objects.to_series().has_nulls() for objects in (used, *_listed(used))):
        encoded = encoded.str.replace_all(rf"\{{(?:{null},)+", "{")
    return encoded.str.replace_all(f",{null}", "")


def _names(kind: pl.DataType) -> Iterator[str]:
    """The keys of the objects in columns of type *kind*."""
    if isinstance(kind, pl.List):
        yield from _names(cast("pl.DataType", kind.inner))
    elif isinstance(kind, pl.Struct):
        for field in kind.fields:
            yield field.name
            yield from _names(cast("pl.DataType", field.dtype))


def _listed(keys: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the objects in each column of lists."""
    for key in keys:
        if isinstance(key.dtype, pl.List):
            yield key.explode(empty_as_null=False, keep_nulls=False).struct.unnest()


def moment(column: str, key: str) -> pl.Expr:
    """The times in *column* as text, under *key*."""
    return pl.col(column).dt.strftime(MOMENT).alias(key)


def metadata(rows: pl.DataFrame, labels: Labels, displayed: Mapping[str, str]) -> list[pl.Expr]:
    """``attribute``, ``tag`` and ``securityLabel`` in the order given; null when there are none.

    Args:
        rows: INDICATORS or GROUPS.
        labels: What is known of security labels.
        displayed: Columns for which V2 has no key, and the attribute that each becomes, displayed, where a row has none
            of that type.
    """
    lists = {
        "attribute": _attributes(rows, labels, displayed),
        "tag": pl.col("tags").list.eval(pl.struct(pl.element().struct.field("name"))),
        "securityLabel": _labels(pl.col("security_labels"), labels),
    }
    return [pl.when(values.list.len() > 0).then(values).alias(key) for key, values in lists.items()]


def _attributes(rows: pl.DataFrame, labels: Labels, displayed: Mapping[str, str]) -> pl.Expr:
    field = pl.element().struct.field
    given = rows["attributes"].explode(empty_as_null=False, keep_nulls=False).struct
    keys = [
        field(name)
        for name in ("type", "value", "source", "displayed")
        if name != "source" or given.field(name).count()
    ]
    if given.field("pinned").count():
        keys.append(field("pinned"))
    if given.field("security_labels").count():
        keys.append(_labels(field("security_labels"), labels).alias("securityLabel"))
    attributes = pl.col("attributes").list.eval(pl.struct(keys))
    for column, kind in displayed.items():
        if rows[column].null_count() < rows.height:
            said = {"type": pl.lit(kind), "value": pl.col(column), "displayed": pl.lit(True)}
            one = pl.struct(
                said.get(key.meta.output_name(), pl.lit(None)).alias(key.meta.output_name()) for key in keys
            )
            has_one = pl.col("attributes").list.eval(field("type") == kind).list.any()
            extended = pl.concat_list(attributes, pl.concat_list(one))
            attributes = pl.when(pl.col(column).is_null() | has_one).then(attributes).otherwise(extended)
    return attributes


def _labels(names: pl.Expr, labels: Labels) -> pl.Expr:
    keys = [pl.element().alias("name")]
    for place, key in enumerate(("color", "description") if labels else ()):
        known = {label: parts[place] for label, parts in labels.items()}
        keys.append(pl.element().replace_strict(known, default=None, return_dtype=pl.String).alias(key))
    return names.list.eval(pl.struct(keys))
