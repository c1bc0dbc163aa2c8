"""JSON objects as rows of text: nested fields under dotted names, lists of values joined."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tcetl.feeds.base import PLACE

_DEEPEST: Final = 8  # objects within objects that are spread into columns; what is deeper stays JSON
_MOST_FIELDS: Final = 64  # of a nested object; one with more is a map by id or date, which stays JSON too
_MOST_COLUMNS: Final = 1000
_MOST_SHAPES: Final = 10_000


class Flattener:
    """Spreads objects into columns. Every record must have been learnt before any becomes a row."""

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}
        self._fields: dict[str, set[str]] = {}
        self._maps: set[str] = set()
        self._shapes: set[tuple[str, ...]] = set()

    @property
    def columns(self) -> Sequence[str]:
        """The columns, in the order in which they turned up."""
        return [name for name in self._columns if not any(name.startswith(f"{one}.") for one in self._maps)]

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take note of the columns of *record*.

        Raises:
            ValueError: the records have more columns than any table of indicators.
        """
        shape = tuple(record)
        if shape in self._shapes and dict not in map(type, record.values()):
            return
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes.add(shape)
        for name, parent, _ in self._spread(record, "", 0):
            self._columns.setdefault(name)
            if parent:
                fields = self._fields.setdefault(parent, set())
                fields.add(name)
                if len(fields) > _MOST_FIELDS:
                    self._maps.add(parent)
                    self._columns.setdefault(parent)
        if len(self._columns) > _MOST_COLUMNS and len(self.columns) > _MOST_COLUMNS:
            raise ValueError(f"the records have more than {_MOST_COLUMNS} different fields")

    def row(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of *record* by column, only those that it has; `as_text` makes cells of them."""
        if self._is_flat(record):
            return record
        row: dict[str, Any] = {}
        for name, _, value in self._spread(record, "", 0):
            row[name] = f"{as_text(row[name])}, {as_text(value)}" if row.get(name) and value else row.get(name) or value
        return row

    def _is_flat(self, record: Mapping[str, Any]) -> bool:
        """Tell whether *record* is its own row: no object in it, every key the name of a column."""
        return dict not in map(type, record.values()) and self._columns.keys() >= record.keys()

    def _spread(self, record: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, str, Any]]:
        """Yield (column, column of the object that it is a field of, value) for each field."""
        for key, value in record.items():
            name = f"{prefix}.{key}" if prefix else _column(key)
            if isinstance(value, dict) and value and depth < _DEEPEST and name not in self._maps:
                yield from self._spread(value, name, depth + 1)
            else:
                yield name, prefix, value


def as_text(value: Any) -> str:
    """Return a JSON value as the text of a cell: nothing for null, a list of plain values joined, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and not any(isinstance(one, list | dict) for one in value):
        return ", ".join(said for one in value if (said := as_text(one)))
    return json.dumps(value, ensure_ascii=False) if value else ""


def _column(key: str) -> str:
    return (key.removeprefix("_") if key.startswith(PLACE) else key) or "unnamed"
