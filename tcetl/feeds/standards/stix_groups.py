"""STIX 2 domain objects as groups, and their relationships as associations.

Source: STIX 2.1 (OASIS standard), chapters 4 (domain objects) and 5 (relationships).
"""

from typing import Final

from tcetl.feeds.standards.grouping import Groups, time_of
from tcetl.feeds.standards.stix_objects import Object, StixReader

_TYPES: Final = {
    "attack-pattern": "Attack Pattern",
    "campaign": "Campaign",
    "course-of-action": "Course of Action",
    "grouping": "Report",
    "incident": "Incident",
    "intrusion-set": "Intrusion Set",
    "malware": "Malware",
    "report": "Report",
    "threat-actor": "Adversary",
    "tool": "Tool",
    "vulnerability": "Vulnerability",
}


def collect(one: Object, reader: StixReader, groups: Groups) -> None:
    """Add to *groups* what one object is or relates; *reader* has learnt from all objects. What is revoked is not."""
    kind, ident = one.get("type"), one.get("id")
    if one.get("revoked") is True or not isinstance(kind, str) or not isinstance(ident, str):
        return
    if kind == "relationship":
        ends = one.get("source_ref"), one.get("target_ref")
        if isinstance(ends[0], str) and isinstance(ends[1], str):
            groups.join(ends[0], ends[1])
        return
    if kind not in _TYPES:
        return
    said = reader.said(one)
    name, description = one.get("name"), one.get("description")
    own = {"publish_date": time_of(one.get("published")), "file_name": f"{ident}.txt"}
    groups.add(
        _TYPES[kind],
        ident,
        name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else "",
        source=said["source"],
        tags=said["tags"].split(","),
        tlp=said["tlp"],
        first_seen=time_of(one.get("first_seen")),
        last_seen=time_of(one.get("last_seen")),
        external_date_added=time_of(one.get("created")),
        external_last_modified=time_of(one.get("modified")),
        **(own if _TYPES[kind] == "Report" else {}),
    )
    refs = one.get("object_refs")
    for ref in refs if isinstance(refs, list) else ():
        if isinstance(ref, str):
            groups.join(ident, ref)
