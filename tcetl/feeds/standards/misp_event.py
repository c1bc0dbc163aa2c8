"""MISP events as findings: attributes, and the attributes of objects.

Source: the MISP core format (draft-dulaunoy-misp-core-format), sections 2.2 to 2.7.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tcetl.feeds.standards.condition import HASHES
from tcetl.feeds.standards.finding import Finding, Refusal, describe, moment, tag_cell
from tcetl.feeds.standards.grouping import Groups, time_of
from tcetl.feeds.standards.misp_types import Part, parts
from tcetl.feeds.standards.stix_pattern import findings as pattern_findings
from tcetl.feeds.tlp import level_of, strictest
from tcetl.indicators import SEPARATOR

Record = Mapping[str, Any]
"""An event, attribute or object as parsed from JSON: of any shape, since anybody can publish one."""

_RATINGS: Final = {"1": "4", "2": "3", "3": "2"}  # threat level high, medium, low: the ratings of the same names
_CONFIDENCES: Final = {
    "completely-confident": "100",
    "usually-confident": "75",
    "fairly-confident": "50",
    "rarely-confident": "25",
    "unconfident": "0",
}
_CONFIDENCE_TAG: Final = 'misp:confidence-level="'


@dataclass(frozen=True, slots=True)
class MispOptions:
    """What of a MISP feed is taken: with ``to_ids``, only attributes that are marked as fit for detection."""

    to_ids: bool = True


class _Event(NamedTuple):
    """What an event, or an object in it, says of all its attributes."""

    info: str
    source: str
    rating: str
    tags: tuple[str, ...]
    about: str = ""
    deleted: bool = False


@dataclass(slots=True)
class MispReader:
    """Reads the events of one feed, and counts what they hold besides attributes."""

    options: MispOptions = MispOptions()
    others: Counter[str] = field(default_factory=Counter)

    def findings(self, record: Record) -> Iterator[tuple[Finding | Refusal, str]]:
        """Yield what an event says, each with a pointer: the attribute's UUID."""
        self.others["proposals"] += len(_records(record, "ShadowAttribute"))
        self.others["event reports"] += len(_records(record, "EventReport"))
        event = _event(record)
        for attribute in _records(record, "Attribute"):
            yield from self._attribute(attribute, event)
        for one in _records(record, "Object"):
            yield from self._object(one, event)

    def notes(self) -> Sequence[str]:
        """Return one sentence per kind of thing that was not loaded."""
        return [f"{count} MISP {what} were not loaded" for what, count in self.others.items() if count]

    def _attribute(self, attribute: Record, event: _Event) -> Iterator[tuple[Finding | Refusal, str]]:
        kind, value, pointer = (_text(attribute, key) for key in ("type", "value", "uuid"))
        if refusal := self._refused(attribute, event):
            yield refusal, pointer
        elif kind == "stix2-pattern":
            for item in pattern_findings(value):
                if isinstance(item, Finding):
                    yield _finding(Part(item.type, item.value, item.description), [attribute], event), pointer
                else:
                    yield item, pointer
        elif found := parts(kind, value):
            yield from ((_finding(part, [attribute], event), pointer) for part in found)
        else:
            yield Refusal(value, "unsupported-type", f"a MISP attribute of type {kind} is no indicator"), pointer

    def _refused(self, attribute: Record, event: _Event) -> Refusal | None:
        """Return why MISP itself says that the attribute is not to be loaded, if it does."""
        value = attribute.get("value")
        if not isinstance(value, str):
            return Refusal(
                str(dict(attribute))[:500],
                "bad-attribute",
                "the attribute has no value that is a text",
                severity="error",
            )
        if event.deleted or _is_set(attribute.get("deleted")):
            return Refusal(value, "deleted", "the attribute is marked as deleted")
        if self.options.to_ids and not _is_set(attribute.get("to_ids", True)):
            return Refusal(
                value, "not-for-detection", "to_ids is false: it is context, not fit for detection", "option to_ids"
            )
        return None

    def _object(self, one: Record, event: _Event) -> Iterator[tuple[Finding | Refusal, str]]:
        """Yield what the attributes of an object say; the hashes of one file are one finding."""
        attributes = _records(one, "Attribute")
        event = event._replace(
            about=describe(_text(one, "name"), _text(one, "comment")),
            deleted=event.deleted or _is_set(one.get("deleted")),
            tags=(*event.tags, *_tags(one)),
        )
        refused = [self._refused(attribute, event) for attribute in attributes]
        part, members = _joined([one for one, refusal in zip(attributes, refused, strict=True) if not refusal])
        for attribute in attributes:
            if not any(attribute is member for member in members):
                yield from self._attribute(attribute, event)
        if part:
            yield _finding(part, members, event), _text(members[0], "uuid")


