"""v3 indicators, to read: collections by TQL, single ones by id or summary, and what OPTIONS tells (api §6)."""

import sqlite3
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcetl.emulator import context, v3_query
from tcetl.emulator.answers import OWNER_NOT_FOUND, RefusalError, not_found, success_v3
from tcetl.emulator.filters import Condition
from tcetl.emulator.lookup import find
from tcetl.emulator.render import SITE, web_link
from tcetl.emulator.rules import InvalidValueError, check, split_summary
from tcetl.emulator.tenants import OWNERS_BY_ID, Owner
from tcetl.emulator.tql import KEYWORDS, translate
from tcetl.emulator.vocabulary import INDICATORS, SEPARATOR

# The other fields of api §6.7 are accepted and bring nothing: this instance has no such data.
_FIELDS: Final = {
    "associatedArtifacts": "Artifacts associated to the Indicator",
    "associatedCases": "Cases associated to the Indicator",
    "associatedGroups": "Groups associated to the Indicator",
    "associatedIndicators": "Indicators associated to the Indicator",
    "associationName": "Name of the association",
    "attributes": "Attributes of the Indicator",
    "customAssociations": "Custom associations of the Indicator",
    "dnsResolution": "DNS resolutions of the Indicator",
    "enrichment": "Enrichment data",
    "externalDates": "External dates",
    "falsePositives": "False positive reports",
    "fileActions": "File actions",
    "fileOccurrences": "File occurrences",
    "genericCustomIndicatorValues": "value1, value2, value3 instead of the labels of custom types",
    "geoLocation": "Geographic location",
    "investigationLinks": "Investigation links",
    "observations": "Observations",
    "securityLabels": "Security labels of the Indicator",
    "sightings": "First and last seen",
    "tags": "Tags of the Indicator",
    "threatAssess": "ThreatAssess values",
    "trackedUsers": "Tracked users",
    "whoIs": "WHOIS",
}
# field → (key, column) pairs
_PLAIN: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "externalDates": (
        ("externalDateAdded", "external_added"),
        ("externalDateExpires", "external_expires"),
        ("externalLastModified", "external_modified"),
    ),
    "falsePositives": (("falsePositives", "false_positives"), ("lastFalsePositive", "last_false_positive")),
    "observations": (("observations", "observations"), ("lastObserved", "last_observed")),
    "sightings": (("firstSeen", "first_seen"), ("lastSeen", "last_seen")),
    "threatAssess": (
        ("threatAssessRating", "ta_rating"),
        ("threatAssessConfidence", "ta_confidence"),
        ("threatAssessScore", "ta_score"),
        ("calScore", "cal_score"),
    ),
}
_SORTABLE: Final = {
    "id": "id",
    "dateadded": "date_added",
    "lastmodified": "last_modified",
    "rating": "rating",
    "confidence": "confidence",
    "ownername": "owner",
    "typename": "type",
    "type": "type",
    "summary": "coalesce(key, value1, value2, value3)",
    "threatassessscore": "ta_score",
}
_DIRECTIONS: Final = {"asc": "ASC", "desc": "DESC", "nullsfirst": "ASC NULLS FIRST", "nullslast": "ASC NULLS LAST"}


def _values(row: sqlite3.Row, fields: set[str]) -> dict[str, Any]:
    kind = INDICATORS[row["type"]]
    generic = kind.custom and "genericCustomIndicatorValues" in fields
    keys = ("value1", "value2", "value3") if generic else kind.keys
    parts = (row["value1"], row["value2"], row["value3"])
    values: dict[str, Any] = {key: part for key, part in zip(keys, parts, strict=False) if part is not None}
    if kind.name == "File" and row["size"] is not None:
        values["size"] = row["size"]
    elif kind.name == "Host":
        values |= {"dnsActive": row["dns_active"] == 1, "whoisActive": row["whois_active"] == 1}
    return values


def _attribute(entry: dict[str, Any]) -> dict[str, Any]:
    shown = {name: entry[name] for name in ("id", "dateAdded", "type", "value", "source") if name in entry}
    return shown | {
        "lastModified": entry["lastModified"],
        "pinned": entry.get("pinned", False),
        "default": entry["displayed"],
    }


