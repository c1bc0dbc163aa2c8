"""Which keys a report makes use of: the parser then does no work for the others.

pyarrow's parser puts a null wherever an item lacks a key of the schema, and most reports have but half of the keys that
there are.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from threading import Lock
from typing import Final, Self

import pyarrow as pa
import pyarrow.json

from tcetl.client.report.cutting import LIST
from tcetl.client.report.wire import ITEM

Path = tuple[str, ...]
"""A key of items, or one of the elements of a list in them."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Known keys: their ``paths``, and the ``schema`` of a list of items with just these."""

    paths: Set[Path]
    schema: pa.Schema

    @classmethod
    def of(cls, paths: Set[Path]) -> Self:
        """Those of *paths* that are known."""
        known = paths & ALL
        return cls(known, pa.schema([pa.field(LIST.decode(), pa.list_(_only(ITEM, known)))]))

    def options(self, others: str) -> pa.json.ParseOptions:
        """Options for a parser that takes a list of items; *others* is what it does with other keys."""
        return pa.json.ParseOptions(explicit_schema=self.schema, unexpected_field_behavior=others)


class Seen:
    """The ``keys`` that came up in a report so far. Threads may share one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.keys = Keys.of(frozenset())

    def add(self, paths: Set[Path]) -> None:
        """Learn of those of *paths* that are known."""
        with self._lock:
            self.keys = Keys.of(self.keys.paths | paths)


def filled(array: pa.Array, kind: pa.DataType = ITEM) -> pa.Array:
    """*array* as *kind*, of whose fields it may lack some: they are null."""
    if array.type.equals(kind):
        return array
    if pa.types.is_list(kind):
        values = filled(array.values, kind.value_type)
        return pa.ListArray.from_arrays(array.offsets, values, type=kind)
    fields = [
        filled(array.field(field.name), field.type)
        if array.type.get_field_index(field.name) >= 0
        else pa.nulls(len(array), field.type)
        for field in kind
    ]
    return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null() if array.null_count else None)


def paths_of(kind: pa.DataType, known: pa.DataType = ITEM, at: Path = ()) -> Iterator[Path]:
    """The keys of *kind*, an item as the parser found it; of what is not *known*, not those inside."""
    if pa.types.is_list(kind) and pa.types.is_list(known):
        yield from paths_of(kind.value_type, known.value_type, at)
    elif pa.types.is_struct(kind) and pa.types.is_struct(known):
        for field in kind:
            yield (*at, field.name)
            if known.get_field_index(field.name) >= 0:
                yield from paths_of(field.type, known.field(field.name).type, (*at, field.name))


def _only(kind: pa.DataType, paths: Set[Path], at: Path = ()) -> pa.DataType:
    """*kind* with just the fields of *paths*."""
    if pa.types.is_list(kind):
        return pa.list_(_only(kind.value_type, paths, at))
    if pa.types.is_struct(kind):
        inside = [(field.name, (*at, field.name), field.type) for field in kind]
        return pa.struct([(name, _only(part, paths, path)) for name, path, part in inside if path in paths])
    return kind


ALL: Final = frozenset(paths_of(ITEM))
"""The paths of all keys that are known."""