def collect(record: Record, groups: Groups) -> None:
    """Add an event to *groups*, with its attributes as members; one without a UUID of its own is none."""
    uuid, event = _text(record, "uuid"), _event(record)
    if not uuid:
        return
    groups.add(
        "Event",
        uuid,
        event.info,
        source=event.source,
        tags=[tag for tag in event.tags if not level_of(tag)],
        tlp=strictest(map(level_of, event.tags)),
        event_date=time_of(record.get("date")),
        external_last_modified=time_of(record.get("timestamp")),
    )
    for holder in (record, *_records(record, "Object")):
        for attribute in _records(holder, "Attribute"):
            if pointer := _text(attribute, "uuid"):
                groups.join(uuid, pointer)


def _event(record: Record) -> _Event:
    return _Event(
        info=_text(record, "info"),
        source=_text(_record(record, "Orgc"), "name") or _text(_record(record, "Org"), "name"),
        rating=_RATINGS.get(str(record.get("threat_level_id")), ""),
        tags=tuple(_tags(record)),
    )


def _joined(attributes: Sequence[Record]) -> tuple[Part | None, Sequence[Record]]:
    """Return the file that the hashes among the *attributes* of an object are of, and those attributes."""
    hashes = [one for kind in HASHES for one in attributes if _text(one, "type") == kind]
    if not 1 < len(hashes) == len({_text(one, "type") for one in hashes}):
        return None, ()
    names = (_text(one, "value") for one in attributes if _text(one, "type") == "filename")
    about = "; ".join(f"File name: {name}" for name in names)
    return Part("File", SEPARATOR.join(_text(one, "value") for one in hashes), about), hashes


def _finding(part: Part, attributes: Sequence[Record], event: _Event) -> Finding:
    tags = [*event.tags, *(tag for one in attributes for tag in _tags(one))]
    confidence = next((tag for tag in reversed(tags) if tag.startswith(_CONFIDENCE_TAG)), "")
    seen = [moment(one.get("first_seen") or one.get("timestamp")) for one in attributes]
    return Finding(
        part.value,
        part.type,
        description=describe(
            *(_text(one, "comment") for one in attributes),
            part.about,
            event.about,
            f"Category: {_text(attributes[0], 'category')}" if _text(attributes[0], "category") else "",
            f"Event: {event.info}" if event.info else "",
        ),
        source=event.source,
        tags=tag_cell(tag for tag in tags if not level_of(tag)),
        first_seen=min(seen),
        last_seen=max(moment(one.get("last_seen")) for one in attributes),
        confidence=_CONFIDENCES.get(confidence.removeprefix(_CONFIDENCE_TAG).rstrip('"'), ""),
        rating=event.rating,
        tlp=strictest(map(level_of, tags)),
    )


def _tags(record: Record) -> Iterator[str]:
    """Yield the names of a record's tags, and of its galaxy clusters, which are tags as well."""
    for tag in _records(record, "Tag"):
        yield _text(tag, "name")
    for galaxy in _records(record, "Galaxy"):
        for cluster in _records(galaxy, "GalaxyCluster"):
            yield _text(cluster, "tag_name")


def _is_set(flag: object) -> bool:
    """Tell whether a flag is set: JSON true, or 1 as older instances write it, a number or a text."""
    return flag is True or str(flag).lower() in ("1", "true")


def _text(record: Record, key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _record(record: Record, key: str) -> Record:
    value = record.get(key)
    return value if isinstance(value, Mapping) else {}


def _records(record: Record, key: str) -> Sequence[Record]:
    value = record.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else ()
