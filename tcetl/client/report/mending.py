"""A second, patient look at items that the parser did not take: numbers as text, lone objects, missing parts.

Whatever the parser takes as is, comes out of here the same: whether an item is looked at a second time depends on its
neighbours, so it must not change what becomes of it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pyarrow as pa

from tcetl.client.report.wire import ITEM, REQUIRED, REQUIRED_INSIDE, WORDS

_INTEGERS: Final = {pa.int32(): 32, pa.int64(): 64}
_TRUTHS: Final = {"true": True, "false": False}


class UnusableError(ValueError):
    """A record is no indicator: ``field`` of it is wrong (``code``), for a reason."""

    def __init__(self, code: str, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Reject:
    """An item that is no indicator.

    Attributes:
        index: Its place in its block, from 0.
        raw: The item as it was written.
        error: What is wrong with it.
        record: What could be read of it.
    """

    index: int
    raw: str
    error: UnusableError
    record: Mapping[str, Any]


def mend(item: msgspec.Raw) -> dict[str, Any]:
    """*item* as the parser takes it, without keys that it does not know.

    Raises:
        UnusableError: It is no indicator.
    """
    record = decode(item)
    if not isinstance(record, dict):
        raise UnusableError("not-an-object", f"the item is {_kind(record)}, not an object")
    mended: dict[str, Any] = _mend(record, ITEM, "")
    for key in REQUIRED:
        if not mended.get(key):
            raise UnusableError(f"no-{key.lower()}", f"the record has no {key}", key)
    for key, inside in REQUIRED_INSIDE.items():
        for index, element in enumerate(mended.get(key, ())):
            if inside not in element:
                raise UnusableError("bad-value", f"{key}[{index}] has no {inside}", f"{key}[{index}].{inside}")
    return mended


def decode(item: msgspec.Raw) -> Any:
    """The value of *item*.

    Raises:
        UnusableError: It is JSON, but cannot be kept: half of a surrogate pair is no text, 1e999 no number.
        ValueError: It is not JSON.
    """
    try:
        return msgspec.json.decode(item)
    except msgspec.DecodeError as error:
        json.loads(bytes(item), parse_constant=_no_constant)
        raise UnusableError("bad-text", f"the record cannot be kept: {error}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _mend(value: Any, kind: pa.DataType, path: str) -> Any:
    if pa.types.is_struct(kind):
        if not isinstance(value, dict):
            raise _bad(value, "an object", path)
        pairs = ((field, value.get(field.name)) for field in kind)
        dotted = f"{path}." if path else ""
        mended = (
            (field.name, _mend(inner, field.type, dotted + field.name)) for field, inner in pairs if inner is not None
        )
        return {name: inner for name, inner in mended if inner is not None}
    if pa.types.is_list(kind):
        elements = [value] if isinstance(value, dict) else value
        if not isinstance(elements, list):
            raise _bad(value, "a list", path)
        present = [element for element in elements if element is not None]
        return [_mend(element, kind.value_type, f"{path}[{index}]") for index, element in enumerate(present)]
    if path in WORDS:
        truth = _truth(value, path)
        return None if truth is None else msgspec.json.encode(truth).decode()
    if pa.types.is_string(kind):
        return _text(value, path)
    if value == "":  # an unset number, time or flag
        return None
    return _scalar(value, kind, path)


def _scalar(value: Any, kind: pa.DataType, path: str) -> Any:
    if pa.types.is_boolean(kind):
        return _truth(value, path)
    if pa.types.is_timestamp(kind):
        return _time(value, path)
    return _integer(value, _INTEGERS[kind], path) if kind in _INTEGERS else _float(value, path)


def _text(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    raise _bad(value, "text", path)


def _truth(value: Any, path: str) -> bool | None:
    if isinstance(value, bool):
        return value
    if value == "":
        return None
    if isinstance(value, str) and (truth := _TRUTHS.get(value.lower())) is not None:
        return truth
    raise _bad(value, "true or false", path)


def _float(value: Any, path: str) -> float:
    try:
        number = float(value) if not isinstance(value, bool | list | dict) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _bad(value, "a number", path)
    return number


def _integer(value: Any, bits: int, path: str) -> int:
    if isinstance(value, bool | list | dict):
        raise _bad(value, "a whole number", path)
    try:
        number = int(value)
        whole = isinstance(value, int) or number == float(value)
    except (ValueError, OverflowError):
        number, whole = _float(value, path), False
        if number.is_integer():  # text such as "73.0"
            number, whole = int(number), True
    if not whole:
        raise _bad(value, "a whole number", path)
    if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise _bad(value, f"a whole number of {bits} bits", path)
    return int(number)


def _time(value: Any, path: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise _bad(value, "a time", path) from None
    return moment.isoformat()


def _bad(value: Any, wanted: str, path: str) -> UnusableError:
    return UnusableError("bad-value", f"{path} is {_kind(value)}, not {wanted}", path)


def _kind(value: Any) -> str:
    """A short name for *value* in a message."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"
