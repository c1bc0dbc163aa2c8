"""The administration interface, for tests and demos: /admin, from the same machine only."""

import ipaddress
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from tcetl.emulator import context
from tcetl.emulator.answers import NOT_JSON, RefusalError, bare, not_found
from tcetl.emulator.faults import Fault
from tcetl.emulator.limits import Limits
from tcetl.emulator.lookup import find
from tcetl.emulator.rules import InvalidValueError, check, split_summary
from tcetl.emulator.tenants import OWNERS, OWNERS_BY_ID, Owner
from tcetl.emulator.v2_batch import describe
from tcetl.emulator.vocabulary import INDICATORS, SEPARATOR

_T = TypeVar("_T")
_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "[::1]"))


def is_local(scope: Scope) -> bool:
    """Whether the request comes from this machine and names it: no web page can reach it by a rebound name."""
    client = scope.get("client")
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return client is not None and ipaddress.ip_address(client[0]).is_loopback and name in _LOCAL_NAMES


class _Seed(msgspec.Struct, forbid_unknown_fields=True):
    owner: str
    count: int
    seed: int = 0
    report: bool = True


class _Bulk(msgspec.Struct, forbid_unknown_fields=True):
    owner: str
    json: bool | None = None
    csv: bool | None = None
    fails: bool | None = None


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    advance: float


