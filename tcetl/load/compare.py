"""What one record would change of what the platform holds, by the job's write types (REST docs, batch API).

What the platform does not tell, such as when an indicator was first seen, is not compared.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tcetl.client.batch import BatchSettings

_Attributes = Counter[tuple[str, str, bool]]  # type, value, whether it is displayed

# Key of the record → column of INDICATORS, for what is simply overwritten. What is None there is unset …
_VALUES: Final = (("rating", "rating"), ("confidence", "confidence"))
# … or not told by this instance.
_FLAGS: Final = (
    ("active", "active"),
    ("activeLocked", "active_locked"),
    ("privateFlag", "private_flag"),
    ("size", "size"),
    ("flag1", "dns_active"),
    ("flag2", "whois_active"),
)
_HASHES: Final = ("md5", "sha1", "sha256")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that would change, and what it is and becomes, in words; lists say what is added and removed."""

    field: str
    was: str
    becomes: str


def changes(record: Mapping[str, Any], held: Mapping[str, Any], settings: BatchSettings) -> list[Change]:
    """Return what sending *record* (V2 batch JSON) changes of *held* (a row of INDICATORS); nothing if they are alike.

    Raises:
        KeyError, TypeError, ValueError: The record is not of the form that batch jobs document.
    """
    found = [
        Change(column, _text(held[column]), _text(record[key]))
        for key, column in _VALUES
        if record.get(key) is not None and held[column] != float(record[key])
    ]
    found += [
        Change(column, _text(held[column]), _text(record[key]))
        for key, column in _FLAGS
        if record.get(key) is not None and held[column] is not None and held[column] != record[key]
    ]
    found += _hashes(record, held)
    tags = (tag["name"] for tag in held["tags"])
    found += _listed("tags", tags, record.get("tag"), append=settings.tag_write_type == "Append")
    append = settings.security_label_write_type == "Append"
    found += _listed("security_labels", held["security_labels"], record.get("securityLabel"), append=append)
    return found + _attributes(record, held, settings.attribute_write_type)


def _hashes(record: Mapping[str, Any], held: Mapping[str, Any]) -> list[Change]:
    """The hashes that a File gains, and those that contradict the ones it has, which the collision mode decides."""
    return [
        Change("hash conflict" if held[kind] else "hashes", held[kind] or "", str(record[kind]).lower())
        for kind in _HASHES
        if record.get(kind) and str(record[kind]).lower() != (held[kind] or "").lower()
    ]


def _listed(field: str, held: Iterable[str], given: Any, *, append: bool) -> list[Change]:
    """A list of names that is replaced, or added to; one that the record does not mention stays as it is."""
    if given is None:
        return []
    there, here = set(held), {entry["name"] for entry in given}
    return _added_and_removed(field, sorted(here - there), [] if append else sorted(there - here))


def _attributes(record: Mapping[str, Any], held: Mapping[str, Any], write_type: str) -> list[Change]:
    if write_type == "Static":
        return []
    there: _Attributes = Counter(
        (one["type"], one["value"] or "", bool(one["displayed"])) for one in held["attributes"]
    )
    after = _after(there, record.get("attribute"), write_type)
    if text := record.get("description"):
        after = Counter({one: count for one, count in after.items() if not _is_description(one)})
        after["Description", text, True] += 1
    gained, lost = after - there, there - after
    was, becomes = _described(lost), _described(gained)
    found = [Change("description", was, becomes)] if was or becomes else []
    return found + _added_and_removed("attributes", _others(gained), _others(lost))


def _after(there: _Attributes, given: Any, write_type: str) -> _Attributes:
    """The attributes of an indicator that has *there* when a job has written those *given* to it."""
    if given is None:
        return there
    here: _Attributes = Counter((one["type"], one["value"], bool(one.get("displayed"))) for one in given)
    match write_type:
        case "Replace":
            return here
        case "Singleton":
            types = {type_ for type_, _, _ in here}
            return Counter({one: count for one, count in there.items() if one[0] not in types}) + here
        case _:
            return there + here  # Append looks for no duplicates


def _is_description(attribute: tuple[str, str, bool]) -> bool:
    return attribute[0] == "Description" and attribute[2]


def _described(attributes: _Attributes) -> str:
    return "; ".join(one[1] for one in attributes if _is_description(one))


def _others(attributes: _Attributes) -> list[str]:
    return [f"{one[0]}: {one[1]}" for one in sorted(attributes.elements()) if not _is_description(one)]


def _added_and_removed(field: str, added: list[str], removed: list[str]) -> list[Change]:
    found = [Change(f"{field} added", "", ", ".join(added))] if added else []
    return found + ([Change(f"{field} removed", ", ".join(removed), "")] if removed else [])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value).lower()
