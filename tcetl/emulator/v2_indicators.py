"""v2 indicator lists, mixed and per type, single indicators, and the list of deleted ones (api §2.3, §2.6)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcetl.emulator import context, filters
from tcetl.emulator.answers import not_found, success
from tcetl.emulator.lookup import find
from tcetl.emulator.render import COLUMNS, single, typed, untyped
from tcetl.emulator.rules import InvalidValueError, check, split_summary
from tcetl.emulator.vocabulary import INDICATORS_BY_BRANCH, IndicatorKind


def _kind(request: Request) -> IndicatorKind:
    kind = INDICATORS_BY_BRANCH.get(context.segment(request, "branch"))
    if kind is None:
        raise not_found()
    return kind


def _answer(
    request: Request, key: str, where: str, parameters: tuple[Any, ...], kind: IndicatorKind | None
) -> Response:
    """One page in order of id; the total only on the first page (api §9 G-4)."""
    reader = context.instance(request).store.reader
    page = filters.page(request.query_params)
    includes = filters.includes(request.query_params)
    show = untyped if kind is None else typed
    rows = reader.execute(
        f"SELECT {COLUMNS} FROM indicator WHERE {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608 - own fragments
        (*parameters, page.limit, page.start),
    )
    data: dict[str, Any] = {}
    if page.start == 0:
        counted = reader.execute(f"SELECT count(*) FROM indicator WHERE {where}", parameters)  # noqa: S608
        data["resultCount"] = counted.fetchone()[0]
    data[key] = [show(tuple(row), includes) for row in rows]
    return success(data)


def mixed(request: Request) -> Response:
    """Indicators of every type in one owner."""
    condition = filters.conditions(request.query_params)
    where = f"owner = ? AND {condition.sql}"
    return _answer(request, "indicator", where, (context.owner(request).id, *condition.parameters), None)


def of_type(request: Request) -> Response:
    """Indicators of one type in one owner."""
    kind = _kind(request)
    condition = filters.conditions(request.query_params)
    where = f"owner = ? AND type = ? AND {condition.sql}"
    parameters = (context.owner(request).id, kind.name, *condition.parameters)
    return _answer(request, kind.entity, where, parameters, kind)


def one(request: Request) -> Response:
    """One indicator by its value; a File by any of its hashes (api §2.4)."""
    kind = _kind(request)
    owner = context.owner(request)
    try:
        value = check(kind, split_summary(kind, context.segment(request, "value")))
    except InvalidValueError as error:
        raise not_found() from error
    reader = context.instance(request).store.reader
    found = find(reader, owner.id, value)
    if not found:
        raise not_found()
    row = reader.execute(f"SELECT {COLUMNS} FROM indicator WHERE id = ?", (found[0]["id"],)).fetchone()  # noqa: S608
    return success({kind.entity: single(tuple(row), filters.includes(request.query_params))})


def deleted(request: Request) -> Response:
    """What was deleted from one owner, by default everything known (api §2.6)."""
    clauses = ["owner = ?"]
    parameters: list[Any] = [context.owner(request).id]
    if "branch" in request.path_params:
        clauses.append("type = ?")
        parameters.append(_kind(request).name)
    since = request.query_params.get("deletedSince")
    if since is not None:
        clauses.append("deleted >= ?")
        parameters.append(filters.moment(since))
    page = filters.page(request.query_params)
    where = " AND ".join(clauses)
    reader = context.instance(request).store.reader
    rows = reader.execute(
        f"SELECT type, summary, date_added FROM deleted WHERE {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608
        (*parameters, page.limit, page.start),
    )
    data: dict[str, Any] = {}
    if page.start == 0:
        data["resultCount"] = reader.execute(f"SELECT count(*) FROM deleted WHERE {where}", parameters).fetchone()[0]  # noqa: S608
    name = context.owner(request).name
    data["indicator"] = [
        {"ownerName": name, "type": row["type"], "dateAdded": row["date_added"], "summary": row["summary"]}
        for row in rows
    ]
    return success(data)


ROUTES = [
    Route("/v2/indicators", mixed),
    Route("/v2/indicators/deleted", deleted),
    Route("/v2/indicators/{branch}", of_type),
    Route("/v2/indicators/{branch}/deleted", deleted),
    Route("/v2/indicators/{branch}/{value}", one),
]
