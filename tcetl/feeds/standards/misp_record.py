"""MISP events, objects and attributes as parsed from JSON, and what they say of each other.

Source: the MISP core format (draft-dulaunoy-misp-core-format), sections 2.2 to 2.7.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tcetl.feeds.standards.finding import Refusal, describe
from tcetl.feeds.standards.misp_types import group_type

Record = Mapping[str, Any]
"""An event, attribute or object as parsed from JSON: of any shape, since anybody can publish one."""

_RATINGS: Final = {"1": "4", "2": "3", "3": "2"}  # threat level high, medium, low: the ratings of the same names


@dataclass(frozen=True, slots=True)
class MispOptions:
    """What of a MISP feed is taken: with ``to_ids``, only attributes that are marked as fit for detection."""

    to_ids: bool = True


class Context(NamedTuple):
    """What an event, or an object in it, says of all its attributes."""

    info: str
    source: str
    rating: str
    tags: tuple[str, ...]
    about: str = ""
    deleted: bool = False


def context_of(event: Record) -> Context:
    """Return what an event says of its attributes."""
    return Context(
        info=text(event, "info"),
        source=text(_record(event, "Orgc"), "name") or text(_record(event, "Org"), "name"),
        rating=_RATINGS.get(str(event.get("threat_level_id")), ""),
        tags=tuple(tags(event)),
    )


def within(one: Record, event: Context) -> Context:
    """Return what an object in an event says of its own attributes, with what the event says."""
    return event._replace(
        about=describe(text(one, "name"), text(one, "comment")),
        deleted=event.deleted or is_set(one.get("deleted")),
        tags=(*event.tags, *tags(one)),
    )


def refused(attribute: Record, context: Context, options: MispOptions) -> Refusal | None:
    """Return why MISP itself says that an attribute is not to be loaded, if it does.

    A vulnerability is never fit for detection, and MISP marks none so: that is no reason to leave it out.
    """
    value, group = attribute.get("value"), group_type(text(attribute, "type"))
    if not isinstance(value, str) or (group and not value.strip()):
        return Refusal(
            str(dict(attribute))[:500], "bad-attribute", "the attribute has no value that is a text", severity="error"
        )
    if context.deleted or is_set(attribute.get("deleted")):
        return Refusal(value, "deleted", "the attribute is marked as deleted")
    if options.to_ids and group != "Vulnerability" and not is_set(attribute.get("to_ids", True)):
        return Refusal(
            value,
            "not-for-detection",
            "to_ids is false: it is context, not fit for detection",
            "--option to_ids=false takes it",
        )
    return None


def tags(one: Record) -> Iterator[str]:
    """Yield the names of a record's tags, and of its galaxy clusters, which are tags as well."""
    for tag in records(one, "Tag"):
        yield text(tag, "name")
    for galaxy in records(one, "Galaxy"):
        for cluster in records(galaxy, "GalaxyCluster"):
            yield text(cluster, "tag_name")


def is_set(flag: object) -> bool:
    """Tell whether a flag is set: JSON true, or 1 as older instances write it, a number or a text."""
    return flag is True or str(flag).lower() in ("1", "true")


def text(record: Record, key: str) -> str:
    """Return the text under *key*, or the empty one where there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def records(record: Record, key: str) -> Sequence[Record]:
    """Return the records in the list under *key*."""
    value = record.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else ()


def _record(record: Record, key: str) -> Record:
    value = record.get(key)
    return value if isinstance(value, Mapping) else {}
