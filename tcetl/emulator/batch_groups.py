"""Applying the groups of a batch to one owner (api §3.1, §5.9)."""

import sqlite3
from typing import Any, Final

import msgspec

from tcetl.emulator.batch_indicators import date_column
from tcetl.emulator.batch_links import unlink
from tcetl.emulator.batch_messages import DUPLICATE, GROUP_LOSS, INVALID_GROUP, NOT_FOUND, ItemError, Message
from tcetl.emulator.batch_metadata import MetadataReader, merged_columns
from tcetl.emulator.batch_settings import JobSettings
from tcetl.emulator.store import insert, update
from tcetl.emulator.vocabulary import (
    EVENT_STATUSES,
    EVENT_TYPES,
    GROUP_NAME_LIMIT,
    GROUPS,
    INCIDENT_STATUSES,
    SIGNATURE_TYPES,
    GroupKind,
)

_DATES: Final = (
    "eventDate",
    "publishDate",
    "firstSeen",
    "lastSeen",
    "externalDateAdded",
    "externalDateExpires",
    "externalLastModified",
    "aiLastRetrievalDate",
)
_TEXTS: Final = (
    "fileName",
    "fileType",
    "fileText",
    "malware",
    "password",
    "subject",
    "header",
    "body",
    "from",
    "to",
    "score",
    "status",
    "eventType",
    "insights",
    "aiProvider",
)


def _called(item: dict[str, Any]) -> str:
    return str(item.get("xid") or item.get("name"))


def _invalid(item: dict[str, Any], what: str) -> ItemError:
    # The shape of the one known sample: "Incident incident-001 has an invalid status." (api §5.6).
    return ItemError(INVALID_GROUP, f"{item.get('type')} {_called(item)} {what}.", f"{_called(item)} is not valid.")


def _check(kind: GroupKind, item: dict[str, Any]) -> None:
    name = item.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= GROUP_NAME_LIMIT:
        raise _invalid(item, f"has an invalid name, please enter between 1-{GROUP_NAME_LIMIT} characters")
    for field in kind.required:
        if not item.get(field):
            raise _invalid(item, f"has no {field}")
    choices = {
        ("Incident", "status"): INCIDENT_STATUSES,
        ("Event", "status"): EVENT_STATUSES,
        ("Event", "eventType"): EVENT_TYPES,
        ("Signature", "fileType"): SIGNATURE_TYPES,
    }
    for (type_, field), allowed in choices.items():
        if kind.name == type_ and item.get(field) is not None and item[field] not in allowed:
            raise _invalid(item, f"has an invalid {field}")
    if item.get("malware") in (True, "true") and not item.get("password"):
        raise _invalid(item, "has malware but no password")
    if item.get("insights") and not item.get("aiProvider"):
        raise _invalid(item, "has insights but no aiProvider")


class GroupWriter:
    """Creates, updates and deletes the groups of one job."""

    def __init__(self, owner: int, settings: JobSettings, metadata: MetadataReader, now: str) -> None:
        self._owner = owner
        self._settings = settings
        self._metadata = metadata
        self._now = now
        self._seen: set[str] = set()

    def create(self, connection: sqlite3.Connection, item: dict[str, Any]) -> tuple[int, list[Message]]:
        """Create the group, or overwrite the one with this xid; return its id and what was lost on the way."""
        xid = item.get("xid")
        kind = GROUPS.get(item.get("type", ""))
        label = f"{item.get('type')} {_called(item)}"
        if not isinstance(xid, str) or not xid:
            raise _invalid(item, "has no xid")
        if kind is None:
            raise _invalid(item, "has an invalid type")
        if xid in self._seen:
            # One file must not define a group twice (assumed use of the code).
            raise ItemError(DUPLICATE, f"{label} occurs more than once in this batch.", f"{xid} is not valid.")
        _check(kind, item)
        dates = {field: date_column(item, field, INVALID_GROUP, label) for field in _DATES if item.get(field)}
        texts = {field: item[field] for field in _TEXTS if item.get(field) is not None}
        if kind.name == "Incident":
            texts.setdefault("status", "New")  # assumed (api §3.1)
        incoming = self._metadata.read(connection, item)
        existing = connection.execute(
            'SELECT * FROM "group" WHERE owner = ? AND xid = ?', (self._owner, xid)
        ).fetchone()
        values: dict[str, Any] = {
            "type": kind.name,
            "name": item["name"],
            "last_modified": self._now,
            "fields": msgspec.json.encode(texts | dates).decode(),
        }
        values |= merged_columns(existing, incoming, self._settings, described=False)
        self._seen.add(xid)
        messages = [Message(GROUP_LOSS, f"{label}: {loss}", xid, loss) for loss in incoming.losses]
        if existing is None:
            identity = {"owner": self._owner, "xid": xid, "date_added": self._now}
            return insert(connection, '"group"', values | identity), messages
        update(connection, '"group"', existing["id"], values | {"writes": existing["writes"] + 1})
        return existing["id"], messages

    def delete(self, connection: sqlite3.Connection, item: dict[str, Any]) -> None:
        """Delete the group with this xid, or 0x1007."""
        xid = item.get("xid")
        found = connection.execute(
            'DELETE FROM "group" WHERE owner = ? AND xid = ? RETURNING id', (self._owner, xid)
        ).fetchone()
        if found is None:
            raise ItemError(NOT_FOUND, f"{item.get('type')} {xid} was not found.", str(xid))
        unlink(connection, "group", found["id"])
        connection.execute("DELETE FROM group_file WHERE id = ?", (found["id"],))
