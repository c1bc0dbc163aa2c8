"""MISP events as groups: the event itself, and those of its attributes that are groups: rules and vulnerabilities."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tcetl.feeds.standards import signatures
from tcetl.feeds.standards.finding import describe
from tcetl.feeds.standards.grouping import Groups, time_of
from tcetl.feeds.standards.misp_record import (
    Context,
    MispOptions,
    Record,
    context_of,
    records,
    refused,
    tags,
    text,
    within,
)
from tcetl.feeds.standards.misp_types import group_type
from tcetl.feeds.tlp import level_of, strictest

_CVE: Final = re.compile(r"cve-\d{4}-\d{4,}", re.IGNORECASE)
_SAID: Final = frozenset({"description", "summary"})  # relations by which an object describes what it is of


def collect(event: Record, groups: Groups, options: MispOptions) -> None:
    """Add an event to *groups*, with its attributes as members, and the groups that some of those are.

    An event without a UUID of its own is no group, nor is an attribute; what *options* leave out is none.
    """
    uuid, context = text(event, "uuid"), context_of(event)
    if uuid:
        groups.add(
            "Event",
            uuid,
            context.info,
            **_shared(context, context.tags),
            event_date=time_of(event.get("date")),
            external_last_modified=time_of(event.get("timestamp")),
        )
    for attribute, its_context, said in _attributes(event, context):
        pointer = text(attribute, "uuid")
        if pointer and uuid:
            groups.join(uuid, _group(attribute, its_context, said, groups, options) or pointer)
        elif pointer:
            _group(attribute, its_context, said, groups, options)


def _attributes(event: Record, context: Context) -> Iterator[tuple[Record, Context, str]]:
    """Yield each attribute of an event, what surrounds it, and how its object describes what it is of."""
    for attribute in records(event, "Attribute"):
        yield attribute, context, ""
    for one in records(event, "Object"):
        attributes = records(one, "Attribute")
        said = describe(*(text(each, "value") for each in attributes if text(each, "object_relation") in _SAID))
        for attribute in attributes:
            yield attribute, within(one, context), said


def _group(attribute: Record, context: Context, said: str, groups: Groups, options: MispOptions) -> str | None:
    """Add the group that an attribute is, and return what it is called; None where it is none."""
    kind, value, pointer = (text(attribute, key) for key in ("type", "value", "uuid"))
    group = group_type(kind)
    if group is None or refused(attribute, context, options):
        return None
    about = {
        "description": describe(text(attribute, "comment"), context.about, said),
        **_shared(context, (*context.tags, *tags(attribute))),
    }
    if group == "Vulnerability":
        name = value.strip()
        return groups.mention(group, name.upper() if _CVE.fullmatch(name) else name, pointer, **about)
    file_type = signatures.file_type(kind) or ""
    name = signatures.title(value, file_type) or f"{file_type} rule of {context.info or pointer}"
    groups.add(
        group,
        pointer,
        name,
        is_record=True,
        **about,
        external_last_modified=time_of(attribute.get("timestamp")),
        **signatures.columns(value, file_type, name),
    )
    return pointer


def _shared(context: Context, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return what a group of an event gets of it: the source, tags and TLP level."""
    return {
        "source": context.source,
        "tags": [tag for tag in names if not level_of(tag)],
        "tlp": strictest(map(level_of, names)),
    }
