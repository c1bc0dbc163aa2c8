"""The waist of the hourglass: the Arrow schemas that travel between stages.

Every stage passes streams of record batches in one of these schemas, so a source knows nothing of sinks and a
sink nothing of sources. Field ids are final: new columns are nullable and take the next free id.

What is loaded: ``INDICATORS``, ``GROUPS``, ``ASSOCIATIONS`` between them, ``FILE_OCCURRENCES`` of File indicators, and
``SECURITY_LABELS`` that may have to be made. What was not: ``REJECTS``. How far a load got: ``RECEIPTS``.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

# One tag name, one attribute: the element types of the two list-of-struct columns. An attribute is ``displayed`` when
# it is the one shown as the object's Description or Source, ``pinned`` when it is shown first; its security labels are
# names, as those of the object are.
TAG: Final = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("web_link", pa.string()),
    ]
)
ATTRIBUTE: Final = pa.struct(
    [
        pa.field("type", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("source", pa.string()),
        pa.field("displayed", pa.bool_()),
        pa.field("id", pa.int64()),
        pa.field("date_added", TIMESTAMP),
        pa.field("last_modified", TIMESTAMP),
        pa.field("pinned", pa.bool_()),
        pa.field("security_labels", pa.list_(pa.field("element", pa.string(), nullable=False))),
    ]
)
# Where a record was read: the feed's name, the file, the 1-based row (line or record) or JSON pointer, and the
# value as it stood there. Null for records that came from the platform: (owner_name, id) names those.
ORIGIN: Final = pa.struct(
    [
        pa.field("source", pa.string()),
        pa.field("file", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("pointer", pa.string()),
        pa.field("raw", pa.string()),
    ]
)

INDICATORS: Final = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("owner_name", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("summary", pa.string(), nullable=False),
        pa.field("rating", pa.float64()),
        pa.field("confidence", pa.int32()),
        pa.field("threat_assess_rating", pa.float64()),
        pa.field("threat_assess_confidence", pa.float64()),
        pa.field("date_added", TIMESTAMP),
        pa.field("last_modified", TIMESTAMP),
        pa.field("web_link", pa.string()),
        pa.field("description", pa.string()),
        pa.field("source", pa.string()),
        pa.field("tags", pa.list_(pa.field("element", TAG, nullable=False)), nullable=False),
        pa.field("attributes", pa.list_(pa.field("element", ATTRIBUTE, nullable=False)), nullable=False),
        pa.field("security_labels", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("tlp", pa.string()),
        pa.field("md5", pa.string()),
        pa.field("sha1", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("active", pa.bool_()),
        pa.field("exported_at", TIMESTAMP),
        pa.field("threat_assess_score", pa.int32()),
        pa.field("cal_score", pa.int32()),
        pa.field("observation_count", pa.int64()),
        pa.field("last_observed", TIMESTAMP),
        pa.field("false_positive_count", pa.int64()),
        pa.field("false_positive_last_reported", TIMESTAMP),
        pa.field("private_flag", pa.bool_()),
        pa.field("active_locked", pa.bool_()),
        pa.field("dns_active", pa.bool_()),
        pa.field("whois_active", pa.bool_()),
        pa.field("first_seen", TIMESTAMP),
        pa.field("last_seen", TIMESTAMP),
        pa.field("extra", pa.string()),  # a JSON object of the keys this schema does not know; null when none
        pa.field("origin", ORIGIN),
        pa.field("external_date_added", TIMESTAMP),  # when the source added, and last changed, it
        pa.field("external_last_modified", TIMESTAMP),
        pa.field("external_date_expires", TIMESTAMP),
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""Identity is (owner_name, type, summary in canonical form). md5/sha1/sha256 are lower case beside the joined File
summary; rating is 0-5, confidence 0-100; times are microseconds UTC."""

