"""The vocabulary of groups: their types, what each of them holds, and their identity.

Source: ThreatConnect REST docs, v2 groups and Batch API V2 input, group object.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

NAME_LIMIT: Final = 100
"""Most characters of a group's name."""


@dataclass(frozen=True, slots=True)
class GroupType:
    """One type of group: its name, its API branch, and those columns of GROUPS that only some types have.

    ``required`` are the columns that must be filled, ``optional`` those that may be; both by their names in GROUPS.
    ``has_content`` says that a file can be uploaded to it.
    """

    name: str
    branch: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    has_content: bool = False


_INSIGHTS: Final = ("insights", "ai_provider", "ai_last_retrieval_date")
_DATED: Final = ("event_date", "status")
_TYPES: Final = (
    GroupType("Adversary", "adversaries"),
    GroupType("Attack Pattern", "attackPatterns"),
    GroupType("Campaign", "campaigns"),
    GroupType("Course of Action", "coursesOfAction"),
    GroupType("Document", "documents", ("file_name",), ("malware", "password", *_INSIGHTS), has_content=True),
    GroupType("Email", "emails", ("subject", "header", "body"), ("from", "to")),
    GroupType("Event", "events", (), (*_DATED, "event_type", *_INSIGHTS)),
    GroupType("Incident", "incidents", (), _DATED),
    GroupType("Intrusion Set", "intrusionSets"),
    GroupType("Malware", "malware"),
    GroupType("Report", "reports", ("file_name",), ("publish_date", *_INSIGHTS), has_content=True),
    GroupType("Signature", "signatures", ("file_name", "file_type", "file_text"), has_content=True),
    GroupType("Tactic", "tactics"),
    GroupType("Threat", "threats"),
    GroupType("Tool", "tools"),
    GroupType("Vulnerability", "vulnerabilities"),
)
GROUP_TYPES: Final = {kind.name: kind for kind in _TYPES}
"""Group types by name."""

OWN_COLUMNS: Final = tuple(dict.fromkeys(column for kind in _TYPES for column in (*kind.required, *kind.optional)))
"""The columns of GROUPS that only some types have."""


def group_xid(owner: str, type_: str, name: str) -> str:
    """The xid of a group that brings none of its own: always the same for the same owner, type and name.

    It is what the vendor's ``generate_xid([owner, type, name])`` gives, so groups that such an app has loaded are
    found again: the SHA-256, in hex, of the SHA-256, in hex, of the three joined by ``-``.
    """
    digest = f"{owner}-{type_}-{name}"
    for _ in range(2):
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return digest
