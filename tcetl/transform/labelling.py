"""Security labels for what brings none."""

from collections.abc import Sequence
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tcetl.schema import SECURITY_LABELS
from tcetl.transform.cells.tlp import LABELS

_GREY: Final = "808080"


def label(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return *table* (INDICATORS or GROUPS) with the security labels *names* in every row that has none."""
    at = table.schema.get_field_index("security_labels")
    if not names or not table.num_rows:
        return table
    field = table.schema.field(at)
    worn = pl.DataFrame(table.select([field.name]))
    given = pl.lit(pl.Series([list(dict.fromkeys(names))], dtype=pl.List(pl.String))).first()
    bare = pl.col(field.name).list.len().fill_null(0) == 0
    labelled = worn.select(pl.when(bare).then(given).otherwise(field.name)).to_series()
    column = cast(Any, labelled.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(field.type)
    return table.set_column(at, field, pa.chunked_array([column]))


def label_table(names: Sequence[str]) -> pa.Table:
    """Return the levels of the Traffic Light Protocol and the labels *names* as SECURITY_LABELS.

    A platform that has no such label makes it; of one that it does not know by color and description, it would lose
    the label, and with it the restriction that it stands for.
    """
    known = set(LABELS["name"].to_pylist())
    others = [name for name in dict.fromkeys(names) if name not in known]
    rows = [(name, _GREY, f"Security label {name}.") for name in others]
    made = pl.DataFrame(rows, schema=dict.fromkeys(SECURITY_LABELS.names, pl.String), orient="row")
    return pa.concat_tables([LABELS, made.to_arrow().cast(SECURITY_LABELS)])
