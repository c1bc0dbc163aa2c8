"""Groups that a standard's own objects are (reports, campaigns, malware, events), and what belongs to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from tcetl.errors import FeedError
from tcetl.feeds.base import Feed
from tcetl.feeds.standards.finding import LONGEST_DESCRIPTION, Refusal, moment
from tcetl.feeds.tlp import strictest
from tcetl.groups import NAME_LIMIT
from tcetl.schema import ASSOCIATIONS, GROUPS, empty_table

IS_GROUP: Final = "is-group"
"""Code of the rejects that are no indicators but groups, and no rejects any more when the groups are loaded too."""

_TAG_LIMIT: Final = 128  # characters; a longer one would fail the whole group
_TLP: Final = "TLP:"


class Member(NamedTuple):
    """A record of a feed, by its pointer, and a group, by its type and what refers to it: its xid, else its name."""

    pointer: str
    type: str
    ref: str


class Grouped(NamedTuple):
    """The ``groups`` of a feed (GROUPS), ``associations`` between them (ASSOCIATIONS), and the ``members`` of each.

    ``records`` are those records of the feed that are a group themselves, which indicators are not: its reader gives
    them as rejects of the code `IS_GROUP`.
    """

    groups: pa.Table
    associations: pa.Table
    members: list[Member]
    records: list[Member]


@runtime_checkable
class GroupedFeed(Protocol):
    """A feed whose records belong to groups."""

    def groups(self) -> Grouped:
        """Return its groups, and which records belong to them; raises `FeedError` when it cannot be read."""


def together(parts: Iterable[Grouped]) -> Grouped:
    """Return the groups of several files of a feed as those of one; of the same group the first one counts."""
    found = list(parts)
    groups = pa.concat_tables([empty_table(GROUPS), *(part.groups for part in found)])
    called = zip(*(groups[name].to_pylist() for name in ("type", "xid", "name")), strict=True)
    refs = [(kind, xid or name) for kind, xid, name in called]
    first = {ref: at for at, ref in reversed(list(enumerate(refs)))}
    return Grouped(
        groups.take(pa.array(sorted(first.values()), pa.int64())),
        pa.concat_tables([empty_table(ASSOCIATIONS), *(part.associations for part in found)]),
        [member for part in found for member in part.members],
        [record for part in found for record in part.records],
    )


@dataclass(slots=True)
class Groups:
    """Collects groups, each once, and what belongs together.

    A group is called by its xid here, and one that has none by what `mention` returns.
    """

    source: str
    file: str
    _rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], None] = field(default_factory=dict)
    _members: dict[Member, None] = field(default_factory=dict)
    _records: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, xid: str, name: str, *, is_record: bool = False, **said: Any) -> None:
        """Add a group; a later one of the same *xid* takes its place. What a name has no room for is described.

        With *is_record* it is a record of the feed, whose pointer the *xid* is.
        """
        if is_record:
            self._records[xid] = xid
        whole = " ".join(name.split()) or xid
        short = whole if len(whole) <= NAME_LIMIT else f"{whole[: NAME_LIMIT - 1]}…"
        described = said.pop("description", "")
        self._rows[xid] = {
            "type": kind,
            "name": short,
            "xid": xid,
            "description": "\n".join(filter(None, [whole if short != whole else "", described])) or None,
            "tags": [{"name": tag} for tag in dict.fromkeys(said.pop("tags", ())) if 0 < len(tag) <= _TAG_LIMIT],
            "security_labels": [f"{_TLP}{level}"] if (level := said.pop("tlp", "")) else [],
            "attributes": [],
            "origin": {"source": self.source, "file": self.file, "pointer": xid, "raw": whole},
            **{key: value or None for key, value in said.items()},
        }

    def mention(self, kind: str, name: str, pointer: str, **said: Any) -> str:
        """Add a group that is known by its name alone, or what one more record says of it; return what it is called.

        The record is that at *pointer*. Of all that mention a group, descriptions and tags are put together, the
        strictest level is its own, and of anything else the first is.
        """
        called = f"{kind} {name}"
        self._records[pointer] = called
        before = self._rows.get(called)
        self.add(kind, called, name, **said)
        row = self._rows[called]
        row["xid"] = None
        row["origin"]["pointer"] = pointer
        if before:
            lines = [line for one in (before, row) for line in (one["description"] or "").split("\n")]
            labels = strictest(label.removeprefix(_TLP) for one in (before, row) for label in one["security_labels"])
            self._rows[called] = before | {
                "description": "\n".join(dict.fromkeys(filter(None, lines)))[:LONGEST_DESCRIPTION] or None,
                "tags": list({tag["name"]: tag for one in (before, row) for tag in one["tags"]}.values()),
                "security_labels": [f"{_TLP}{labels}"] if labels else [],
            }
        return called

    def join(self, one: str, other: str) -> None:
        """Note that the objects with the ids *one* and *other* belong together, whatever they are."""
        self._pairs[min(one, other), max(one, other)] = None

    def grouped(self) -> Grouped:
        """Return what was collected; of what belongs together at least one must be a group."""
        links = []
        for one, other in self._pairs:
            first, second = self._rows.get(one), self._rows.get(other)
            if first and second:
                links.append({"type_1": first["type"], "ref_1": _ref(first), "type_2": second["type"],
                              "ref_2": _ref(second), "origin": first["origin"]})  # fmt: skip
            elif first or second:
                group, pointer = (first, other) if first else (second, one)
                assert group
                self._members[Member(pointer, group["type"], _ref(group))] = None
        return Grouped(
            pa.Table.from_pylist(list(self._rows.values()), schema=GROUPS),
            pa.Table.from_pylist(links, schema=ASSOCIATIONS),
            list(self._members),
            [Member(at, self._rows[one]["type"], _ref(self._rows[one])) for at, one in self._records.items()],
        )


def _ref(group: dict[str, Any]) -> str:
    return str(group["xid"] or group["name"])


def grouped_feed(feed: Feed) -> GroupedFeed:
    """Return *feed* as one of groups.

    Raises:
        FeedError: its format has none.
    """
    if not isinstance(feed, GroupedFeed):
        raise FeedError(f"a feed of format {feed.format} has no groups", hint="formats stix and misp have")
    return feed


def is_group(raw: str, what: str, kind: str) -> Refusal:
    """Return the refusal of a record that is *what* and no indicator, but a group of type *kind*."""
    return Refusal(raw, IS_GROUP, f"{what} is no indicator but a group, a {kind}", "--groups (groups=True) loads it")


def time_of(said: object) -> datetime | None:
    """Return a time that an object says, in UTC; None for none."""
    text = moment(said)
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
