"""One record to send, with the new value or the new content that somebody gave it.

An indicator may become another one. A group keeps its xid, by which associations and files know it. What an association
joins, and where a file is, stand in their records alone.
"""

from typing import Any, Final, NamedTuple

import msgspec

from tcetl.errors import NOT_JSON, InvalidValueError
from tcetl.indicators import SEPARATOR, TYPES, canonical
from tcetl.load.records import Kind
from tcetl.load.records.associations import called

REFUSALS: Final = (InvalidValueError, ValueError)
"""What `mend` raises for a change that makes no record to send."""


class Named(NamedTuple):
    """How dead letters name a record: its type and its value."""

    type: str
    summary: str


def mend(kind: Kind, record: str, was: Named, *, value: Named | None, content: str | None) -> tuple[Named, str]:
    """Return the name, and the JSON, of a record that was changed.

    Args:
        kind: What it is.
        record: The record as it was sent, a JSON object.
        was: What it was called.
        value: What it is to be called, if somebody said so.
        content: The record as somebody wrote it, if anybody did.

    Raises:
        InvalidValueError: The new value is no valid indicator of its type.
        ValueError: The content is no JSON object; both say different new values; or it is another group's now.
    """
    match kind:
        case "group":
            return _group(record, was, value, content)
        case "association":
            document = _object(record if content is None else content)
            name = Named(*called(document))
            if value not in (None, name):
                raise ValueError("what an association joins is in its record: mend it there")
            return name, _encode(document)
        case "file":
            document = _object(record if content is None else content)
            _refuse_other_xid(document, record)
            if value is not None:
                raise ValueError("where a file is, is in its record: mend it there")
            return was, _encode(document)
        case _:
            return _indicator(record, was, value, content)


def _refuse_other_xid(document: dict[str, Any], record: str) -> None:
    if document.get("xid") != _object(record).get("xid"):
        raise ValueError("the xid is the identity of a group: leave it as it was")


def _group(record: str, was: Named, value: Named | None, content: str | None) -> tuple[Named, str]:
    document = _object(record if content is None else content)
    _refuse_other_xid(document, record)
    recorded = Named(str(document.get("type") or ""), str(document.get("name") or ""))
    said = Named(value.type.strip(), value.summary.strip()) if value else None
    name = _agreed([name for name in (said, recorded if recorded != was else None) if name is not None] or [was])
    if not (name.type and name.summary):
        raise ValueError("a group needs a type and a name")
    return name, _encode(document | {"type": name.type, "name": name.summary})


def _agreed(names: list[Named]) -> Named:
    if len(set(names)) > 1:
        raise ValueError(f"its cells say {_shown(names[0])}, its record {_shown(names[1])}: let them say the same")
    return names[0]


def _indicator(record: str, was: Named, value: Named | None, content: str | None) -> tuple[Named, str]:
    """The name is canonical where its type is one of the twelve."""
    before, document = _object(record), _object(record if content is None else content)
    recorded = _named(document) if _named(document) != _named(before) else None
    if value is None and recorded is None:
        return was, _encode(document)

    name = _agreed([_canonical(name, was) for name in (value, recorded) if name is not None])
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
