"""Groups that a standard's own objects are (reports, campaigns, malware, events), and what belongs to them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from tcetl.feeds.standards.finding import moment
from tcetl.groups import NAME_LIMIT
from tcetl.schema import ASSOCIATIONS, GROUPS

_TAG_LIMIT = 128  # characters; a longer one would fail the whole group


class Member(NamedTuple):
    """A record of a feed, by its pointer, that belongs to a group, by its type and xid."""

    pointer: str
    type: str
    xid: str


class Grouped(NamedTuple):
    """The ``groups`` of a feed (GROUPS), ``associations`` between them (ASSOCIATIONS), and the ``members`` of each."""

    groups: pa.Table
    associations: pa.Table
    members: list[Member]


@runtime_checkable
class GroupedFeed(Protocol):
    """A feed whose records belong to groups."""

    def groups(self) -> Grouped:
        """Return its groups, and which records belong to them; raises `FeedError` when it cannot be read."""


@dataclass(slots=True)
class Groups:
    """Collects groups, each xid once, and what belongs together."""

    source: str
    file: str
    _rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], None] = field(default_factory=dict)
    _members: dict[Member, None] = field(default_factory=dict)

    def add(self, kind: str, xid: str, name: str, **said: Any) -> None:
        """Add a group; a later one of the same *xid* takes its place. What a name has no room for is described."""
        whole = " ".join(name.split()) or xid
        short = whole if len(whole) <= NAME_LIMIT else f"{whole[: NAME_LIMIT - 1]}…"
        described = said.pop("description", "")
        self._rows[xid] = {
            "type": kind,
            "name": short,
            "xid": xid,
            "description": "\n".join(filter(None, [whole if short != whole else "", described])) or None,
            "tags": [{"name": tag} for tag in dict.fromkeys(said.pop("tags", ())) if 0 < len(tag) <= _TAG_LIMIT],
            "security_labels": [f"TLP:{level}"] if (level := said.pop("tlp", "")) else [],
            "attributes": [],
            "origin": {"source": self.source, "file": self.file, "pointer": xid, "raw": whole},
            **{key: value or None for key, value in said.items()},
        }

    def join(self, one: str, other: str) -> None:
        """Note that the objects with the ids *one* and *other* belong together, whatever they are."""
        self._pairs[min(one, other), max(one, other)] = None

    def grouped(self) -> Grouped:
        """Return what was collected; of what belongs together at least one must be a group."""
        links = []
        for one, other in self._pairs:
            first, second = self._rows.get(one), self._rows.get(other)
            if first and second:
                links.append({"type_1": first["type"], "ref_1": one, "type_2": second["type"], "ref_2": other,
                              "origin": first["origin"]})  # fmt: skip
            elif first or second:
                group, pointer = (first, other) if first else (second, one)
                assert group
                self._members[Member(pointer, group["type"], group["xid"])] = None
        return Grouped(
            pa.Table.from_pylist(list(self._rows.values()), schema=GROUPS),
            pa.Table.from_pylist(links, schema=ASSOCIATIONS),
            list(self._members),
        )


def time_of(said: object) -> datetime | None:
    """Return a time that an object says, in UTC; None for none."""
    text = moment(said)
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
