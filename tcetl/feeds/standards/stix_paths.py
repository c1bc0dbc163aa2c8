"""What the object paths of STIX mean: which of them hold the value of an indicator, and of which type.

Source: STIX 2.1, chapter 6 (cyber-observable objects); the paths are those of patterns, without list indices.
"""

from typing import Final

from tcetl.feeds.standards.condition import HASHES, VALUE_NAME, VALUE_TYPE

_BY_SHAPE: Final = ""  # a reference that may name an address or a host: the value itself shows which
_USER_AGENT: Final = "extensions.http-request-ext.request_header.User-Agent"
_HOST_HEADER: Final = "extensions.http-request-ext.request_header.Host"

_PATHS: Final[dict[str, dict[str, str]]] = {
    "domain-name": {"value": "Host", "resolves_to_refs.value": _BY_SHAPE},
    "hostname": {"value": "Host"},  # OpenCTI and Anomali write these two
    "x-opencti-hostname": {"value": "Host"},
    "ipv4-addr": {"value": "Address"},
    "ipv6-addr": {"value": "Address"},
    "url": {"value": "URL"},
    "email-addr": {"value": "EmailAddress"},
    "email-message": {
        "from_ref.value": "EmailAddress",
        "sender_ref.value": "EmailAddress",
        "to_refs.value": "EmailAddress",
        "cc_refs.value": "EmailAddress",
        "bcc_refs.value": "EmailAddress",
        "subject": "Email Subject",
    },
    "windows-registry-key": {"key": "Registry Key", "values.name": VALUE_NAME, "values.data_type": VALUE_TYPE},
    "mutex": {"name": "Mutex"},
    "autonomous-system": {"number": "ASN"},
    "network-traffic": {
        "src_ref.value": _BY_SHAPE,
        "dst_ref.value": _BY_SHAPE,
        _USER_AGENT: "User Agent",
        _HOST_HEADER: _BY_SHAPE,
    },
    "user-agent": {"value": "User Agent"},
    "x-opencti-user-agent": {"value": "User Agent"},
}
_HASHED: Final = frozenset({"file", "artifact"})


def meaning(object_type: str, path: str) -> str | None:
    """Return what stands at *path* of *object_type*, as a `Comparison.kind`: the type of indicator, or None.

    Args:
        object_type: Such as ``file``.
        path: Its keys joined by dots, without quotes and list indices: ``hashes.SHA-256``, ``values.name``.
    """
    if object_type in _HASHED and path.startswith("hashes."):
        algorithm = path.removeprefix("hashes.").lower().replace("-", "").replace("_", "")
        return algorithm if algorithm in HASHES else None
    return _PATHS.get(object_type, {}).get(path)
