"""The platform's vocabulary: indicator and group types, attribute types, security labels (api §2.2, §3.1, §3.6)."""

from dataclasses import dataclass
from typing import Final

SEPARATOR: Final = " : "
"""Joins the values of a multi-value summary: File hashes, Registry Key parts (api §2.3)."""

REGISTRY_VALUE_TYPES: Final = (
    "REG_NONE",
    "REG_BINARY",
    "REG_DWORD",
    "REG_DWORD_LITTLE_ENDIAN",
    "REG_DWORD_BIG_ENDIAN",
    "REG_EXPAND_SZ",
    "REG_LINK",
    "REG_MULTI_SZ",
    "REG_QWORD",
    "REG_QWORD_LITTLE_ENDIAN",
    "REG_SZ",
)


@dataclass(frozen=True, slots=True)
class IndicatorKind:
    """An indicator type: ``name``, v2 ``branch`` and ``entity``, value ``keys``; for custom types the ``case`` rule."""

    name: str
    branch: str
    entity: str
    keys: tuple[str, ...]
    case: str = ""  # upper | lower | sensitive; empty for the five built-in types
    parsable: bool = True

    @property
    def custom(self) -> bool:
        """Whether the platform treats the type as a custom one."""
        return bool(self.case)


_INDICATORS: Final = (
    IndicatorKind("Address", "addresses", "address", ("ip",)),
    IndicatorKind("EmailAddress", "emailAddresses", "emailAddress", ("address",)),
    IndicatorKind("File", "files", "file", ("md5", "sha1", "sha256")),
    IndicatorKind("Host", "hosts", "host", ("hostName",)),
    IndicatorKind("URL", "urls", "url", ("text",)),
    IndicatorKind("ASN", "asns", "asn", ("AS Number",), "upper"),
    IndicatorKind("CIDR", "cidrBlocks", "cidrBlock", ("Block",), "lower"),
    IndicatorKind("Mutex", "mutexes", "mutex", ("Mutex",), "sensitive", parsable=False),
    IndicatorKind(
        "Registry Key", "registryKeys", "registryKey", ("Key Name", "Value Name", "Value Type"), "sensitive", False
    ),
    IndicatorKind("User Agent", "userAgents", "userAgent", ("User Agent String",), "sensitive", parsable=False),
    # Branches of the last two are assumed (api §9.2, 6).
    IndicatorKind("Email Subject", "emailSubjects", "emailSubject", ("Subject",), "sensitive", parsable=False),
    IndicatorKind("Hashtag", "hashtags", "hashtag", ("Hashtag",), "lower", parsable=False),
)
INDICATORS: Final = {kind.name: kind for kind in _INDICATORS}
INDICATORS_BY_BRANCH: Final = {kind.branch: kind for kind in _INDICATORS} | {"cidrs": INDICATORS["CIDR"]}
INDICATORS_BY_ENTITY: Final = {kind.entity: kind for kind in _INDICATORS}


@dataclass(frozen=True, slots=True)
class GroupKind:
    """A group type: ``name``, v2 ``branch`` and ``entity``, and what a batch must give besides name and xid."""

    name: str
    branch: str
    entity: str
    required: tuple[str, ...] = ()


_GROUPS: Final = (
    GroupKind("Adversary", "adversaries", "adversary"),
    GroupKind("Attack Pattern", "attackPatterns", "attackPattern"),
    GroupKind("Campaign", "campaigns", "campaign"),
    GroupKind("Course of Action", "coursesOfAction", "courseOfAction"),
    GroupKind("Document", "documents", "document", ("fileName",)),
    GroupKind("Email", "emails", "email", ("subject", "header", "body")),
    GroupKind("Event", "events", "event"),
    GroupKind("Incident", "incidents", "incident"),
    GroupKind("Intrusion Set", "intrusionSets", "intrusionSet"),
    GroupKind("Malware", "malware", "malware"),
    GroupKind("Report", "reports", "report", ("fileName",)),
    GroupKind("Signature", "signatures", "signature", ("fileName", "fileType", "fileText")),
    GroupKind("Tactic", "tactics", "tactic"),
    GroupKind("Threat", "threats", "threat"),
    GroupKind("Tool", "tools", "tool"),
    GroupKind("Vulnerability", "vulnerabilities", "vulnerability"),
)
GROUPS: Final = {kind.name: kind for kind in _GROUPS}
GROUPS_BY_BRANCH: Final = {kind.branch: kind for kind in _GROUPS}

