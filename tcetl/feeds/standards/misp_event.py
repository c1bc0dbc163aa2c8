"""MISP events as findings: attributes, and the attributes of objects.

Source: the MISP core format (draft-dulaunoy-misp-core-format), sections 2.2 to 2.7.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tcetl.feeds.standards.condition import HASHES
from tcetl.feeds.standards.finding import Finding, Refusal, describe, moment, tag_cell
from tcetl.feeds.standards.grouping import is_group
from tcetl.feeds.standards.misp_record import Context, MispOptions, Record, context_of, records, refused, text, within
from tcetl.feeds.standards.misp_record import tags as tags_of
from tcetl.feeds.standards.misp_types import Part, group_type, parts
from tcetl.feeds.standards.stix_pattern import findings as pattern_findings
from tcetl.feeds.tlp import level_of, strictest
from tcetl.indicators import SEPARATOR

_CONFIDENCES: Final = {
    "completely-confident": "100",
    "usually-confident": "75",
    "fairly-confident": "50",
    "rarely-confident": "25",
    "unconfident": "0",
}
_CONFIDENCE_TAG: Final = 'misp:confidence-level="'


@dataclass(slots=True)
class MispReader:
    """Reads the events of one feed, and counts what they hold besides attributes."""

    options: MispOptions = field(default_factory=MispOptions)
    others: Counter[str] = field(default_factory=Counter)

    def findings(self, event: Record) -> Iterator[tuple[Finding | Refusal, str]]:
        """Yield what an event says, each with a pointer: the attribute's UUID."""
        self.others["proposals"] += len(records(event, "ShadowAttribute"))
        self.others["event reports"] += len(records(event, "EventReport"))
        context = context_of(event)
        for attribute in records(event, "Attribute"):
            yield from self._attribute(attribute, context)
        for one in records(event, "Object"):
            yield from self._object(one, within(one, context))

    def notes(self) -> Sequence[str]:
        """Return one sentence per kind of thing that was not loaded."""
        return [f"{count} MISP {what} were not loaded" for what, count in self.others.items() if count]

    def _attribute(self, attribute: Record, context: Context) -> Iterator[tuple[Finding | Refusal, str]]:
        kind, value, pointer = (text(attribute, key) for key in ("type", "value", "uuid"))
        if refusal := refused(attribute, context, self.options):
            yield refusal, pointer
        elif kind == "stix2-pattern":
            for item in pattern_findings(value):
                if isinstance(item, Finding):
                    yield _finding(Part(item.type, item.value, item.description), [attribute], context), pointer
                else:
                    yield item, pointer
        elif found := parts(kind, value):
            yield from ((_finding(part, [attribute], context), pointer) for part in found)
        elif (group := group_type(kind)) and pointer:
            yield is_group(value, f"a MISP attribute of type {kind}", group), pointer
        else:
            yield Refusal(value, "unsupported-type", f"a MISP attribute of type {kind} is no indicator"), pointer

    def _object(self, one: Record, context: Context) -> Iterator[tuple[Finding | Refusal, str]]:
        """Yield what the attributes of an object say; the hashes of one file are one finding."""
        attributes = records(one, "Attribute")
        part, members = _joined([each for each in attributes if not refused(each, context, self.options)])
        for attribute in attributes:
            if not any(attribute is member for member in members):
                yield from self._attribute(attribute, context)
        if part:
            yield _finding(part, members, context), text(members[0], "uuid")


def _joined(attributes: Sequence[Record]) -> tuple[Part | None, Sequence[Record]]:
    """Return the file that the hashes among the *attributes* of an object are of, and those attributes."""
    hashes = [one for kind in HASHES for one in attributes if text(one, "type") == kind]
    if not 1 < len(hashes) == len({text(one, "type") for one in hashes}):
        return None, ()
    names = (text(one, "value") for one in attributes if text(one, "type") == "filename")
    about = "; ".join(f"File name: {name}" for name in names)
    return Part("File", SEPARATOR.join(text(one, "value") for one in hashes), about), hashes


def _finding(part: Part, attributes: Sequence[Record], context: Context) -> Finding:
    tags = [*context.tags, *(tag for one in attributes for tag in tags_of(one))]
    confidence = next((tag for tag in reversed(tags) if tag.startswith(_CONFIDENCE_TAG)), "")
    seen = [moment(one.get("first_seen") or one.get("timestamp")) for one in attributes]
    return Finding(
        part.value,
        part.type,
        description=describe(
            *(text(one, "comment") for one in attributes),
            part.about,
            context.about,
            f"Category: {text(attributes[0], 'category')}" if text(attributes[0], "category") else "",
            f"Event: {context.info}" if context.info else "",
        ),
        source=context.source,
        tags=tag_cell(tag for tag in tags if not level_of(tag)),
        first_seen=min(seen),
        last_seen=max(moment(one.get("last_seen")) for one in attributes),
        confidence=_CONFIDENCES.get(confidence.removeprefix(_CONFIDENCE_TAG).rstrip('"'), ""),
        rating=context.rating,
        tlp=strictest(map(level_of, tags)),
    )
