"""A second, patient look at items that the parser did not take: numbers as text, lone objects, missing parts.

Whatever the parser takes as is, comes out of here the same: whether an item is looked at a second time depends on its
neighbours, so that must not change what becomes of it.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pyarrow as pa

from tcetl.client.report.cutting import NotJsonError
from tcetl.client.report.wire import ITEM, REQUIRED, REQUIRED_INSIDE, WORDS
from tcetl.errors import NOT_JSON
from tcetl.schema import TIMESTAMP

Path = tuple[str | int, ...]
"""Keys and list places that lead to a value of an item."""

_TRUTHS: Final = {"true": True, "false": False}


class UnusableError(Exception):
    """A record is no indicator: its ``field`` is wrong (``code``), for a ``reason``."""

    def __init__(self, code: str, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Mended:
    """An item in the shape that the parser takes, without unknown keys; ``misfits`` are the values left out of it."""

    item: dict[str, Any]
    misfits: frozenset[Path]


def mend(item: bytes) -> Mended:
    """*item* in the shape that the parser takes.

    A value of another type is read if it can only mean one thing (``"73"``); otherwise it is left out.

    Raises:
        UnusableError: It is no indicator.
        NotJsonError: It is not JSON.
    """
    record = _decode(item)
    if not isinstance(record, dict):
        raise UnusableError("not-an-object", "the record is not an object")
    misfits: set[Path] = set()
    mended = _fit(record, ITEM, (), misfits)
    for key in REQUIRED:
        if not mended.get(key):
            raise UnusableError(f"no-{key.lower()}", f"the record has no {key}", key)
    return Mended(mended, frozenset(misfits))


def _decode(item: bytes) -> Any:
    try:
        return msgspec.json.decode(item)
    except NOT_JSON as error:
        what = error
    # Python's reader takes a little more than can be kept, such as half a surrogate pair or 1e999: then the document
    # is whole, and only this record is not usable.
    try:
        json.loads(item, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise NotJsonError(error.start) from None
    except (ValueError, RecursionError):
        raise NotJsonError.of(what, len(item)) from None
    raise UnusableError("bad-text", f"the record holds what is no text or number: {what}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _fit(value: Any, kind: pa.DataType, path: Path, misfits: set[Path]) -> Any:
    """*value* as a *kind*; None, and *path* added to *misfits*, when it is none."""
    try:
        if pa.types.is_struct(kind):
            return _object(value, kind, path, misfits)
        if pa.types.is_list(kind):
            return _list(value, kind, path, misfits)
        if path[-1] in WORDS:
            return None if value == "" else "true" if _truth(value) else "false"
        return None if value == "" and not pa.types.is_string(kind) else _READ[kind](value)
    except (TypeError, ValueError, OverflowError):
        misfits.add(path)
        return None


def _object(value: Any, kind: pa.StructType, path: Path, misfits: set[Path]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    fitted = {}
    for field in kind:
        if (inner := value.get(field.name)) is not None:
            fitted[field.name] = _fit(inner, field.type, (*path, field.name), misfits)
    return {name: inner for name, inner in fitted.items() if inner is not None}


def _list(value: Any, kind: pa.ListType, path: Path, misfits: set[Path]) -> list[Any]:
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise TypeError
    fitted = []
    for place, element in enumerate(value):
        if element is None:
            continue
        inner = _fit(element, kind.value_type, (*path, place), misfits)
        if inner is None or REQUIRED_INSIDE[str(path[-1])] not in inner:
            misfits.add((*path, place))
        else:
            fitted.append(inner)
    return fitted


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    raise TypeError


def _truth(value: Any) -> bool:
    truth = _TRUTHS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(truth, bool):
        raise TypeError
    return truth


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError
    return number


def _integer(bits: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str):
            value = int(value) if value.strip().lstrip("-").isdecimal() else float(value)
        if isinstance(value, bool) or value != int(value) or not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise ValueError
        return int(value)

    return read


def _time(value: Any) -> str:
    moment = datetime.fromisoformat(value)
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()


_READ: Final[dict[pa.DataType, Callable[[Any], Any]]] = {
    pa.string(): _text,
    pa.bool_(): _truth,
    pa.float64(): _number,
    pa.int32(): _integer(32),
    pa.int64(): _integer(64),
    TIMESTAMP: _time,
}
