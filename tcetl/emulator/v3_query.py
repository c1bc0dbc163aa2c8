"""What v3 collections have in common: parameters, paging and the ``next`` link (api §6.3, §6.4)."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tcetl.emulator.answers import MALFORMED, NOT_JSON, RefusalError, success_v3
from tcetl.emulator.filters import PAGE_LIMIT, flag

Parameters = Mapping[str, list[str]]
_PAGING: Final = frozenset(("resultstart", "resultlimit"))


async def parameters(request: Request) -> dict[str, list[str]]:
    """The query parameters by name; a long query comes as ``{"data": {…}}`` in the body (api §6.4)."""
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    body = await request.body()
    if body.strip():
        try:
            document = msgspec.json.decode(body)
        except NOT_JSON as error:
            raise RefusalError(400, MALFORMED) from error
        data = document.get("data") if isinstance(document, dict) else None
        for name, value in (data or {}).items():
            given[name] = [str(entry) for entry in value] if isinstance(value, list) else [str(value)]
    return given


def first(given: Parameters, name: str, default: str = "") -> str:
    """The first value of a parameter."""
    return given[name][0] if given.get(name) else default


def page(given: Parameters) -> tuple[int, int]:
    """Which slice is asked for: resultStart and resultLimit."""
    try:
        start, limit = int(first(given, "resultStart", "0")), int(first(given, "resultLimit", "100"))
    except ValueError:
        start, limit = -1, -1
    if start < 0 or not 1 <= limit <= PAGE_LIMIT:
        raise RefusalError(400, f"resultStart and resultLimit must be integers, resultLimit at most {PAGE_LIMIT}")
    return start, limit


def collection(request: Request, given: Parameters, items: list[Any], total: int) -> Response:
    """One page of a collection with ``next``, ``prev`` and, on the first page if asked for, ``count``."""
    start, limit = page(given)
    beside: dict[str, Any] = {}
    if start == 0 and flag(first(given, "count")):
        beside["count"] = total
    if start + limit < total:
        beside["next"] = _link(request, given, start + limit, limit)
    if start > 0:
        beside["prev"] = _link(request, given, max(0, start - limit), limit)
    return success_v3(items, **beside)


def _link(request: Request, given: Parameters, start: int, limit: int) -> str:
    """Absolute over HTTPS; over HTTP relative to the base, which is all that tcex can follow (api §9 G-25)."""
    rest = {name: values for name, values in given.items() if name.replace("_", "").lower() not in _PAGING}
    query = urlencode({**rest, "resultStart": start, "resultLimit": limit}, doseq=True)
    path = request.scope["path"]
    if request.url.scheme != "https":
        return f"{path}?{query}"
    prefix = request.scope["raw_path"].decode("latin-1").rstrip("/").removesuffix(path)
    return f"https://{request.headers['host']}{prefix}{path}?{query}"
