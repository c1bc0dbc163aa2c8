"""The canonical record: keys, order and texts that NDJSON and CSV share."""

from typing import Final

import polars as pl

from tcetl.siem.text import attribute_pairs, finite, tag_names, timestamp

KEYS: Final = {
    "id": "id",
    "ownerName": "owner_name",
    "type": "type",
    "summary": "summary",
    "rating": "rating",
    "confidence": "confidence",
    "threatAssessRating": "threat_assess_rating",
    "threatAssessConfidence": "threat_assess_confidence",
    "dateAdded": "date_added",
    "lastModified": "last_modified",
    "webLink": "web_link",
    "description": "description",
    "source": "source",
    "tags": "tags",
    "securityLabels": "security_labels",
    "attributes": "attributes",
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "size": "size",
}
"""INDICATORS column by canonical key, in the order of the record."""


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* with canonical keys: times as text, tags as names, attributes as (type, value)."""
    records = frame.select(pl.col(column).alias(key) for key, column in KEYS.items())
    return records.with_columns(
        pl.col("summary").str.strip_chars(),
        finite(pl.col("rating", "threatAssessRating", "threatAssessConfidence")),
        timestamp(pl.col("dateAdded", "lastModified")),
        tag_names(pl.col("tags")),
        attribute_pairs(pl.col("attributes")),
    )