INCIDENT_STATUSES: Final = frozenset(
    (
        "New",
        "Open",
        "Stalled",
        "Containment Achieved",
        "Restoration Achieved",
        "Incident Reported",
        "Closed",
        "Rejected",
        "Deleted",
    )
)
EVENT_STATUSES: Final = frozenset(
    (
        "Needs Review",
        "False Positive",
        "No Further Action",
        "Escalated",
        "Completed",
        "In Progress",
        "New",
        "Reopened",
    )
)
SIGNATURE_TYPES: Final = frozenset(
    (
        "Bro",
        "ClamAV",
        "CybOX",
        "Iris Search Hash",
        "KQL",
        "OpenIOC",
        "Regex",
        "SPL",
        "Sigma",
        "Snort",
        "Suricata",
        "TQL Query",
        "YARA",
    )
)
EVENT_TYPES: Final = frozenset(
    (
        "Alert",
        "Alert [flash]",
        "Alert [hyper-local]",
        "Alert [local]",
        "Alert [urgent]",
        "Breach",
        "Campaign",
        "Compliance / Regulatory",
        "Disclosure",
        "Emerging Threat",
        "Exercise",
        "Exposure",
        "Finding [Compliance violations]",
        "Finding [Configuration weaknesses]",
        "Finding [Missing patches]",
        "Finding [Security posture gaps]",
        "Investigation",
        "None",
        "Operation",
        "Physical Security",
        "Response Action",
        "Social Engineering (non-phishing)",
        "Third Party Reported",
        "Trend",
    )
)

ATTRIBUTE_TYPES: Final[dict[str, int]] = {
    # name → maxSize. The names are common ones of a stock instance; the sizes are assumed (api §8, "attribute").
    "Description": 65_535,
    "Source": 500,
    "Source Date Time": 100,
    "Additional Analysis and Context": 65_535,
    "Adversary Motivation Type": 500,
    "Aliases": 500,
    "Analyst Notes": 65_535,
    "Attack Vector": 500,
    "Campaign Objective": 500,
    "Capabilities": 500,
    "Category": 500,
    "Collection Method": 500,
    "Country": 100,
    "Course of Action Recommendation": 500,
    "Course of Action Taken": 500,
    "Detection Name": 500,
    "External ID": 500,
    "External References": 500,
    "External Tags": 500,
    "File Type": 100,
    "First Seen": 100,
    "Impact Description": 500,
    "Impact Score": 100,
    "Infection Vector": 500,
    "Infrastructure Ownership": 500,
    "Last Seen": 100,
    "Malware Family": 500,
    "Phase of Intrusion": 500,
    "Port": 100,
    "Reporter": 500,
    "Status": 500,
    "Targeted Industry Sector": 500,
    "Targeted Region": 500,
    "Threat Level": 100,
    "Threat Type": 500,
    "Time Frame": 500,
    "Tool": 500,
    "URL Status": 100,
}
TAG_LIMIT: Final = 128
GROUP_NAME_LIMIT: Final = 100

LABELS: Final[dict[str, tuple[str, str]]] = {
    # name → (colour, description); both spellings are shipped (api §3.6)
    "TLP:RED": ("FF2B2B", "Not for disclosure, restricted to participants only."),
    "TLP:AMBER": ("FFC000", "Limited disclosure, restricted to participants' organizations."),
    "TLP:AMBER+STRICT": ("FFC000", "Limited disclosure, restricted to the participant's organization."),
    "TLP:GREEN": ("33FF00", "Limited disclosure, restricted to the community."),
    "TLP:CLEAR": ("FFFFFF", "Disclosure is not limited."),
    "TLP:WHITE": ("FFFFFF", "Disclosure is not limited."),
    "TLP Red": ("FF2B2B", "Not for disclosure, restricted to participants only."),
    "TLP Amber": ("FFC000", "Limited disclosure, restricted to participants' organizations."),
    "TLP Green": ("33FF00", "Limited disclosure, restricted to the community."),
    "TLP White": ("FFFFFF", "Disclosure is not limited."),
}
LABEL_DATE: Final = "2016-08-31T00:00:00Z"

ASSOCIATIONS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    # name → (primary type, other types) (api §6.7)
    "Address to User Agent": ("Address", frozenset(("User Agent",))),
    "ASN to Address": ("ASN", frozenset(("Address",))),
    "ASN to CIDR": ("ASN", frozenset(("CIDR",))),
    "CIDR to Address": ("CIDR", frozenset(("Address",))),
    "DNS PTR Record": ("Address", frozenset(("Host",))),
    "Domain Registrant Email": ("Host", frozenset(("EmailAddress",))),
    "File Download": ("URL", frozenset(("File",))),
    "URL Host": ("URL", frozenset(("Host", "Address"))),
}
