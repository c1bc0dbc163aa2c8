"""v3 owners, attribute types, tags and security labels (api §6.11)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcetl.emulator import context, v3_query
from tcetl.emulator.vocabulary import ATTRIBUTE_TYPES, LABEL_DATE, LABELS


async def _listed(request: Request, items: list[dict[str, Any]]) -> Response:
    given = await v3_query.parameters(request)
    start, limit = v3_query.page(given)
    return v3_query.collection(request, given, items[start : start + limit], len(items))


async def owners(request: Request) -> Response:
    """The readable owners, with what the user may do there."""
    user = context.user(request)
    items = []
    for owner in user.owners():
        right = "FULL" if owner.id in user.writable else "READ"
        items.append({**owner.document(), "permIndicator": right, "permGroup": right, "permAttribute": right})
    return await _listed(request, items)


async def attribute_types(request: Request) -> Response:
    """The attribute types with their sizes."""
    items = [
        {"id": id_, "name": name, "description": name, "maxSize": size, "allowMarkdown": False}
        for id_, (name, size) in enumerate(ATTRIBUTE_TYPES.items(), 1)
    ]
    return await _listed(request, items)


async def security_labels(request: Request) -> Response:
    """The instance's own security labels."""
    items = [
        {
            "id": id_,
            "name": name,
            "description": description,
            "color": color,
            "owner": "System",
            "dateAdded": LABEL_DATE,
        }
        for id_, (name, (color, description)) in enumerate(LABELS.items(), 1)
    ]
    return await _listed(request, items)


async def tags(request: Request) -> Response:
    """ATT&CK tags, which clients look up: this instance has none."""
    return await _listed(request, [])


ROUTES = [
    Route("/v3/security/owners", owners),
    Route("/v3/attributeTypes", attribute_types),
    Route("/v3/securityLabels", security_labels),
    Route("/v3/tags", tags),
]
