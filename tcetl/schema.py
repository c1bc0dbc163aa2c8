"""The waist of the hourglass: the three Arrow schemas that travel between stages.

Every stage passes streams of record batches in one of these schemas, so a source knows nothing of sinks and a
sink nothing of sources. Field ids are final: new columns are nullable and take the next free id.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

# One tag name, one attribute: the element types of the two list-of-struct columns.
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
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""Identity is (owner_name, type, summary in canonical form). md5/sha1/sha256 are lower case beside the joined File
summary; rating is 0-5, confidence 0-100; times are microseconds UTC."""

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
    ],
    metadata={"threatconnect.schema_version": str(SCHEMA_VERSION)},
)
"""One row per input row that was not loaded: why, where it stood, and what it said. ``code`` is a slug of ours
(``bad-url``) or the platform's (``0x1005``). Rows of stage ``duplicate`` were merged into another one and are counted
apart."""

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
    """Return a table of *schema* with no rows."""
    return schema.empty_table()


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