async def _read(request: Request, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(await request.body(), type=type_)
    except NOT_JSON as error:
        raise RefusalError(400, str(error)) from error


def _owner(name: str) -> Owner:
    for owner in OWNERS:
        if owner.name == name:
            return owner
    raise RefusalError(400, f"No owner is called {name!r}; there are {', '.join(owner.name for owner in OWNERS)}")


def _query_owner(request: Request) -> Owner:
    return _owner(request.query_params.get("owner", ""))


def health(request: Request) -> Response:
    """The server serves; ``requests`` are the API requests under way."""
    return bare({"status": "ok", "requests": context.instance(request).journal.under_way})


def reset(request: Request) -> Response:
    """Forget everything."""
    context.instance(request).reset()
    return bare({})


async def seed(request: Request) -> Response:
    """Add made-up indicators to an owner."""
    asked = await _read(request, _Seed)
    instance = context.instance(request)
    await run_in_threadpool(instance.seed, _owner(asked.owner), asked.count, seed=asked.seed, report=asked.report)
    return bare({})


def counts(request: Request) -> Response:
    """How many indicators, or groups, of each type an owner holds."""
    table = '"group"' if request.query_params.get("kind") == "group" else "indicator"
    rows = context.instance(request).store.reader.execute(
        f"SELECT type, count(*) FROM {table} WHERE owner = ? GROUP BY type ORDER BY type",  # noqa: S608
        (_query_owner(request).id,),
    )
    return bare({row[0]: row[1] for row in rows})


def contents(request: Request) -> Response:
    """Every indicator, group and association of an owner: kind, type, name, and how often batch items have written it.

    The name is a summary with all of a File's hashes, an xid, or the names of both ends in their order. ``file`` is the
    size of a group's file, null without one.
    """
    owner = _query_owner(request).id
    reader = context.instance(request).store.reader
    found: dict[tuple[str, int], dict[str, Any]] = {}
    sql = "SELECT id, value1, value2, value3, type, writes FROM indicator WHERE owner = ? ORDER BY id"
    for row in reader.execute(sql, (owner,)):
        name = SEPARATOR.join(part for part in row[1:4] if part is not None)
        found["indicator", row["id"]] = {
            "kind": "indicator",
            "type": row["type"],
            "name": name,
            "writes": row["writes"],
        }
    sql = 'SELECT id, type, xid, writes, size FROM "group" LEFT JOIN group_file USING (id) WHERE owner = ? ORDER BY id'
    for id_, type_, xid, writes, size in reader.execute(sql, (owner,)):
        found["group", id_] = {"kind": "group", "type": type_, "name": xid, "writes": writes, "file": size}
    associations = [
        {
            "kind": "association",
            "type": row["type"],
            "name": " - ".join(sorted((found[ends[0]]["name"], found[ends[1]]["name"]))),
            "writes": row["writes"],
        }
        for row in reader.execute("SELECT * FROM link")
        if (ends := ((row[0], row[1]), (row[2], row[3])))[0] in found and ends[1] in found
    ]
    return bare([*found.values(), *associations])


def batches(request: Request) -> Response:
    """Every batch job: its owner and settings, its status as the API tells it, and each upload accepted for it."""
    jobs = context.instance(request).jobs
    return bare(
        [
            {
                "owner": OWNERS_BY_ID[row["owner"]].name,
                "settings": msgspec.json.decode(row["settings"]),
                **describe(row, additional=True)["batchStatus"],
                "uploads": jobs.uploads(row["id"]),
            }
            for row in jobs.all()
        ]
    )


def _opened(row: Any) -> dict[str, Any]:
    """A row with its JSON columns opened."""
    document = dict(row)
    for name in ("attributes", "tags", "labels", "occurrences", "fields"):
        if document.get(name) is not None:
            document[name] = msgspec.json.decode(document[name])
    return document


def indicator(request: Request) -> Response:
    """What the store holds for one indicator, with the objects associated to it."""
    query = request.query_params
    kind = INDICATORS.get(query.get("type", ""))
    reader = context.instance(request).store.reader
    if kind is None:
        raise not_found()
    try:
        value = check(kind, split_summary(kind, query.get("summary", "")))
    except InvalidValueError as error:
        raise not_found() from error
    rows = find(reader, _query_owner(request).id, value)
    if not rows:
        raise not_found()
    return bare(_opened(rows[0]) | {"links": _links(request, "indicator", rows[0]["id"])})


def group(request: Request) -> Response:
    """What the store holds for one group, with the objects associated to it."""
    sql = 'SELECT * FROM "group" WHERE owner = ? AND xid = ?'
    row = context.instance(request).store.row(sql, _query_owner(request).id, request.query_params.get("xid"))
    if row is None:
        raise not_found()
    return bare(_opened(row) | {"links": _links(request, "group", row["id"])})


def _links(request: Request, kind: str, id_: int) -> list[dict[str, Any]]:
    rows = context.instance(request).store.reader.execute(
        "SELECT right_kind AS kind, right_id AS id, type FROM link WHERE left_kind = ?1 AND left_id = ?2 "
        "UNION ALL SELECT left_kind, left_id, type FROM link WHERE right_kind = ?1 AND right_id = ?2",
        (kind, id_),
    )
    return [dict(row) for row in rows]


def journal(request: Request) -> Response:
    """The requests so far, oldest first; ``route``, ``method`` and ``after`` narrow them."""
    query = request.query_params
    found = context.instance(request).journal.select(
        query.get("route"), query.get("method"), int(query.get("after", "0"))
    )
    return bare(found)


async def add_fault(request: Request) -> Response:
    """Put a fault rule in force."""
    fault = await _read(request, Fault)
    return bare({"id": context.instance(request).faults.add(fault)})


def list_faults(request: Request) -> Response:
    """The fault rules in force."""
    return bare(context.instance(request).faults.describe())


def clear_faults(request: Request) -> Response:
    """Remove all fault rules."""
    context.instance(request).faults.clear()
    return bare({})


def show_clock(request: Request) -> Response:
    """What time it is on the server."""
    clock = context.instance(request).clock
    return bare({"now": clock.stamp(), "offset": clock.offset})


async def move_clock(request: Request) -> Response:
    """Move the server's clock by ``advance`` seconds."""
    asked = await _read(request, _Clock)
    context.instance(request).clock.offset += asked.advance
    return show_clock(request)


async def bulk(request: Request) -> Response:
    """Enable or disable an owner's reports, or make their generation fail."""
    asked = await _read(request, _Bulk)
    owner = _owner(asked.owner)
    reports = context.instance(request).reports
    reports.configure(owner, json=asked.json, csv=asked.csv, fails=asked.fails)
    return bare(reports.status(owner))


async def limits(request: Request) -> Response:
    """Show the instance's limits; a PUT changes those it names."""
    current = context.instance(request).limits
    if request.method == "PUT":
        changes = await context.json_object(request)
        checked = msgspec.convert(asdict(current) | changes, Limits)
        for name, value in asdict(checked).items():
            setattr(current, name, value)
    return bare(asdict(current))


ROUTES = [
    Route("/admin/health", health),
    Route("/admin/reset", reset, methods=["POST"]),
    Route("/admin/seed", seed, methods=["POST"]),
    Route("/admin/counts", counts),
    Route("/admin/contents", contents),
    Route("/admin/batches", batches),
    Route("/admin/indicator", indicator),
    Route("/admin/group", group),
    Route("/admin/journal", journal),
    Route("/admin/faults", list_faults),
    Route("/admin/faults", add_fault, methods=["POST"]),
    Route("/admin/faults", clear_faults, methods=["DELETE"]),
    Route("/admin/clock", show_clock),
    Route("/admin/clock", move_clock, methods=["POST"]),
    Route("/admin/bulk", bulk, methods=["PUT"]),
    Route("/admin/limits", limits, methods=["GET", "PUT"]),
]
