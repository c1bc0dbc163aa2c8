"""What an item says that the INDICATORS schema has no column for: kept, as JSON, in the column ``extra``."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa

from tcetl.client.report.wire import ITEM, REQUIRED_INSIDE
from tcetl.indicators import SEPARATOR, TYPES

_KNOWN: Final = frozenset(field.name for field in ITEM)
_KNOWN_INSIDE: Final = {
    key: frozenset(field.name for field in ITEM.field(key).type.value_type) for key in REQUIRED_INSIDE
}
_VALUE_KEYS: Final = frozenset(key for kind in TYPES.values() for key in kind.value_keys) - _KNOWN
_NULL: Final = b"null"
_Object = dict[str, msgspec.Raw]
_OBJECT: Final = msgspec.json.Decoder(_Object)


def leftover(item: bytes | msgspec.Raw) -> str | None:
    """The keys of *item*, a JSON object, that have no column, with their values as they were written.

    Keys inside attributes, tags and security labels stand at their element's place:
    ``{"tag":[{},{"weight":2}]}`` for the second tag's weight. A key that only repeats a part of the summary, as in
    lists of one type, is not kept. None when nothing is left.
    """
    record = _OBJECT.decode(item)
    rest: dict[str, Any] = {
        key: value
        for key, value in record.items()
        if key not in _KNOWN and not _is_null(value) and not (key in _VALUE_KEYS and _repeats(value, record))
    }
    for key, known in _KNOWN_INSIDE.items():
        if key in record and (inside := _inside(record[key], known)):
            rest[key] = inside
    return msgspec.json.format(msgspec.json.encode(rest), indent=-1).decode() if rest else None


def has_leftovers(items: pa.StructArray) -> bool:
    """True when the parser met keys in *items* that :data:`tcetl.client.report.wire.ITEM` does not have."""
    return bool(_more(items.type, ITEM))


def _more(kind: pa.DataType, known: pa.DataType) -> bool:
    if pa.types.is_null(kind):
        return False
    if pa.types.is_struct(known):
        names = {field.name: field.type for field in known}
        return any(
            _more(field.type, names[field.name]) if field.name in names else not pa.types.is_null(field.type)
            for field in kind
        )
    return pa.types.is_list(known) and _more(kind.value_type, known.value_type)


def _inside(value: msgspec.Raw, known: frozenset[str]) -> list[_Object] | None:
    document = msgspec.json.decode(value, type=list[_Object | None] | _Object | None)
    elements = [document] if isinstance(document, dict) else document or []
    rest = [
        {key: value for key, value in element.items() if key not in known and not _is_null(value)}
        for element in elements
        if element is not None
    ]
    return rest if any(rest) else None


def _is_null(value: msgspec.Raw) -> bool:
    return bytes(value) == _NULL


def _repeats(value: msgspec.Raw, record: Mapping[str, msgspec.Raw]) -> bool:
    text, summary = msgspec.json.decode(value), msgspec.json.decode(record.get("summary", _NULL))
    return isinstance(summary, str) and text in [summary, *summary.split(SEPARATOR)]
