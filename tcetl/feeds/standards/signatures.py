"""Detection rules that a standard carries in its own records: Signature groups, by the platform's words for them.

Source: ThreatConnect REST docs, v2 groups, ``fileType`` of signatures; MISP's attribute types; STIX 2.1, 10.10.
"""

import re
from typing import Final

_FILE_TYPES: Final = {
    "bro": "Bro",
    "kusto-query": "KQL",
    "pcre": "Regex",
    "sigma": "Sigma",
    "snort": "Snort",
    "suricata": "Suricata",
    "yara": "YARA",
    "zeek": "Bro",
}
_ENDINGS: Final = {"Bro": "zeek", "KQL": "kql", "Regex": "txt", "Sigma": "yml", "YARA": "yar"}
_TITLES: Final = {  # where a rule says what it is called
    "Sigma": re.compile(r"^title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE),
    "Snort": re.compile(r'\bmsg:\s*"((?:[^"\\]|\\.)*)"'),
    "Suricata": re.compile(r'\bmsg:\s*"((?:[^"\\]|\\.)*)"'),
    "YARA": re.compile(r"^[ \t]*(?:(?:private|global)[ \t]+)*rule[ \t]+(\w+)", re.MULTILINE),
}
_TITLE_WITHIN: Final = 100_000  # characters
_NOT_IN_FILE_NAME: Final = re.compile(r"[^\w.-]+")
_LONGEST_FILE_NAME: Final = 80


def file_type(kind: str) -> str | None:
    """Return the platform's word for rules that a standard calls *kind*; None where they are none it has a word for."""
    return _FILE_TYPES.get(kind)


def title(rule: str, kind: str) -> str:
    """Return what a *rule* of the file type *kind* calls itself, the first one's name of several; empty for nothing."""
    pattern = _TITLES.get(kind)
    found = pattern.search(rule[:_TITLE_WITHIN]) if pattern else None
    return found[1].strip() if found else ""


def columns(rule: str, kind: str, name: str) -> dict[str, str]:
    """Return what of GROUPS only a Signature has: the *rule*, its file type *kind*, and a file called like *name*."""
    stem = _NOT_IN_FILE_NAME.sub("_", name).strip("._")[:_LONGEST_FILE_NAME] or "signature"
    return {"file_text": rule, "file_type": kind, "file_name": f"{stem}.{_ENDINGS.get(kind, 'rules')}"}
