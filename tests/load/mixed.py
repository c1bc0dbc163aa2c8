"""Rows of every kind for tests of mixed loads, each saying which row of a feed it came from."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tcetl.schema import ASSOCIATIONS, FILE_OCCURRENCES, GROUPS, SECURITY_LABELS


def origin(row: int, file: str) -> dict[str, Any]:
    return {"source": "feed", "file": file, "row": row, "raw": f"raw {row}"}


def groups(*rows: dict[str, Any]) -> pa.Table:
    """GROUPS of *rows*, each with a type and a name at least."""
    lists = {"tags": [], "attributes": [], "security_labels": []}
    filled = [lists | {"origin": origin(number, "groups")} | row for number, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(filled, schema=GROUPS)


def named_groups(count: int, type_: str = "Threat", **columns: Any) -> pa.Table:
    """*count* groups with xids ``xid-00`` and so on."""
    rows = [{"type": type_, "name": f"Group {n:02}", "xid": f"xid-{n:02}", **columns} for n in range(count)]
    return groups(*rows)


Pair = tuple[tuple[str | None, str | int], tuple[str | None, str | int]]


def associations(*pairs: Pair, association_type: str | None = None) -> pa.Table:
    """ASSOCIATIONS of *pairs* of (type, summary, xid or id)."""
    rows: list[dict[str, Any]] = []
    for number, ends in enumerate(pairs, start=1):
        row: dict[str, Any] = {"association_type": association_type, "origin": origin(number, "associations")}
        for side, (kind, name) in enumerate(ends, start=1):
            row |= {f"type_{side}": kind, f"id_{side}" if isinstance(name, int) else f"ref_{side}": name}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=ASSOCIATIONS)


def occurrences(*rows: dict[str, Any]) -> pa.Table:
    """FILE_OCCURRENCES of *rows*."""
    filled = [{"origin": origin(number, "occurrences")} | row for number, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(filled, schema=FILE_OCCURRENCES)


def labels(*rows: Sequence[str]) -> pa.Table:
    """SECURITY_LABELS of *rows*."""
    return pa.Table.from_pylist(
        [dict(zip(SECURITY_LABELS.names, row, strict=True)) for row in rows], schema=SECURITY_LABELS
    )
