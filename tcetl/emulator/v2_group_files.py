"""v2 routes for the files of Documents, Reports and Signatures (api §3.3, §5.10)."""

import sqlite3
from pathlib import Path
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tcetl.emulator import context
from tcetl.emulator.answers import RefusalError, bare, not_found, plain
from tcetl.emulator.filters import flag
from tcetl.emulator.vocabulary import GROUPS_BY_BRANCH

_BRANCHES: Final = frozenset(("documents", "reports", "signatures"))
_ZIP: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x01  # bit 0 of the flags, at byte 6 of a ZIP's first header


def _group(request: Request) -> sqlite3.Row:
    """The group in the path, by id, or by xid in the user's organization or the owner named (as tcex does it)."""
    branch, key = context.segment(request, "branch"), context.segment(request, "id")
    if branch not in _BRANCHES:
        raise not_found()
    store, owner = context.instance(request).store, context.owner(request)
    row = store.row('SELECT * FROM "group" WHERE owner = ? AND xid = ?', owner.id, key)
    if row is None and key.isascii() and key.isdigit():
        row = store.row('SELECT * FROM "group" WHERE id = ?', int(key))
    if (
        row is None
        or row["type"] != GROUPS_BY_BRANCH[branch].name
        or row["owner"] not in context.user(request).readable
    ):
        raise not_found()
    return row


def _denied(row: sqlite3.Row) -> RefusalError:
    """Also the answer to a first upload where there is a file already (api §9 G-28); the wording is a template's."""
    return RefusalError(401, f"The requested {row['type']} was not uploaded - access was denied")


def _is_protected_zip(start: bytes) -> bool:
    return start[:4] == _ZIP and len(start) > 6 and bool(start[6] & _ENCRYPTED)


async def upload(request: Request) -> Response:
    """Take the file of a group: POST for its first one, PUT (or ``updateIfExists``) in place of another."""
    row = await run_in_threadpool(_group, request)
    files = context.instance(request).files
    if row["owner"] not in context.user(request).writable:
        raise _denied(row)
    replacing = request.method == "PUT" or flag(request.query_params.get("updateIfExists", ""))
    if not replacing and await run_in_threadpool(files.size, row["id"]) is not None:
        raise _denied(row)
    partial = files.path(row["id"]).with_suffix(f".{id(request)}.part")
    try:
        start = await _receive(request, partial)
        if msgspec.json.decode(row["fields"]).get("malware") in (True, "true") and not _is_protected_zip(start):
            # The wording is assumed.
            raise RefusalError(400, "Malware must be uploaded as a password protected ZIP file")
        now = context.instance(request).clock.stamp()
        await run_in_threadpool(files.keep, row["id"], partial, now)
    except (RefusalError, ClientDisconnect):
        partial.unlink(missing_ok=True)
        raise
    return bare({"status": "Success"})


async def _receive(request: Request, path: Path) -> bytes:
    """Write the body to *path* as it comes in, and return its first bytes."""
    start = b""
    with path.open("wb") as file:
        async for chunk in request.stream():
            start = start if len(start) > 6 else start + chunk[:16]
            file.write(chunk)
    return start


def download(request: Request) -> Response:
    """Give the file of a group back; a Signature without one has its text."""
    row = _group(request)
    files = context.instance(request).files
    signature = row["type"] == "Signature"
    # Exactly these content types (api §1.5).
    content_type = "text/plain" if signature else "application/octet-stream"
    if files.size(row["id"]) is not None:
        return FileResponse(files.path(row["id"]), headers={"content-type": content_type})
    if signature:
        return plain(str(msgspec.json.decode(row["fields"]).get("fileText", "")).encode(), content_type=content_type)
    raise not_found()


ROUTES = [
    Route("/v2/groups/{branch}/{id}/upload", upload, methods=["POST", "PUT"]),
    Route("/v2/groups/{branch}/{id}/download", download),
]
