"""The Parquet form of INDICATORS: the same columns with their permanent field ids.

Ids are numbered as Iceberg numbers a fresh schema, top-level columns first, nested ones after (its writers refuse
any other order). They are final: a new column takes the next free id, and an id is never used again.
Source: Parquet and Iceberg specifications.
"""

from typing import Final

import pyarrow as pa

from tcetl.schema import INDICATORS

FIELD_IDS: Final = {
    "id": 1,
    "owner_name": 2,
    "type": 3,
    "summary": 4,
    "rating": 5,
    "confidence": 6,
    "threat_assess_rating": 7,
    "threat_assess_confidence": 8,
    "date_added": 9,
    "last_modified": 10,
    "web_link": 11,
    "description": 12,
    "source": 13,
    "tags": 14,
    "attributes": 15,
    "security_labels": 16,
    "tlp": 17,
    "md5": 18,
    "sha1": 19,
    "sha256": 20,
    "size": 21,
    "active": 22,
    "exported_at": 23,
    "tags.element": 24,
    "tags.element.name": 25,
    "attributes.element": 26,
    "attributes.element.type": 27,
    "attributes.element.value": 28,
    "security_labels.element": 29,
    "threat_assess_score": 30,
    "cal_score": 31,
    "observation_count": 32,
    "last_observed": 33,
    "false_positive_count": 34,
    "false_positive_last_reported": 35,
    "private_flag": 36,
    "active_locked": 37,
    "dns_active": 38,
    "whois_active": 39,
    "first_seen": 40,
    "last_seen": 41,
    "extra": 42,
    "origin": 43,
    "tags.element.web_link": 44,
    "attributes.element.source": 45,
    "attributes.element.displayed": 46,
    "attributes.element.id": 47,
    "attributes.element.date_added": 48,
    "attributes.element.last_modified": 49,
    "origin.source": 50,
    "origin.file": 51,
    "origin.row": 52,
    "origin.pointer": 53,
    "origin.raw": 54,
    "attributes.element.pinned": 55,
    "attributes.element.security_labels": 56,
    "attributes.element.security_labels.element": 57,
    "external_date_added": 58,
    "external_last_modified": 59,
    "external_date_expires": 60,
}
"""Field id by dotted path; ``element`` is the element of a list."""


def _identified(field: pa.Field, path: str) -> pa.Field:
    kind = field.type
    if pa.types.is_list(kind):
        kind = pa.list_(_identified(kind.value_field, f"{path}.element"))
    elif pa.types.is_struct(kind):
        kind = pa.struct([_identified(child, f"{path}.{child.name}") for child in kind])

    return pa.field(field.name, kind, field.nullable, metadata={"PARQUET:field_id": str(FIELD_IDS[path])})


LAKE_SCHEMA: Final = pa.schema([_identified(field, field.name) for field in INDICATORS], metadata=INDICATORS.metadata)
"""INDICATORS with a field id on every column, nested ones included."""