GROUPS: Final = pa.schema(
    [
        pa.field("type", pa.string(), nullable=False),  # Adversary, Incident, Report, Vulnerability …
        pa.field("name", pa.string(), nullable=False),  # 1-100 characters
        pa.field("xid", pa.string()),  # identity within the owner; null: made from owner, type and name
        pa.field("description", pa.string()),  # becomes the displayed attribute Description
        pa.field("source", pa.string()),  # becomes the displayed attribute Source
        pa.field("tags", pa.list_(pa.field("element", TAG, nullable=False)), nullable=False),
        pa.field("attributes", pa.list_(pa.field("element", ATTRIBUTE, nullable=False)), nullable=False),
        pa.field("security_labels", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("first_seen", TIMESTAMP),  # of any type, as the next four
        pa.field("last_seen", TIMESTAMP),
        pa.field("external_date_added", TIMESTAMP),  # when the source added, and last changed, it
        pa.field("external_last_modified", TIMESTAMP),
        pa.field("external_date_expires", TIMESTAMP),
        pa.field("event_date", TIMESTAMP),  # Event, Incident
        pa.field("status", pa.string()),  # Event, Incident: one of the platform's words, such as Open
        pa.field("event_type", pa.string()),  # Event: one of the platform's words, such as Breach
        pa.field("file_name", pa.string()),  # Document, Report, Signature: required
        pa.field("file_type", pa.string()),  # Signature: required; one of the platform's words, such as YARA
        pa.field("file_text", pa.string()),  # Signature: required; the rule itself
        pa.field("malware", pa.bool_()),  # Document: the file is malware, and so must be a ZIP with a password
        pa.field("password", pa.string()),  # Document: that ZIP's password, required for malware
        pa.field("publish_date", TIMESTAMP),  # Report
        pa.field("subject", pa.string()),  # Email: required
        pa.field("header", pa.string()),  # Email: required
        pa.field("body", pa.string()),  # Email: required
        pa.field("from", pa.string()),  # Email
        pa.field("to", pa.string()),  # Email
        pa.field("insights", pa.string()),  # Document, Event, Report: a summary that an AI provider made …
        pa.field("ai_provider", pa.string()),  # … required with insights …
        pa.field("ai_last_retrieval_date", TIMESTAMP),  # … and when
        pa.field("content", pa.string()),  # Document, Report, Signature: path or fsspec URL of the file to upload
        pa.field("origin", ORIGIN),
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""Groups to load, one row each; identity is the xid. All columns but type, name and the three lists may be null, and
those that do not belong to a row's type must be.

Give an ``xid`` where the source has an identity of its own (a MISP event's UUID, a STIX id), so that loading the group
again updates it whatever it is called by then. Without one, a group is known by owner, type and name. ``content``
names the file whose bytes are uploaded once the group is there; it may be a path, any fsspec URL (``s3://…``), or a
``data:`` URL for a few bytes that are at hand. Source: REST docs, Batch API V2 input, group object."""

ASSOCIATIONS: Final = pa.schema(
    [
        pa.field("type_1", pa.string()),  # of the indicator or the group; null: a group of whatever type
        pa.field("ref_1", pa.string()),  # an indicator's summary as in INDICATORS; a group's xid, or its name (below)
        pa.field("id_1", pa.int64()),  # the platform's id, of an object that is there already; wins over ref_1
        pa.field("type_2", pa.string()),
        pa.field("ref_2", pa.string()),
        pa.field("id_2", pa.int64()),
        pa.field("association_type", pa.string()),  # required between two indicators: URL Host, File Download …
        pa.field("origin", ORIGIN),
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""Associations to make, one row each: between groups, between indicators, or between a group and an indicator, either
way round. Each end has a ``ref`` or an ``id``, and is loaded in the same load or is in the owner already.

A group that brings no xid is referred to by its type and name. The same association given twice, or once from either
end, is one. Source: REST docs, Batch API V2 input, association object."""

FILE_OCCURRENCES: Final = pa.schema(
    [
        pa.field("summary", pa.string(), nullable=False),  # of a File of the same load, as in INDICATORS
        pa.field("file_name", pa.string()),
        pa.field("path", pa.string()),  # the folder it was found in
        pa.field("date", TIMESTAMP),  # when it was found there
        pa.field("origin", ORIGIN),
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""Where and when a File was found, one row each; at least one of file_name, path and date is given."""

SECURITY_LABELS: Final = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("color", pa.string(), nullable=False),  # RRGGBB in hex, without #
        pa.field("description", pa.string(), nullable=False),
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""Labels that the platform may not have yet, one row each. It makes them when a record that is loaded wears one; a
label named by a record, not there and not described here, is lost with a warning."""

REJECTS: Final = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),  # read | normalise | duplicate | load
        pa.field("source", pa.string()),
        pa.field("file", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("pointer", pa.string()),
        pa.field("raw", pa.string()),
        pa.field("field", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("hint", pa.string()),
        pa.field("severity", pa.string(), nullable=False),  # error | warning | info
        pa.field("owner_name", pa.string()),
        pa.field("type", pa.string()),
        pa.field("summary", pa.string()),
        pa.field("chunk", pa.int32()),
        pa.field("batch_id", pa.int64()),
        pa.field("record", pa.string()),  # the record as it was (to be) sent, JSON; what `retry` starts from
        pa.field("kind", pa.string()),  # of that record: group | indicator | association | file
        pa.field("xid", pa.string()),  # of a group, or of the group that a file belongs to
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""One row per input row that was not loaded: why, where it stood, and what it said. ``code`` is a slug of ours
(``bad-url``) or the platform's (``0x1005``). ``summary`` is an indicator's, a group's name, or says what an association
joins. Rows of stage ``duplicate`` were merged into another one and are counted apart."""

RECEIPTS: Final = pa.schema(
    [
        pa.field("chunk", pa.int32(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),  # planned | created | uploaded | completed | saved
        pa.field("batch_id", pa.int64()),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("succeeded", pa.int64()),
        pa.field("failed", pa.int64()),
        pa.field("unprocessed", pa.int64()),
        pa.field("created_at", TIMESTAMP),
        pa.field("uploaded_at", TIMESTAMP),
        pa.field("completed_at", TIMESTAMP),
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""One row per chunk of a load: how far it got, and what the platform answered for it."""


def empty_table(schema: pa.Schema) -> pa.Table:
    """Return a table of *schema* with no rows.

    Not by pyarrow's own method, which imports the whole of pandas, as everything in it that takes Python objects does.
    """
    return pa.Table.from_batches([], schema)


def conform(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield *batches* cast to *schema*: missing nullable columns become null, order and types become the schema's."""
    for batch in batches:
        columns = [
            batch.column(field.name).cast(field.type)
            if field.name in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
