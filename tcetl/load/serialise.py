"""Indicators as V2 batch JSON, column by column: no Python object per record.

Each type's rows are one struct column, encoded to JSON at once. polars writes a null as ``"key":null``, and the
platform should not see keys that were never set, so those are cut out of the text afterwards. That is exact, not a
heuristic: inside a JSON string a quote is always escaped, so ``,"rating":null`` can only be the key itself.

Source: ThreatConnect REST docs, Batch API V2 input, indicator object.
"""

from typing import Final

import polars as pl

from tcetl.indicators import TYPES

_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
_ATTRIBUTE_KEYS: Final = ("value", "source", "displayed")  # those that may be null
_REGISTRY_KEY: Final = r"(?s)^(.+?) : (.*?) ?: (\S+)$"


def serialise(rows: pl.DataFrame) -> pl.Series:
    """Return one JSON object per row of *rows* (INDICATORS, sorted by type), in the same order.

    Ratings are rounded to whole numbers, which is what batch jobs take; times are whole seconds UTC.
    """
    texts = [_encode(part, str(part["type"][0])) for part in rows.partition_by("type", maintain_order=True)]
    return pl.concat(texts).alias("json") if texts else pl.Series("json", [], pl.String)


def _encode(rows: pl.DataFrame, kind: str) -> pl.Series:
    keys = rows.select("type", *_value(kind), *_properties(kind), *_metadata(rows))
    nulls = {key: keys[key].null_count() for key in keys.columns}
    used = [key for key, count in nulls.items() if count < rows.height]
    cut = [f',"{key}":null' for key in used if nulls[key]]
    if "attribute" in used:
        cut += [f',"{key}":null' for key in _ATTRIBUTE_KEYS]
    encoded = keys.select(pl.struct(used).struct.json_encode().alias("json"))["json"]
    return encoded.str.replace_many(cut, [""] * len(cut)) if cut else encoded


def _value(kind: str) -> list[pl.Expr]:
    """The keys that hold an indicator's value; ``summary`` for types of which we know no keys."""
    summary = pl.col("summary")
    match TYPES[kind].value_keys if kind in TYPES else ():
        case ():
            return [summary]
        case (key,):
            return [summary.alias(key)]
        case keys if kind == "File":
            hashed = pl.any_horizontal(pl.col(key).is_not_null() for key in keys)
            return [pl.when(~hashed).then(summary).alias("summary"), *(pl.col(key) for key in keys)]
        case keys:
            parts = summary.str.extract_groups(_REGISTRY_KEY).struct
            name, value, form = (parts.field(str(n)) for n in (1, 2, 3))
            # The platform wants one space where a registry key has no value name.
            value = pl.when(value == "").then(pl.lit(" ")).otherwise(value)
            return [
                pl.when(name.is_null()).then(summary).alias("summary"),
                *(part.alias(key) for part, key in zip((name, value, form), keys, strict=True)),
            ]


def _properties(kind: str) -> list[pl.Expr]:
    columns = [
        pl.col("rating").round().cast(pl.Int64),
        pl.col("confidence"),
        pl.col("active"),
        pl.col("active_locked").alias("activeLocked"),
        pl.col("private_flag").alias("privateFlag"),
        pl.col("description"),
        pl.col("first_seen").dt.strftime(_MOMENT).alias("firstSeen"),
        pl.col("last_seen").dt.strftime(_MOMENT).alias("lastSeen"),
    ]
    if kind == "File":
        columns.append(pl.col("size"))
    if kind == "Host":
        columns += [pl.col("dns_active").alias("flag1"), pl.col("whois_active").alias("flag2")]
    return columns


def _metadata(rows: pl.DataFrame) -> list[pl.Expr]:
    """Attributes, tags and security labels in the order given; null when there are none."""
    field = pl.element().struct.field
    attributes = pl.col("attributes").list.eval(pl.struct(field(name) for name in ("type", *_ATTRIBUTE_KEYS)))
    if rows["source"].null_count() < rows.height:
        # A source with no attribute of its own becomes one: V2 has no such key, and dropping it would lose it.
        has_one = pl.col("attributes").list.eval(field("type") == "Source").list.any()
        source = pl.struct(
            pl.lit("Source").alias("type"),
            pl.col("source").alias("value"),
            pl.lit(None, pl.String).alias("source"),
            pl.lit(True).alias("displayed"),
        )
        attributes = (
            pl.when(pl.col("source").is_null() | has_one)
            .then(attributes)
            .otherwise(pl.concat_list(attributes, pl.concat_list(source)))
        )
    tags = pl.col("tags").list.eval(pl.struct(field("name")))
    labels = pl.col("security_labels").list.eval(pl.struct(pl.element().alias("name")))
    lists = {"attribute": attributes, "tag": tags, "securityLabel": labels}
    return [pl.when(values.list.len() > 0).then(values).alias(key) for key, values in lists.items()]
