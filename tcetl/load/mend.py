"""One record to send, with the new value or the new content that somebody gave it."""

from typing import Any, Final, NamedTuple

import msgspec

from tcetl.errors import NOT_JSON, InvalidValueError
from tcetl.indicators import SEPARATOR, TYPES, canonical

REFUSALS: Final = (InvalidValueError, ValueError)
"""What `mend` raises for a change that makes no record to send."""


class Named(NamedTuple):
    """How dead letters name a record: its type and its value."""

    type: str
    summary: str


def mend(record: str, was: Named, *, value: Named | None, content: str | None) -> tuple[Named, str]:
    """Return the name, canonical where its type is one of the twelve, and the JSON of a record that was changed.

    Args:
        record: The record as it was sent, a JSON object.
        was: What it was called.
        value: What it is to be called, if somebody said so.
        content: The record as somebody wrote it, if anybody did.

    Raises:
        InvalidValueError: The new value is no valid indicator of its type.
        ValueError: The content is no JSON object; or both say different new values.
    """
    before, document = _object(record), _object(record if content is None else content)
    recorded = _named(document) if _named(document) != _named(before) else None
    if value is None and recorded is None:
        return was, _encode(document)

    names = [_canonical(name, was) for name in (value, recorded) if name is not None]
    if len(set(names)) > 1:
        raise ValueError(f"its cells say {_shown(names[0])}, its record {_shown(names[1])}: let them say the same")
    name = names[0]
    if recorded == name:
        return name, _encode(document)
    if value is not None and name.type not in TYPES and "summary" not in document:
        raise ValueError(f"the value of a {name.type} is in its record: mend it there")
    return name, _encode(_called(document, name))


def _canonical(name: Named, was: Named) -> Named:
    """*name* as the platform keeps it; types that only some instances have are left as they are."""
    kind, summary = name.type.strip(), name.summary.strip()
    known = kind in TYPES or kind != was.type
    return Named(kind, canonical(kind, summary) if known else summary or was.summary)


def _object(text: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(text)
    except NOT_JSON as error:
        raise ValueError(f"the record is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the record is no JSON object")
    return document


def _named(document: dict[str, Any]) -> Named:
    kind = str(document.get("type", ""))
    keys = TYPES[kind].value_keys if kind in TYPES else ()
    parts = [str(document[key]) for key in keys if document.get(key) is not None]
    return Named(kind, SEPARATOR.join(parts) or str(document.get("summary", "")))


def _called(document: dict[str, Any], name: Named) -> dict[str, Any]:
    """*document* with *name* by a key that every type knows, and all else as it was."""
    was = document.get("type")
    valued = {"type", "summary", *(TYPES[was].value_keys if was in TYPES else ())}
    rest = {key: value for key, value in document.items() if key not in valued}
    return {"type": name.type, "summary": name.summary, **rest}


def _encode(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def _shown(name: Named) -> str:
    return f"{name.type} {name.summary!r}"
