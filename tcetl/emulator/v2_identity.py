"""v2 owners, the calling user, and the instance's types (api §2.1, §2.2, §3.6)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcetl.emulator import context
from tcetl.emulator.answers import not_found, plain, success
from tcetl.emulator.filters import flag
from tcetl.emulator.tenants import OWNERS_BY_ID
from tcetl.emulator.vocabulary import (
    ASSOCIATIONS,
    INDICATORS,
    INDICATORS_BY_ENTITY,
    LABEL_DATE,
    LABELS,
    REGISTRY_VALUE_TYPES,
    IndicatorKind,
)

_HASH_PATTERNS = [rf"\b([a-fA-F\d]{{{length}}})\b" for length in (32, 40, 64)]


def owners(request: Request) -> Response:
    """Every owner that the user may read."""
    found = [owner.document() for owner in context.user(request).owners()]
    return success({"resultCount": len(found), "owner": found})


def my_owner(request: Request) -> Response:
    """The user's own organization."""
    return success({"owner": OWNERS_BY_ID[context.user(request).organization].document()})


def my_members(request: Request) -> Response:
    """The members of the user's organization: only the user itself here."""
    user = context.user(request)
    members = [{"userName": user.name, "firstName": user.first_name, "lastName": user.last_name}]
    return success({"resultCount": len(members), "user": members})


def one_owner(request: Request) -> Response:
    """One owner by its id."""
    owner = OWNERS_BY_ID.get(context.number(request, "id"))
    if owner is None or owner.id not in context.user(request).readable:
        raise not_found()
    return success({"owner": owner.document()})


def whoami(request: Request) -> Response:
    """The calling user."""
    user = context.user(request)
    document = {
        "userName": user.name,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "pseudonym": f"{user.name}-pseudonym",
        "role": "Api User",
    }
    return success({"user": document})


def _type_document(kind: IndicatorKind, *, additional: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": kind.name,
        "custom": str(kind.custom).lower(),  # strings, as documented (api §9 G-14)
        "parsable": str(kind.parsable).lower(),
        "apiBranch": kind.branch,
        "apiEntity": kind.entity,
    }
    if kind.custom:
        document["casePreference"] = kind.case
        for position in (1, 2, 3):
            present = len(kind.keys) >= position
            document[f"value{position}Label"] = kind.keys[position - 1] if present else ""
            document[f"value{position}Type"] = "text" if present else ""
        if kind.name == "Registry Key":
            document |= {"value3Type": "selectone", "value3Option": ";".join(REGISTRY_VALUE_TYPES)}
    elif kind.name == "File" and additional:
        document |= {"value1Label": "MD5", "value2Label": "SHA-1", "value3Label": "SHA-256"}
    if additional:
        document["keys"] = {f"key{position}": key for position, key in enumerate(kind.keys, 1)}
        document["regexes"] = _HASH_PATTERNS if kind.name == "File" else []
    return document


def indicator_types(request: Request) -> Response:
    """All indicator types."""
    additional = flag(request.query_params.get("includeAdditional", ""))
    found = [_type_document(kind, additional=additional) for kind in INDICATORS.values()]
    return success({"resultCount": len(found), "indicatorType": found})


def indicator_type(request: Request) -> Response:
    """One indicator type by its entity name."""
    kind = INDICATORS_BY_ENTITY.get(context.segment(request, "entity"))
    if kind is None:
        raise not_found()
    additional = flag(request.query_params.get("includeAdditional", ""))
    return success({"indicatorType": _type_document(kind, additional=additional)})


def association_types(_request: Request) -> Response:
    """The indicator-to-indicator associations."""
    found = [
        {"name": name, "custom": "false", "fileAction": "false", "apiBranch": branch}
        for name, branch in ((name, name[0].lower() + name.title().replace(" ", "")[1:]) for name in ASSOCIATIONS)
    ]
    return success({"resultCount": len(found), "associationType": found})


def security_labels(request: Request) -> Response:
    """All security labels: the instance's own and those that batches created."""
    found = [
        {"name": name, "description": description, "color": color, "dateAdded": LABEL_DATE}
        for name, (color, description) in LABELS.items()
    ]
    found += [
        {"name": row["name"], "description": row["description"], "color": row["color"], "dateAdded": row["date_added"]}
        for row in context.instance(request).store.reader.execute("SELECT * FROM label ORDER BY name")
    ]
    return success({"resultCount": len(found), "securityLabel": found})


async def app_log(request: Request) -> Response:
    """Log lines that clients ship: read and dropped (api §3.7)."""
    await request.body()
    return plain(b'{"status":"Success"}')


ROUTES = [
    Route("/v2/owners", owners),
    Route("/v2/owners/mine", my_owner),
    Route("/v2/owners/mine/members", my_members),
    Route("/v2/owners/{id}", one_owner),
    Route("/v2/whoami", whoami),
    Route("/v2/types/indicatorTypes", indicator_types),
    Route("/v2/types/indicatorTypes/{entity}", indicator_type),
    Route("/v2/types/associationTypes", association_types),
    Route("/v2/securityLabels", security_labels),
    Route("/v2/logs/app", app_log, methods=["POST"]),
]
