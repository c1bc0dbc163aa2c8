"""Reading v2 collections page by page, and noticing when they move under us."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from tcetl.client.answers import decode, server_time, unexpected
from tcetl.errors import NOT_JSON, ApiError, ChangedWhileReadError

if TYPE_CHECKING:
    from tcetl.client.session import Session

T = TypeVar("T")

PAGE_SIZE: Final = 10_000
"""The most that the platform gives in one page."""

OLD_PAGE_SIZE: Final = 500
"""The most that older instances give; they refuse a larger ``resultLimit`` with 400."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its items as raw JSON objects, how many came before it, the total, and when it was answered."""

    items: list[msgspec.Raw]
    start: int
    total: int
    answered_at: datetime


class _Envelope(msgspec.Struct):
    data: dict[str, msgspec.Raw]
    status: str = ""


def pages(
    session: "Session", path: str, key: str, params: Mapping[str, Any] | None = None, *, page_size: int = PAGE_SIZE
) -> Iterator[Page]:
    """Yield the pages of a v2 collection, at least one.

    Args:
        session: The connection.
        path: The collection, such as ``/v2/indicators``.
        key: Key of the list in ``data``, such as ``indicator``.
        params: Further query parameters.
        page_size: Items a page; instances that allow only 500 get 500.

    Raises:
        ChangedWhileReadError: The total moved, or fewer items came than it says: pages are cut by position, so
            something was missed or seen twice.
    """
    query = dict(params or {})
    page = _first(session, path, key, query, page_size)
    total = page.total
    yield page
    seen = len(page.items)
    if seen >= total:
        return
    while seen < total:
        page = _page(session, path, key, {**query, "resultStart": seen}, total)
        if not page.items:
            raise _moved(path, f"{total:,} items were announced, {seen:,} came")
        yield page
        seen += len(page.items)
    now = _page(session, path, key, {**query, "resultLimit": 1, "resultStart": 0}).total
    if not seen == total == now:
        raise _moved(path, f"{total:,} items at the start, {now:,} at the end, {seen:,} read")


def items(
    session: "Session", path: str, key: str, kind: type[T], params: Mapping[str, Any] | None = None
) -> Iterator[T]:
    """Yield the items of a small v2 collection, each as a *kind*."""
    for page in pages(session, path, key, params):
        for item in page.items:
            try:
                yield msgspec.convert(msgspec.json.decode(item), kind, strict=False)
            except NOT_JSON as error:
                raise ApiError(
                    f"GET {path}: an item is not what the API documents: {error}", status=200, method="GET", path=path
                ) from None


def _first(session: "Session", path: str, key: str, query: dict[str, Any], page_size: int) -> Page:
    query |= {"resultStart": 0, "resultLimit": page_size}
    try:
        return _page(session, path, key, query)
    except ApiError as error:
        if error.status != 400 or "maximum value for resultLimit" not in error.message or page_size <= OLD_PAGE_SIZE:
            raise
    query["resultLimit"] = OLD_PAGE_SIZE
    return _page(session, path, key, query)


def _page(session: "Session", path: str, key: str, query: dict[str, Any], total: int | None = None) -> Page:
    """One page; the platform counts only on the first one, later ones are told the *total*."""
    response = session.request("GET", path, params=query)
    try:
        data = msgspec.json.decode(response.content, type=_Envelope).data
        found = msgspec.json.decode(data.get(key, b"[]"), type=list[msgspec.Raw])
        count = msgspec.json.decode(data["resultCount"], type=int, strict=False) if "resultCount" in data else None
    except NOT_JSON as error:
        decode(response, dict[str, Any])  # says so when it is a failure rather than an odd answer
        raise unexpected(response, str(error)) from None
    if count is None and total is None and len(found) >= query["resultLimit"]:
        raise unexpected(response, "a full first page without resultCount, so that the end cannot be known")
    known = next((number for number in (count, total) if number is not None), len(found))
    return Page(found, query["resultStart"], known, server_time(response))


def _moved(path: str, what: str) -> ChangedWhileReadError:
    return ChangedWhileReadError(
        f"GET {path}: the list changed while it was read page by page: {what}",
        hint="run again, or read the bulk report, which is one state of the owner",
    )
