"""An indicator row as the v2 API and the bulk report show it (api §2.3, §4)."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec

from tcetl.emulator.tenants import OWNERS_BY_ID
from tcetl.emulator.vocabulary import INDICATORS, SEPARATOR

SITE: Final = "https://threatconnect.example"
"""Host of the web links; the pattern after it is the platform's (api §2.3)."""

COLUMNS: Final = (
    "id, owner, type, value1, value2, value3, rating, confidence, ta_rating, ta_confidence, ta_score, cal_score, "
    "active, active_locked, private, size, dns_active, whois_active, observations, last_observed, false_positives, "
    "last_false_positive, date_added, last_modified, description, attributes, tags, labels"
)
"""What every function here expects a row to hold, in this order."""

INCLUDES: Final = frozenset(("additional", "attributes", "tags", "labels"))
BULK_INCLUDES: Final = frozenset(("additional", "attributes", "tags"))
"""The report has no security labels (api §4)."""

_PAGES: Final = {
    "Address": "address.xhtml?address=",
    "EmailAddress": "emailaddress.xhtml?emailaddress=",
    "File": "file.xhtml?file=",
    "Host": "host.xhtml?host=",
}
_OWNER_NAMES: Final = {id_: owner.name for id_, owner in OWNERS_BY_ID.items()}
_QUOTED_OWNERS: Final = {id_: quote_plus(owner.name) for id_, owner in OWNERS_BY_ID.items()}


def web_link(type_: str, id_: int, owner: int, value: str) -> str:
    """The page of an indicator in the web interface."""
    page = _PAGES.get(type_)
    if page is not None:
        return f"{SITE}/auth/indicators/details/{page}{quote_plus(value)}&owner={_QUOTED_OWNERS[owner]}"
    if type_ == "URL":
        return f"{SITE}/auth/indicators/details/url.xhtml?orgid={id_}"
    return f"{SITE}/auth/indicators/details/customIndicator.xhtml?id={id_}"


def tag_document(name: str, owner: int) -> dict[str, str]:
    """A tag as it stands in an item."""
    return {"name": name, "webLink": f"{SITE}/auth/tags/tag.xhtml?tag={quote_plus(name)}&owner={_QUOTED_OWNERS[owner]}"}


def v2_summary(type_: str, values: Sequence[str | None]) -> str:
    """The summary in v2 lists and bulk: one hash only for a File, md5 before sha1 before sha256 (api §9 G-31)."""
    if type_ == "File":
        return next(value for value in values if value)
    return SEPARATOR.join(value for value in values if value is not None)


def _shared(row: Sequence[Any], includes: Collection[str], *, last_observed: bool) -> dict[str, Any]:
    """The fields that typed and untyped items have in common, in the platform's order; unset ones are left out."""
    # fmt: off
    (id_, owner, type_, value1, value2, value3, rating, confidence, ta_rating, ta_confidence, ta_score, cal_score,
     active, active_locked, private, _size, _dns, _whois, observations, observed, false_positives, reported,
     date_added, last_modified, description, attributes, tags, labels) = row
    # fmt: on
    item: dict[str, Any] = {"id": id_, "dateAdded": date_added, "lastModified": last_modified}
    if rating is not None:
        item["rating"] = rating
    if confidence is not None:
        item["confidence"] = confidence
    if ta_rating is not None:
        item["threatAssessRating"] = ta_rating
        item["threatAssessConfidence"] = ta_confidence
        item["threatAssessScore"] = ta_score
    if cal_score is not None:
        item["calScore"] = cal_score
    item["webLink"] = web_link(type_, id_, owner, value1 or value2 or value3)
    if description is not None:
        item["description"] = description
    if "additional" in includes:
        item["observationCount"] = observations
        if observed is not None and last_observed:
            item["lastObserved"] = observed
        item["falsePositiveCount"] = false_positives
        if reported is not None:
            item["falsePositiveLastReported"] = reported
        item["privateFlag"] = private == 1
        item["active"] = active == 1
        item["activeLocked"] = active_locked == 1
    if attributes is not None and "attributes" in includes:
        item["attribute"] = msgspec.Raw(attributes.encode())
    if tags is not None and "tags" in includes:
        item["tag"] = msgspec.Raw(tags.encode())
    if labels is not None and "labels" in includes:
        item["securityLabel"] = msgspec.Raw(labels.encode())
    return item


def untyped(row: Sequence[Any], includes: Collection[str], *, last_observed: bool = True) -> dict[str, Any]:
    """An item of a mixed list: ``type`` and ``summary``, no value key."""
    item = {"ownerName": _OWNER_NAMES[row[1]], "type": row[2]}
    item.update(_shared(row, includes, last_observed=last_observed))
    item["summary"] = v2_summary(row[2], row[3:6])
    return item


def bulk_item(row: Sequence[Any]) -> dict[str, Any]:
    """An item of the bulk report. ``lastObserved`` is left out: the old SDK fails on it (api §9 G-12)."""
    return untyped(row, BULK_INCLUDES, last_observed=False)


def _values(row: Sequence[Any]) -> dict[str, Any]:
    kind = INDICATORS[row[2]]
    values = {key: value for key, value in zip(kind.keys, row[3:6], strict=False) if value is not None}
    if row[2] == "File" and row[15] is not None:
        values["size"] = row[15]
    elif row[2] == "Host":
        # Strings, not booleans, in v2 (api §9 G-13).
        values["dnsActive"] = "true" if row[16] else "false"
        values["whoisActive"] = "true" if row[17] else "false"
    return values


def typed(row: Sequence[Any], includes: Collection[str]) -> dict[str, Any]:
    """An item of a list of one type: the value keys, no ``type`` and no ``summary``."""
    return {"ownerName": _OWNER_NAMES[row[1]], **_shared(row, includes, last_observed=True), **_values(row)}


def single(row: Sequence[Any], includes: Collection[str]) -> dict[str, Any]:
    """One indicator by itself: ``owner`` as an object; custom types carry their ``type`` (api §2.3)."""
    document = {"owner": OWNERS_BY_ID[row[1]].document(), **_shared(row, includes, last_observed=True), **_values(row)}
    if INDICATORS[row[2]].custom:
        document["type"] = row[2]
    return document
