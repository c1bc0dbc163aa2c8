"""Associations: the ``association`` items of a batch, and those written inside indicators and groups (api §5.9)."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from tcetl.emulator.batch_messages import ASSOCIATION, PERMISSION, ItemError
from tcetl.emulator.lookup import find
from tcetl.emulator.rules import InvalidValueError, check, split_summary
from tcetl.emulator.vocabulary import ASSOCIATIONS, GROUPS, INDICATORS


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One end of an association."""

    kind: str  # "group" | "indicator"
    id: int
    type: str = ""


def connect(connection: sqlite3.Connection, one: End, other: End, type_: str = "") -> None:
    """Associate two objects; twice is once."""
    left, right = sorted((one, other), key=lambda end: (end.kind, end.id))
    connection.execute(
        "INSERT INTO link (left_kind, left_id, right_kind, right_id, type) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET writes = writes + 1",
        (left.kind, left.id, right.kind, right.id, type_),
    )


def unlink(connection: sqlite3.Connection, kind: str, id_: int) -> None:
    """Remove every association of an object."""
    connection.execute("DELETE FROM link WHERE left_kind = ? AND left_id = ?", (kind, id_))
    connection.execute("DELETE FROM link WHERE right_kind = ? AND right_id = ?", (kind, id_))


def indicator_end(connection: sqlite3.Connection, owner: int, type_: str, summary: str) -> End | None:
    """The indicator of *owner* with this summary, or None."""
    kind = INDICATORS.get(type_)
    if kind is None:
        return None
    try:
        value = check(kind, split_summary(kind, summary))
    except InvalidValueError:
        return None
    rows = find(connection, owner, value)
    return End("indicator", rows[0]["id"], type_) if rows else None


def group_end(connection: sqlite3.Connection, owner: int, xid: str) -> End | None:
    """The group of *owner* with this xid, or None."""
    sql = 'SELECT id, type FROM "group" WHERE owner = ? AND xid = ?'
    row = connection.execute(sql, (owner, xid)).fetchone()
    return End("group", row["id"], row["type"]) if row is not None else None


def _by_id(connection: sqlite3.Connection, owner: int, kind: str, id_: Any, label: str) -> End:
    table = '"group"' if kind == "group" else "indicator"
    row = connection.execute(f"SELECT owner, type FROM {table} WHERE id = ?", (id_,)).fetchone()  # noqa: S608
    if row is None:
        raise ItemError(ASSOCIATION, f"Association {label}: no {kind} with id {id_}.", label)
    if row["owner"] != owner:
        # No associations across owners (api §5.9).
        raise ItemError(PERMISSION, f"Association {label}: the owners of the requested objects were different", label)
    return End(kind, int(id_), row["type"])


def _end(connection: sqlite3.Connection, owner: int, item: dict[str, Any], side: int, label: str) -> End:
    type_ = item.get(f"type_{side}")
    kind = "indicator" if type_ in INDICATORS else "group"
    if type_ is not None and kind == "group" and type_ not in GROUPS:
        raise ItemError(ASSOCIATION, f"Association {label}: invalid type_{side} {type_}.", label)
    id_ = item.get(f"id_{side}")
    if id_ is not None:  # wins over the reference
        return _by_id(connection, owner, kind, id_, label)
    reference = item.get(f"ref_{side}")
    if not isinstance(reference, str) or not reference:
        raise ItemError(ASSOCIATION, f"Association {label}: neither id_{side} nor ref_{side} given.", label)
    found = (
        indicator_end(connection, owner, str(type_), reference)
        if kind == "indicator"
        else group_end(connection, owner, reference)
    )
    if found is None:
        raise ItemError(ASSOCIATION, f"Association {label}: {reference} was not found.", label)
    return found


def associate(connection: sqlite3.Connection, owner: int, item: dict[str, Any]) -> None:
    """Apply one ``association`` item, or raise the reason why not."""
    label = " - ".join(str(item.get(f"ref_{side}", item.get(f"id_{side}"))) for side in (1, 2))
    one, other = (_end(connection, owner, item, side, label) for side in (1, 2))
    name = item.get("associationType") or ""
    if one.kind == other.kind == "indicator":
        if not name:
            raise ItemError(ASSOCIATION, f"Association {label}: associationType is required.", label)
        pair = ASSOCIATIONS.get(name)
        # Either end may be the primary one; names outside the table belong to custom associations.
        if pair is not None and not any(
            first.type == pair[0] and second.type in pair[1] for first, second in ((one, other), (other, one))
        ):
            reason = f"Invalid association, a {one.type} cannot be associated with a {other.type}"
            raise ItemError(ASSOCIATION, reason, label)
    connect(connection, one, other, name)


@dataclass(frozen=True, slots=True)
class InlineLink:
    """An association written inside an item: its target may come later in the file."""

    source: End
    label: str
    xid: str | None = None
    group_id: int | None = None
    indicator: tuple[str, str] | None = None  # type, summary

    def target(self, connection: sqlite3.Connection, owner: int) -> End | None:
        """The object at the other end, or None when it does not exist in the owner."""
        if self.xid is not None:
            return group_end(connection, owner, self.xid)
        if self.indicator is not None:
            return indicator_end(connection, owner, *self.indicator)
        row = connection.execute(
            'SELECT id, type FROM "group" WHERE owner = ? AND id = ?', (owner, self.group_id)
        ).fetchone()
        return End("group", row["id"], row["type"]) if row is not None else None

    @property
    def wanted(self) -> str:
        """How messages name the target."""
        return self.xid or (self.indicator[1] if self.indicator else str(self.group_id))


def inline_links(item: dict[str, Any], source: End, label: str) -> list[InlineLink]:
    """The associations that *item* itself lists, in any of the accepted spellings (api §5.8, §5.9)."""
    links = []
    for entry in item.get("associatedGroups") or ():
        xid = entry.get("groupXid") if isinstance(entry, dict) else entry
        links.append(InlineLink(source, label, xid=str(xid)))
    links += [InlineLink(source, label, xid=str(xid)) for xid in item.get("associatedGroupXid") or ()]
    links += [InlineLink(source, label, group_id=id_) for id_ in item.get("associatedGroup") or ()]
    for entry in item.get("associatedIndicators") or ():
        if isinstance(entry, dict):
            pair = (str(entry.get("indicatorType")), str(entry.get("summary")))
            links.append(InlineLink(source, label, indicator=pair))
    return links
