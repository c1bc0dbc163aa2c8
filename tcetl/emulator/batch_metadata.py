"""Attributes, tags and security labels of batch items, and how the write types merge them (api §5.2, §5.9, §8)."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tcetl.emulator.batch_settings import JobSettings
from tcetl.emulator.render import tag_document
from tcetl.emulator.store import Store
from tcetl.emulator.vocabulary import ATTRIBUTE_TYPES, LABEL_DATE, LABELS, TAG_LIMIT

Documents = list[dict[str, Any]]
_DEFAULTS: Final = (("description", "Description"), ("source", "Source"))


@dataclass(slots=True)
class Metadata:
    """What an item brings besides its value; None means the item does not mention it and nothing changes."""

    attributes: Documents | None = None
    tags: Documents | None = None
    labels: Documents | None = None
    defaults: Documents = field(default_factory=list)  # the displayed Description and Source
    losses: list[str] = field(default_factory=list)  # parts refused while the item itself is kept


def truth(value: Any) -> bool:
    """A boolean, or its text."""
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _objects(item: dict[str, Any], key: str) -> list[Any] | None:
    value = item.get(key)
    if value is None:
        return None
    return value if isinstance(value, list) else [value]


class MetadataReader:
    """Reads the metadata of items for one job; *now* stamps what is added."""

    def __init__(self, store: Store, owner: int, now: str) -> None:
        self._store = store
        self._owner = owner
        self._now = now
        self._tags: dict[str, dict[str, str]] = {}
        self._labels = {
            name: {"name": name, "description": description, "dateAdded": LABEL_DATE}
            for name, (_, description) in LABELS.items()
        }
        for row in store.reader.execute("SELECT name, description, date_added FROM label"):
            self._labels[row["name"]] = {
                "name": row["name"],
                "description": row["description"],
                "dateAdded": row["date_added"],
            }

    def read(self, connection: sqlite3.Connection, item: dict[str, Any]) -> Metadata:
        """Read *item*; labels that it defines are created at once."""
        found = Metadata()
        attributes = _objects(item, "attribute")
        if attributes is not None:
            found.attributes = [
                read for entry in attributes if (read := self._attribute(connection, entry, found.losses)) is not None
            ]
        for key, type_ in _DEFAULTS:
            text = item.get(key)
            if isinstance(text, str) and text:
                entry = {"type": type_, "value": text, "displayed": True}
                read = self._attribute(connection, entry, found.losses)
                if read is not None:
                    found.defaults.append(read)
        tags = _objects(item, "tag")
        if tags is not None:
            names = dict.fromkeys(name for entry in tags if (name := self._tag_name(entry, found.losses)) is not None)
            found.tags = [self._tag(name) for name in names]
        labels = _objects(item, "securityLabel")
        if labels is not None:
            found.labels = [
                label for entry in labels if (label := self._label(connection, entry, found.losses)) is not None
            ]
        return found

    def _attribute(self, connection: sqlite3.Connection, entry: Any, losses: list[str]) -> dict[str, Any] | None:
        type_ = entry.get("type") if isinstance(entry, dict) else None
        limit = ATTRIBUTE_TYPES.get(type_) if isinstance(type_, str) else None
        if limit is None:
            losses.append(f"The requested attribute type was not found: {type_}")
            return None
        value = entry.get("value")
        if not isinstance(value, str) or not value:
            losses.append(f"This attribute requires a value: {type_}")
            return None
        if len(value) > limit:
            losses.append(
                f"The value for this {type_} is invalid, please enter a/an value between 1-{limit} characters in length"
            )
            return None
        document = {
            "id": self._store.attribute_id(),
            "type": type_,
            "dateAdded": self._now,
            "lastModified": self._now,
            "displayed": truth(entry.get("displayed", False)),
            "value": value,
        }
        if isinstance(entry.get("source"), str):
            document["source"] = entry["source"]
        if truth(entry.get("pinned", False)):
            document["pinned"] = True
        labels = [self._label(connection, label, losses) for label in _objects(entry, "securityLabel") or ()]
        if worn := [label for label in labels if label is not None]:
            document["securityLabel"] = worn
        return document

    @staticmethod
    def _tag_name(entry: Any, losses: list[str]) -> str | None:
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and 0 < len(name) <= TAG_LIMIT:
            return name
        losses.append(
            f"The name for this Tag is invalid, please enter a/an name between 1-{TAG_LIMIT} characters in length"
        )
        return None

    def _tag(self, name: str) -> dict[str, str]:
        document = self._tags.get(name)
        if document is None:
            document = self._tags[name] = tag_document(name, self._owner)
        return document

    def _label(self, connection: sqlite3.Connection, entry: Any, losses: list[str]) -> dict[str, str] | None:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            losses.append("A security label requires a name")
            return None
        known = self._labels.get(name)
        if known is not None:
            return known
        color, description = entry.get("color"), entry.get("description")
        if not color or not description:
            losses.append(f"The security label {name} does not exist: color and description are required")
            return None
        connection.execute(
            "INSERT OR IGNORE INTO label VALUES (?, ?, ?, ?)", (name, str(color), str(description), self._now)
        )
        known = self._labels[name] = {"name": name, "description": str(description), "dateAdded": self._now}
        return known


def decode(text: str | None) -> Documents:
    """Read a stored JSON array."""
    documents: Documents = msgspec.json.decode(text) if text else []
    return documents


def encode(documents: Sequence[Any]) -> str | None:
    """Write a JSON array as it is stored: None when empty."""
    return msgspec.json.encode(documents).decode() if documents else None


def merge_attributes(existing: Documents, incoming: Metadata, write_type: str) -> Documents:
    """Apply the attribute write type (api §5.2); a default Description or Source replaces the displayed one."""
    if write_type == "Static":
        return existing
    merged = existing
    if incoming.attributes is not None:
        if write_type == "Replace":
            merged = incoming.attributes
        elif write_type == "Singleton":
            types = {attribute["type"] for attribute in incoming.attributes}
            merged = [attribute for attribute in existing if attribute["type"] not in types] + incoming.attributes
        else:
            merged = existing + incoming.attributes  # no redundancy check: duplicates appear
    for default in incoming.defaults:
        merged = [a for a in merged if not (a["displayed"] and a["type"] == default["type"])] + [default]
    return merged


def merge_named(existing: Documents, incoming: Documents | None, write_type: str) -> Documents:
    """Apply a tag or label write type; an absent key changes nothing, an empty list under Replace clears (api §5.2)."""
    if incoming is None:
        return existing
    if write_type == "Replace":
        return incoming
    names = {document["name"] for document in existing}
    return existing + [document for document in incoming if document["name"] not in names]


def merged_columns(
    existing: Mapping[str, Any] | sqlite3.Row | None,
    incoming: Metadata,
    settings: JobSettings,
    *,
    described: bool = True,
) -> dict[str, str | None]:
    """The columns that *incoming* changes in the row *existing* (None: a new one); *described* adds ``description``."""
    columns: dict[str, str | None] = {}
    if incoming.attributes is not None or incoming.defaults:
        before = decode(existing["attributes"]) if existing is not None else []
        after = merge_attributes(before, incoming, settings.attribute_write_type if existing is not None else "Append")
        columns["attributes"] = encode(after)
        if described:
            shown = [a["value"] for a in after if a["displayed"] and a["type"] == "Description"]
            columns["description"] = shown[-1] if shown else None
    for name, named, write_type in (
        ("tags", incoming.tags, settings.tag_write_type),
        ("labels", incoming.labels, settings.label_write_type),
    ):
        if named is not None:
            before = decode(existing[name]) if existing is not None else []
            columns[name] = encode(merge_named(before, named, write_type))
    return columns