def _nested(row: sqlite3.Row, fields: set[str]) -> dict[str, Any]:
    """The lists asked for; an empty one is an empty ``data`` (api §6.6)."""

    def stored(column: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = msgspec.json.decode(row[column]) if row[column] else []
        return found

    lists: dict[str, Any] = {}
    if "tags" in fields:
        lists["tags"] = [{"name": tag["name"], "lastUsed": row["last_modified"]} for tag in stored("tags")]
    if "attributes" in fields:
        lists["attributes"] = [_attribute(entry) for entry in stored("attributes")]
    if "securityLabels" in fields:
        lists["securityLabels"] = stored("labels")
    if "fileOccurrences" in fields:
        lists["fileOccurrences"] = stored("occurrences")
    return {name: {"data": items} for name, items in lists.items()}


def document(row: sqlite3.Row, fields: set[str]) -> dict[str, Any]:
    """An indicator as v3 shows it (api §6.7)."""
    parts = [part for part in (row["value1"], row["value2"], row["value3"]) if part is not None]
    shown: dict[str, Any] = {
        "id": row["id"],
        "dateAdded": row["date_added"],
        "ownerId": row["owner"],
        "ownerName": OWNERS_BY_ID[row["owner"]].name,
        "webLink": f"{SITE}/#/details/indicators/{row['id']}/overview",
        "type": row["type"],
        "lastModified": row["last_modified"],
        "rating": row["rating"],
        "confidence": row["confidence"],
        "description": row["description"],
        "summary": SEPARATOR.join(parts),
        "privateFlag": row["private"] == 1,
        "active": row["active"] == 1,
        "activeLocked": row["active_locked"] == 1,
        "legacyLink": web_link(row["type"], row["id"], row["owner"], parts[0]),
    }
    for field in fields & _PLAIN.keys():
        shown |= {key: row[column] for key, column in _PLAIN[field]}
    return (
        {name: value for name, value in shown.items() if value is not None}
        | _values(row, fields)
        | _nested(row, fields)
    )


def _fields(given: v3_query.Parameters) -> set[str]:
    # Dotted names go one level deeper, which nothing here does; _all_ is expanded by tcex itself.
    fields = {name.partition(".")[0] for text in given.get("fields", []) for name in text.split(",")}
    unknown = fields - _FIELDS.keys()
    if unknown:
        raise RefusalError(400, f"Invalid field: {', '.join(sorted(unknown))}")  # wording assumed (api §6.3)
    return fields


def _order(text: str) -> str:
    """``dateAdded ASC confidence desc`` as an ORDER BY clause; by id when nothing is asked for."""
    order: list[str] = []
    for word in text.lower().split():
        if word in _DIRECTIONS and order:
            order[-1] += f" {_DIRECTIONS[word]}"
        elif word in _SORTABLE:
            order.append(_SORTABLE[word])
        else:
            raise RefusalError(400, f"Invalid sorting: {text}")
    return ", ".join([*order, "id"])


def _owners(request: Request, given: v3_query.Parameters) -> list[Owner]:
    """The owner asked for, or every readable one."""
    name = v3_query.first(given, "owner")
    if not name:
        return context.user(request).owners()
    owner = context.user(request).owner(name)
    if owner is None:
        raise RefusalError(403, OWNER_NOT_FOUND)
    return [owner]


async def listing(request: Request) -> Response:
    """Indicators of the readable owners that a TQL query selects."""
    given = await v3_query.parameters(request)
    return await run_in_threadpool(_listing, request, given)


def _listing(request: Request, given: v3_query.Parameters) -> Response:
    fields, (start, limit) = _fields(given), v3_query.page(given)
    owners = _owners(request, given)
    tql = v3_query.first(given, "tql").strip()
    condition = translate(tql) if tql else Condition("1")
    where = f"owner IN ({', '.join('?' * len(owners))}) AND {condition.sql}"
    parameters = (*(owner.id for owner in owners), *condition.parameters)
    reader = context.instance(request).store.reader
    total = reader.execute(f"SELECT count(*) FROM indicator WHERE {where}", parameters).fetchone()[0]  # noqa: S608
    order = _order(v3_query.first(given, "sorting"))
    sql = f"SELECT * FROM indicator WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - own fragments
    rows = reader.execute(sql, (*parameters, limit, start))
    return v3_query.collection(request, given, [document(row, fields) for row in rows], total)


async def one(request: Request) -> Response:
    """One indicator by id, or by summary in the user's organization or the owner named (api §6.2)."""
    given = await v3_query.parameters(request)
    return await run_in_threadpool(_one, request, given)


def _one(request: Request, given: v3_query.Parameters) -> Response:
    key = context.segment(request, "key")
    reader = context.instance(request).store.reader
    user = context.user(request)
    if key.isascii() and key.isdigit():
        rows = reader.execute("SELECT * FROM indicator WHERE id = ?", (int(key),)).fetchall()
        rows = [row for row in rows if row["owner"] in user.readable]
    else:
        owner = user.owner(v3_query.first(given, "owner") or None)
        if owner is None:
            raise RefusalError(403, OWNER_NOT_FOUND)
        rows = _by_summary(reader, owner.id, key)
    if not rows:
        raise not_found()
    return success_v3(document(rows[0], _fields(given)))


def _by_summary(reader: sqlite3.Connection, owner: int, summary: str) -> list[sqlite3.Row]:
    for kind in INDICATORS.values():
        try:
            rows = find(reader, owner, check(kind, split_summary(kind, summary)))
        except InvalidValueError:
            continue
        if rows:
            return rows
    return []


def fields(_request: Request) -> Response:
    """What ``fields`` may name."""
    found = [{"name": name, "description": text, "includedByDefault": False} for name, text in _FIELDS.items()]
    return success_v3(found, count=len(found))


def keywords(_request: Request) -> Response:
    """What TQL may name."""
    found = [{"keyword": word.name, "name": word.name, "type": word.type} for word in KEYWORDS.values()]
    return success_v3(found, count=len(found))


ROUTES = [
    Route("/v3/indicators", listing),
    Route("/v3/indicators/fields", fields, methods=["OPTIONS"]),
    Route("/v3/indicators/tql", keywords, methods=["OPTIONS"]),
    Route("/v3/indicators/{key}", one),
]
