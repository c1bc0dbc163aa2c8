"""Which keys a report makes use of: the parser then does no work for the others.

pyarrow's parser puts a null wherever an item lacks a key of the schema. Most reports have but half of the keys that
there are, so that this is a third of its work.
"""

from collections.abc import Iterator

import pyarrow as pa

from tcetl.client.report.cutting import LIST
from tcetl.client.report.wire import ITEM

Path = tuple[str, ...]


class Seen:
    """The keys that came up in a report so far. Threads may share one.

    Attributes:
        options: Options for a parser that takes these keys, and refuses items with others.
    """

    def __init__(self) -> None:
        self._paths: frozenset[Path] = frozenset()
        self.options = strict(_only(ITEM, self._paths))

    def add(self, items: pa.StructArray) -> None:
        """Learn from *items* (of type :data:`ITEM`), which the parser refused, or which are the first."""
        paths = self._paths.union(_with_values(items))
        # Learnt nothing? Then it is a key that has no values, only nulls.
        self._paths = paths if paths != self._paths else frozenset(_all(ITEM))
        self.options = strict(_only(ITEM, self._paths))


def strict(item: pa.DataType) -> pa.json.ParseOptions:
    """Options for a parser that takes a list of *item*, and nothing else in them."""
    schema = pa.schema([pa.field(LIST.decode(), pa.list_(item))])
    return pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")


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


def _with_values(array: pa.Array, at: Path = ()) -> Iterator[Path]:
    """The paths of the fields that are not null everywhere."""
    if pa.types.is_list(array.type):
        yield from _with_values(array.values, at)
    elif pa.types.is_struct(array.type):
        for field in array.type:
            inside = array.field(field.name)
            if inside.null_count < len(inside):
                yield (*at, field.name)
                yield from _with_values(inside, (*at, field.name))


def _all(kind: pa.DataType, at: Path = ()) -> Iterator[Path]:
    """The paths of all fields."""
    if pa.types.is_list(kind):
        yield from _all(kind.value_type, at)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield (*at, field.name)
            yield from _all(field.type, (*at, field.name))


def _only(kind: pa.DataType, paths: frozenset[Path], at: Path = ()) -> pa.DataType:
    """*kind* with just the fields of *paths*."""
    if pa.types.is_list(kind):
        return pa.list_(_only(kind.value_type, paths, at))
    if pa.types.is_struct(kind):
        inside = [(field.name, (*at, field.name), field.type) for field in kind]
        return pa.struct([(name, _only(part, paths, path)) for name, path, part in inside if path in paths])
    return kind
