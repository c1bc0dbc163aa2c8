"""What an item says that the INDICATORS schema has no column for: kept, as JSON, in the column ``extra``."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Final

import msgspec

from tcetl.client.report.mending import Path
from tcetl.client.report.seen import Path as Key
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
objects: Final = msgspec.json.Decoder(list[_Object]).decode
"""The objects of a JSON list, their values as they are written."""
_OBJECT_OR_NULL: Final = msgspec.json.Decoder(_Object | None)
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def leftover(item: bytes | msgspec.Raw, misfits: Set[Path] = frozenset()) -> str | None:
    """What of *item*, a JSON object, has no column, as it was written; None when nothing is left.

    These are keys that the schema does not know, and *misfits*: values that are not of their column's type. Those
    inside attributes, tags and security labels stand at their element's place: ``{"tag":[{},{"weight":2}]}`` for the
    second tag's weight. A key that only repeats a part of the summary, as in lists of one type, is not kept.
    """
    return _left(_OBJECT.decode(item), _KNOWN_INSIDE, misfits)


def leftovers(items: Iterable[_Object], unknown: Set[Key]) -> list[str | None]:
    """What is left of each of *items*, as by :func:`leftover`, when only *unknown* keys come up beside the known."""
    lists = [key for key in _KNOWN_INSIDE if any(path[0] == key for path in unknown)]
    return [_left(item, lists) for item in items]


def _left(record: _Object, lists: Iterable[str], misfits: Set[Path] = frozenset()) -> str | None:
    """What is left of *record*; inside of *lists* alone."""
    rest: dict[str, Any] = {
        key: value
        for key, value in record.items()
        if (key not in _KNOWN or (key,) in misfits)
        and not _is_null(value)
        and not (key in _VALUE_KEYS and _repeats(value, record))
    }
    for key in lists:
        if key in record and key not in rest:
            inside = _inside(record[key], key, misfits)
            if any(part != {} for part in inside):
                rest[key] = inside
    return msgspec.json.format(msgspec.json.encode(rest), indent=-1).decode() if rest else None


def _inside(value: msgspec.Raw, key: str, misfits: Set[Path]) -> list[_Object | msgspec.Raw]:
    """What is left of each element of the list *value* (or of the only one, without a list around it)."""
    elements = _ELEMENTS.decode(value) if bytes(value).startswith(b"[") else [value]
    return [
        element
        if (key, place) in misfits
        else {
            inner: rest
            for inner, rest in (_OBJECT_OR_NULL.decode(element) or {}).items()
            if (inner not in _KNOWN_INSIDE[key] or (key, place, inner) in misfits) and not _is_null(rest)
        }
        for place, element in enumerate(elements)
    ]


def _is_null(value: msgspec.Raw) -> bool:
    return bytes(value) == _NULL


def _repeats(value: msgspec.Raw, record: Mapping[str, msgspec.Raw]) -> bool:
    text, summary = msgspec.json.decode(value), msgspec.json.decode(record.get("summary", _NULL))
    return isinstance(summary, str) and text in [summary, *summary.split(SEPARATOR)]
