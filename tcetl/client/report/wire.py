"""The shape of an indicator on the wire, and its way into the INDICATORS schema."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tcetl.client.report.constants import number, text, texts, timestamp
from tcetl.schema import INDICATORS, TIMESTAMP

_ATTRIBUTE: Final = {
    "type": ("type", pa.string()),
    "value": ("value", pa.string()),
    "source": ("source", pa.string()),
    "displayed": ("displayed", pa.bool_()),
    "id": ("id", pa.int64()),
    "dateAdded": ("date_added", TIMESTAMP),
    "lastModified": ("last_modified", TIMESTAMP),
}
_TAG: Final = {"name": ("name", pa.string()), "webLink": ("web_link", pa.string())}
# Beside its name, what a list says of a label is of the owner's label, not of the indicator: it has no column.
_LABEL: Final = pa.struct([(key, pa.string()) for key in ("name", "description", "dateAdded")])


def _struct(fields: dict[str, tuple[str, pa.DataType]]) -> pa.DataType:
    return pa.struct([(key, kind) for key, (_, kind) in fields.items()])


_COLUMNS: Final[dict[str, tuple[str, pa.DataType]]] = {
    "id": ("id", pa.int64()),
    "ownerName": ("owner_name", pa.string()),
    "type": ("type", pa.string()),
    "summary": ("summary", pa.string()),
    "rating": ("rating", pa.float64()),
    "confidence": ("confidence", pa.int32()),
    "threatAssessRating": ("threat_assess_rating", pa.float64()),
    "threatAssessConfidence": ("threat_assess_confidence", pa.float64()),
    "threatAssessScore": ("threat_assess_score", pa.int32()),
    "calScore": ("cal_score", pa.int32()),
    "dateAdded": ("date_added", TIMESTAMP),
    "lastModified": ("last_modified", TIMESTAMP),
    "webLink": ("web_link", pa.string()),
    "description": ("description", pa.string()),
    "source": ("source", pa.string()),
    "tag": ("tags", pa.list_(_struct(_TAG))),
    "attribute": ("attributes", pa.list_(_struct(_ATTRIBUTE))),
    "securityLabel": ("security_labels", pa.list_(_LABEL)),
    "md5": ("md5", pa.string()),
    "sha1": ("sha1", pa.string()),
    "sha256": ("sha256", pa.string()),
    "size": ("size", pa.int64()),
    "active": ("active", pa.bool_()),
    "activeLocked": ("active_locked", pa.bool_()),
    "privateFlag": ("private_flag", pa.bool_()),
    "observationCount": ("observation_count", pa.int64()),
    "lastObserved": ("last_observed", TIMESTAMP),
    "falsePositiveCount": ("false_positive_count", pa.int64()),
    "falsePositiveLastReported": ("false_positive_last_reported", TIMESTAMP),
    "dnsActive": ("dns_active", pa.string()),  # the words "true" and "false" in v2
    "whoisActive": ("whois_active", pa.string()),
    "firstSeen": ("first_seen", TIMESTAMP),
    "lastSeen": ("last_seen", TIMESTAMP),
}

ITEM: Final = _struct(_COLUMNS)
"""An item of a list as the API writes it. Source: REST docs v2, indicators and bulk reports."""

REQUIRED: Final = ("ownerName", "type", "summary")
"""What makes a record an indicator: text that is there and not empty."""

REQUIRED_INSIDE: Final = {"tag": "name", "attribute": "type", "securityLabel": "name"}
"""List key → what each of its elements must have."""

WORDS: Final = {"dnsActive", "whoisActive"}
"""Keys whose booleans are words."""

_FRACTIONS: Final = tuple(key for key, (_, kind) in _COLUMNS.items() if pa.types.is_floating(kind))
_NOTHING: Final = text(None)
_EMPTY: Final = text("")
_TRUE_FALSE: Final = texts("true", "false")
_FILE: Final = text("File")
_LINE_END: Final = text("\n")
_WHITE, _CLEAR = texts("WHITE", "CLEAR")
_DIGITS: Final = {name: number(digits) for name, digits in (("md5", 32), ("sha1", 40), ("sha256", 64))}
_TLP: Final = r"(?im)^TLP:\s*(?P<tlp>\S.*?)\s*$"


def is_plain(items: pa.StructArray) -> bool:
    """True when *items* (of type :data:`ITEM` at least) are all indicators that :func:`indicators` can take as is."""
    if items.null_count:
        return False
    for key in REQUIRED:
        column = items.field(key)
        if column.null_count or pc.min(pc.binary_length(column)).as_py() == 0:
            return False
    for key, inside in REQUIRED_INSIDE.items():
        elements = items.field(key).flatten()
        if elements.null_count or elements.field(inside).null_count:
            return False
    for key in WORDS:
        words = items.field(key)
        if words.null_count < len(words) and not pc.all(pc.is_in(words.drop_null(), value_set=_TRUE_FALSE)).as_py():
            return False
    # The parser takes NaN and Infinity for numbers; JSON does not have them.
    return all(pc.all(pc.is_finite(items.field(key)), min_count=0).as_py() for key in _FRACTIONS)


def indicators(
    items: pa.StructArray, extra: Sequence[str | None] | None, exported_at: datetime | None
) -> pa.RecordBatch:
    """*items*, which must be plain, as INDICATORS.

    Args:
        items: Items as the API wrote them.
        extra: What :data:`ITEM` does not know of each, as JSON; None when there is nothing.
        exported_at: When the platform made the list.
    """
    columns = {name: items.field(key) for key, (name, _) in _COLUMNS.items()}
    columns["tags"] = _list(columns["tags"], "tags", _TAG)
    columns["attributes"] = _list(columns["attributes"], "attributes", _ATTRIBUTE)
    columns["security_labels"] = labels = _labels(columns["security_labels"])
    for name in ("dns_active", "whois_active"):
        columns[name] = pc.equal(columns[name], _TRUE_FALSE[0])
    columns |= _file_hashes(columns)
    if len(labels.values):
        columns["tlp"] = _tlp(labels)
    if extra is not None:
        columns["extra"] = pa.array(extra, pa.string())
    if exported_at is not None:
        columns["exported_at"] = pa.repeat(timestamp(exported_at), len(items))
    arrays = [
        columns[field.name] if field.name in columns else pa.nulls(len(items), field.type) for field in INDICATORS
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=INDICATORS)


def _list(lists: pa.ListArray, name: str, fields: dict[str, tuple[str, pa.DataType]]) -> pa.ListArray:
    """The same lists with our names inside; null ones become empty, which their offsets already say.

    What the API does not tell of an element is null.
    """
    kind = INDICATORS.field(name).type
    ours = {name: key for key, (name, _) in fields.items()}
    children = [
        lists.values.field(ours[field.name]) if field.name in ours else pa.nulls(len(lists.values), field.type)
        for field in kind.value_type
    ]
    return pa.ListArray.from_arrays(
        lists.offsets, pa.StructArray.from_arrays(children, fields=list(kind.value_type)), type=kind
    )


def _labels(lists: pa.ListArray) -> pa.ListArray:
    kind = INDICATORS.field("security_labels").type
    return pa.ListArray.from_arrays(lists.offsets, lists.values.field("name"), type=kind)


def _file_hashes(columns: dict[str, Any]) -> dict[str, pa.Array]:
    """Hashes in lower case: those given by key, and those in the summary of a File."""
    hashes = {
        name: pc.utf8_lower(pc.if_else(pc.equal(columns[name], _EMPTY), _NOTHING, columns[name])) for name in _DIGITS
    }
    rows = pc.indices_nonzero(pc.equal(columns["type"], _FILE))
    parts = pc.split_pattern(pc.utf8_lower(columns["summary"].take(rows)), ":")
    values = pc.utf8_trim_whitespace(parts.flatten())
    is_hash = pc.match_substring_regex(values, "^[0-9a-f]+$")
    lengths = pc.binary_length(values)
    rows = rows.take(pc.list_parent_indices(parts))
    everywhere = pc.indices_nonzero(pc.true_unless_null(columns["type"]))
    for name, digits in _DIGITS.items():
        found = pc.and_(is_hash, pc.equal(lengths, digits))
        place = pc.index_in(everywhere, value_set=rows.filter(found))
        hashes[name] = pc.coalesce(hashes[name], values.filter(found).take(place))
    return hashes


def _tlp(labels: pa.ListArray) -> pa.Array:
    """The first label that is a Traffic Light Protocol one, in today's words."""
    lines = pc.binary_join(labels.cast(pa.list_(pa.string())), _LINE_END)  # it has no kernel for non-nullable items
    tlp = pc.utf8_upper(pc.struct_field(pc.extract_regex(lines, pattern=_TLP), "tlp"))
    tlp = pc.replace_substring_regex(tlp, r"\s+", "+")
    return pc.if_else(pc.equal(tlp, _WHITE), _CLEAR, tlp)
