"""STIX 2 domain objects as groups, indicators whose patterns are rules of others too; relationships as associations.

Source: STIX 2.1 (OASIS standard), chapters 4 (domain objects) and 5 (relationships).
"""

from typing import Any, Final

from tcetl.feeds.standards import signatures
from tcetl.feeds.standards.grouping import Groups, time_of
from tcetl.feeds.standards.stix_objects import Object, StixReader, pattern_type

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
_REPORTS: Final = frozenset({"grouping", "report"})


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
    signature = kind == "indicator" and signatures.file_type(pattern_type(one))
    if not (signature and not reader.refused(one)) and kind not in _TYPES:
        return
    said = reader.said(one)
    given, description = one.get("name"), one.get("description")
    name = given if isinstance(given, str) else ""
    own: dict[str, Any] = {}
    if signature:
        rule = str(one["pattern"])
        name = name or signatures.title(rule, signature)
        own = signatures.columns(rule, signature, name or ident) | {"is_record": True}
    elif kind in _REPORTS:
        own = {"publish_date": time_of(one.get("published")), "file_name": f"{ident}.txt"}
    groups.add(
        "Signature" if signature else _TYPES[kind],
        ident,
        name,
        description=description if isinstance(description, str) else "",
        source=said["source"],
        tags=said["tags"].split(","),
        tlp=said["tlp"],
        first_seen=time_of(one.get("first_seen")),
        last_seen=time_of(one.get("last_seen")),
        external_date_added=time_of(one.get("created")),
        external_last_modified=time_of(one.get("modified")),
        **own,
    )
    refs = one.get("object_refs")
    for ref in refs if isinstance(refs, list) else ():
        if isinstance(ref, str):
            groups.join(ident, ref)
