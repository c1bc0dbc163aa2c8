"""v3 groups: one at a time, by id or xid (api §6.2, §6.8)."""

import sqlite3
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcetl.emulator import context, v3_query
from tcetl.emulator.answers import OWNER_NOT_FOUND, RefusalError, not_found, success_v3
from tcetl.emulator.render import SITE
from tcetl.emulator.tenants import OWNERS_BY_ID


def _document(row: sqlite3.Row, size: int | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": row["id"],
        "xid": row["xid"],
        "dateAdded": row["date_added"],
        "ownerId": row["owner"],
        "ownerName": OWNERS_BY_ID[row["owner"]].name,
        "webLink": f"{SITE}/#/details/groups/{row['id']}/overview",
        "type": row["type"],
        "name": row["name"],
        "lastModified": row["last_modified"],
        "upVoteCount": "0",
        "downVoteCount": "0",
        **msgspec.json.decode(row["fields"]),
    }
    if row["type"] in ("Document", "Report"):
        document["status"] = "Awaiting Upload" if size is None else "Success"
    if size is not None:
        document["fileSize"] = size
    return document


async def one(request: Request) -> Response:
    """One group by id, or by xid in the user's organization or the owner named."""
    given = await v3_query.parameters(request)
    return await run_in_threadpool(_one, request, given)


def _one(request: Request, given: v3_query.Parameters) -> Response:
    key = context.segment(request, "key")
    instance, user = context.instance(request), context.user(request)
    owner = user.owner(v3_query.first(given, "owner") or None)
    if owner is None:
        raise RefusalError(403, OWNER_NOT_FOUND)
    row = instance.store.row('SELECT * FROM "group" WHERE owner = ? AND xid = ?', owner.id, key)
    if row is None and key.isascii() and key.isdigit():
        row = instance.store.row('SELECT * FROM "group" WHERE id = ?', int(key))
    if row is None or row["owner"] not in user.readable:
        raise not_found()
    return success_v3(_document(row, instance.files.size(row["id"])))


ROUTES = [Route("/v3/groups/{key}", one)]
