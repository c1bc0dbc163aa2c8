"""Applying the indicators of a batch to one owner (api §5.8, §5.9)."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tcetl.emulator.batch_links import unlink
from tcetl.emulator.batch_messages import (
    GENERAL,
    HASH_MERGE,
    HASH_MERGE_LOSS,
    INDICATOR_LOSS,
    INVALID_INDICATOR,
    NOT_FOUND,
    ItemError,
    Message,
)
from tcetl.emulator.batch_metadata import Metadata, MetadataReader, decode, encode, merged_columns, truth
from tcetl.emulator.batch_settings import JobSettings
from tcetl.emulator.clock import iso
from tcetl.emulator.file_merge import Hashes, plan
from tcetl.emulator.lookup import find
from tcetl.emulator.render import v2_summary
from tcetl.emulator.rules import InvalidValueError, Value, read_value
from tcetl.emulator.store import insert, update
from tcetl.emulator.vocabulary import INDICATORS

EXCLUDED_SUFFIX: Final = ".excluded.example"
"""Stands for an exclusion list: hosts below it are refused (the answer is assumed, api §8)."""

_DATES: Final = (
    ("firstSeen", "first_seen"),
    ("lastSeen", "last_seen"),
    ("externalDateAdded", "external_added"),
    ("externalDateExpires", "external_expires"),
    ("externalLastModified", "external_modified"),
)
_VALUES: Final = ("value1", "value2", "value3")
_NAMING: Final = ("summary", *(key for kind in INDICATORS.values() for key in kind.keys), "value1")
_FLAGS: Final = (("active", "active"), ("activeLocked", "active_locked"), ("privateFlag", "private"))
# The documented name first, then the alias that tcex sends (api §5.9).
_OWN_FIELDS: Final = {
    "Host": (("dnsActive", "flag1", "dns_active"), ("whoisActive", "flag2", "whois_active")),
}


def label_of(item: dict[str, Any]) -> str:
    """How messages name an item: its summary, or the first value it has."""
    return next((str(item[key]) for key in _NAMING if item.get(key)), "")


def parse_value(item: dict[str, Any]) -> Value:
    """The checked value of *item*, or 0x1005."""
    kind = INDICATORS.get(item.get("type", ""))
    if kind is None:
        # Template of api §1.4.
        reason = f"{label_of(item)} has an invalid type: {item.get('type')}. Please enter a valid Indicator Type"
        raise ItemError(INVALID_INDICATOR, reason, f"{label_of(item)} is not valid.")
    try:
        return read_value(kind, item)
    except InvalidValueError as error:
        raise ItemError(INVALID_INDICATOR, str(error), f"{label_of(item)} is not valid.") from error


def _number(item: dict[str, Any], field: str, limits: tuple[int, int], summary: str) -> int | None:
    given = item.get(field)
    if given is None or given == "":
        return None
    try:
        number = float(given)  # numeric strings occur (api §5.8)
        if isinstance(given, bool) or number != int(number) or not limits[0] <= number <= limits[1]:
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"{summary} has an invalid {field}: {given}. It must be a number from {limits[0]} to {limits[1]}."
        raise ItemError(INVALID_INDICATOR, reason, f"{summary} is not valid.") from error
    return int(number)


def date_column(item: dict[str, Any], field: str, code: str, summary: str) -> str | None:
    """The date in *field* as it is stored; a missing zone means UTC (api §5.9)."""
    given = item.get(field)
    if given is None or given == "":
        return None
    try:
        parsed = datetime.fromisoformat(str(given))
    except ValueError as error:
        raise ItemError(code, f"{summary} has an invalid {field}: {given}.", f"{summary} is not valid.") from error
    return iso((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


def _columns(item: dict[str, Any], value: Value) -> dict[str, Any]:
    """The plain columns that *item* sets."""
    summary = value.summary
    columns: dict[str, Any] = {
        "rating": _number(item, "rating", (0, 5), summary),
        "confidence": _number(item, "confidence", (0, 100), summary),
    }
    if value.kind.name == "File":
        size_field = "size" if "size" in item else "intValue1"
        columns["size"] = _number(item, size_field, (0, 2**63 - 1), summary)
    for field, column in _DATES:
        if field in item:
            columns[column] = date_column(item, field, INVALID_INDICATOR, summary)
    for field, column in _FLAGS:
        if item.get(field) is not None:
            columns[column] = int(truth(item[field]))
    for field, alias, column in _OWN_FIELDS.get(value.kind.name, ()):
        given = item.get(field, item.get(alias))
        if given is not None:
            columns[column] = int(truth(given))
    occurrences = item.get("fileOccurrence")
    if occurrences:
        # An object in the documentation, an array from tcex (api §9 G-16).
        columns["occurrences"] = encode(occurrences if isinstance(occurrences, list) else [occurrences])
    return {name: given for name, given in columns.items() if given is not None}


@dataclass(frozen=True, slots=True)
class _Item:
    """One checked item: its value, the plain columns that it sets, and its metadata."""

    value: Value
    columns: dict[str, Any]
    metadata: Metadata


class IndicatorWriter:
    """Creates, updates and deletes the indicators of one job."""

    def __init__(self, owner: int, settings: JobSettings, metadata: MetadataReader, now: str) -> None:
        self._owner = owner
        self._settings = settings
        self._metadata = metadata
        self._now = now

    def create(self, connection: sqlite3.Connection, document: dict[str, Any]) -> tuple[int | None, list[Message]]:
        """Create or update an indicator; return its id (None when a mode skipped it) and what was lost on the way."""
        value = parse_value(document)
        if value.kind.name == "Host" and (value.key or "").endswith(EXCLUDED_SUFFIX):
            reason = f"{value.summary} is excluded by an exclusion list."
            raise ItemError(GENERAL, reason, f"{value.summary} is not valid.")
        item = _Item(value, _columns(document, value), self._metadata.read(connection, document))
        messages = [
            Message(INDICATOR_LOSS, f"{value.summary}: {loss}", value.summary, loss) for loss in item.metadata.losses
        ]
        existing = find(connection, self._owner, value)
        if value.key is None:
            return self._file(connection, item, existing, messages), messages
        if not existing:
            return self._insert(connection, item, value.parts), messages
        return self._update(connection, item, existing[0], item.columns), messages

    def delete(self, connection: sqlite3.Connection, document: dict[str, Any]) -> None:
        """Delete what *document* names, or 0x1007."""
        value = parse_value(document)
        existing = find(connection, self._owner, value)
        if not existing:
            raise ItemError(NOT_FOUND, f"{value.kind.name} {value.summary} was not found.", value.summary)
        for row in existing:
            deleted = {
                "owner": self._owner,
                "type": row["type"],
                "summary": v2_summary(row["type"], (row["value1"], row["value2"], row["value3"])),
                "date_added": row["date_added"],
                "deleted": self._now,
            }
            insert(connection, "deleted", deleted)
        self._remove(connection, [row["id"] for row in existing])

    def _file(
        self, connection: sqlite3.Connection, item: _Item, existing: list[sqlite3.Row], messages: list[Message]
    ) -> int | None:
        summary = item.value.summary
        hashes = [(row["value1"], row["value2"], row["value3"]) for row in existing]
        decided = plan(item.value.parts, hashes, self._settings.file_merge_mode, self._settings.hash_collision_mode)
        if decided.warning:
            messages.append(Message(HASH_MERGE_LOSS, f"{summary}: {decided.warning}", summary))
        if decided.note:
            messages.append(Message(HASH_MERGE, f"{summary}: {decided.note}", summary))
        columns = item.columns
        if decided.hashes is not None:
            columns = columns | dict(zip(_VALUES, decided.hashes, strict=True))
        result: int | None = None
        for position in decided.targets:
            row: Mapping[str, Any] | sqlite3.Row = existing[position]
            if decided.absorbed:
                row, inherited = _inheriting(existing[position], [existing[index] for index in decided.absorbed])
                columns = columns | inherited
            updated = self._update(connection, item, row, columns)
            result = updated if result is None else result
        self._remove(connection, [existing[position]["id"] for position in decided.removed])
        if decided.created is not None:
            result = self._insert(connection, item, decided.created)
        return result

    def _insert(self, connection: sqlite3.Connection, item: _Item, parts: Hashes) -> int:
        values = {
            "owner": self._owner,
            "type": item.value.kind.name,
            "key": item.value.key,
            "date_added": self._now,
            "last_modified": self._now,
        }
        values |= dict(zip(_VALUES, parts, strict=False))
        values |= item.columns
        values |= merged_columns(None, item.metadata, self._settings)
        return insert(connection, "indicator", values)

    def _update(
        self, connection: sqlite3.Connection, item: _Item, row: Mapping[str, Any] | sqlite3.Row, columns: dict[str, Any]
    ) -> int:
        changes = columns | merged_columns(row, item.metadata, self._settings)
        changes["last_modified"] = self._now  # an import bumps it (api §1.6)
        changes["writes"] = row["writes"] + 1
        update(connection, "indicator", row["id"], changes)
        id_: int = row["id"]
        return id_

    @staticmethod
    def _remove(connection: sqlite3.Connection, ids: list[int]) -> None:
        for id_ in ids:
            connection.execute("DELETE FROM indicator WHERE id = ?", (id_,))
            unlink(connection, "indicator", id_)


def _inheriting(primary: sqlite3.Row, absorbed: list[sqlite3.Row]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The primary File as it is with the metadata of those merged into it, and what that changes (api §5.2)."""
    rows = (primary, *absorbed)
    inherited: dict[str, Any] = {"attributes": encode([entry for row in rows for entry in decode(row["attributes"])])}
    for column in ("tags", "labels"):
        named = {entry["name"]: entry for row in rows for entry in decode(row[column])}
        inherited[column] = encode(list(named.values()))
    return dict(primary) | inherited, inherited
