"""Indicators page by page, filtered by the platform, as INDICATORS record batches."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tcetl.client.answers import data_of, server_time, unexpected
from tcetl.client.filters import checked
from tcetl.client.owners import list_indicator_types, naming_owner
from tcetl.client.paging import PAGE_SIZE, Page, pages
from tcetl.client.report import indicator_batch
from tcetl.client.session import Session
from tcetl.errors import NOT_JSON, ConfigError, NotFoundError
from tcetl.indicators import SEPARATOR, TYPES, IndicatorType

INCLUDES: Final = ("additional", "attributes", "tags", "labels")
"""What the platform adds to each indicator when asked."""


def retrieve(
    session: Session,
    owner: str,
    *,
    type: str | None = None,  # noqa: A002 - the API's word
    filters: Sequence[str] = (),
    match_any: bool = False,
    modified_since: datetime | None = None,
    includes: Sequence[str] = INCLUDES,
    page_size: int = PAGE_SIZE,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Page through *owner*'s indicators; one record batch a page.

    Without a filter on ``active`` the platform gives active indicators only. Files come with all their hashes when
    *type* is ``File``, and with one of them when it is None.

    Args:
        session: The connection.
        owner: Owner to read from.
        type: One indicator type, built in or of the instance; all when None.
        filters: API filters such as ``confidence>50``; see :mod:`tcetl.client.filters`.
        match_any: Keep what matches any filter instead of all.
        modified_since: Only indicators modified at or after this time.
        includes: Of :data:`INCLUDES`, what to ask for.
        page_size: Indicators a page, 1 to 10,000.
        on_progress: Told of indicators read, and of indicators in all.

    Raises:
        ConfigError: A filter or type that the API does not have, or a time without zone.
        OwnerNotFoundError: The owner does not exist or is not visible.
        ChangedWhileReadError: While iterating: indicators came or went between two pages.
    """
    if modified_since is not None and modified_since.tzinfo is None:
        raise ConfigError(
            f"modified_since {modified_since} has no time zone", hint="use UTC, such as 2026-01-31T00:00Z"
        )
    if unknown := sorted(set(includes) - set(INCLUDES)):
        raise ConfigError(f"includes cannot be {', '.join(unknown)}", hint=f"of: {', '.join(INCLUDES)}")
    if not 1 <= page_size <= PAGE_SIZE:
        raise ConfigError(f"page_size cannot be {page_size}", hint=f"1 to {PAGE_SIZE}")
    params = {
        "owner": owner,
        "filters": checked(filters, type),
        "orParams": True if match_any and filters else None,
        "modifiedSince": modified_since and modified_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "includes": list(includes),
    }
    kind = None if type is None else _kind(session, type)
    path, key = (f"/v2/indicators/{kind.branch}", kind.entity) if kind else ("/v2/indicators", "indicator")
    # modifiedSince is documented for the list of all types only; an instance may ignore it on a typed one.
    since = modified_since if kind else None
    found = pages(session, path, key, params, page_size=page_size)
    return _batches(session, owner, found, kind=kind, since=since, on_progress=on_progress)


def count(
    session: Session,
    owner: str,
    *,
    type: str | None = None,  # noqa: A002 - the API's word
    filters: Sequence[str] = (),
    match_any: bool = False,
) -> int:
    """How many indicators `retrieve` would read, by one small request."""
    kind = None if type is None else _kind(session, type)
    path, key = (f"/v2/indicators/{kind.branch}", kind.entity) if kind else ("/v2/indicators", "indicator")
    params = {
        "owner": owner,
        "filters": checked(filters, type),
        "orParams": True if match_any and filters else None,
    }
    with naming_owner(session, owner):
        return next(pages(session, path, key, params, page_size=1)).total


def lookup(
    session: Session,
    owner: str,
    type: str,  # noqa: A002 - the API's word
    value: str,
    *,
    includes: Sequence[str] = INCLUDES,
) -> pa.RecordBatch | None:
    """The one indicator of *owner* with this *value*, active or not, as an INDICATORS batch; None when it is not there.

    A File is found by any one of its hashes; other values of several parts are their summary.
    """
    kind = _kind(session, type)
    path = f"/v2/indicators/{kind.branch}/{quote(value, safe='')}"
    try:
        with naming_owner(session, owner):
            response = session.request("GET", path, params={"owner": owner, "includes": list(includes)})
    except NotFoundError:
        return None
    item = data_of(response, dict[str, dict[str, Any]]).get(kind.entity)
    if item is None:
        raise unexpected(response, f"it has no {kind.entity}")
    raw = msgspec.Raw(msgspec.json.encode(item))
    return indicator_batch([_untyped(raw, kind, owner)], exported_at=server_time(response))


def _batches(
    session: Session,
    owner: str,
    found: Iterator[Page],
    *,
    kind: IndicatorType | None,
    since: datetime | None,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[pa.RecordBatch]:
    with naming_owner(session, owner):
        for page in found:
            items = [_untyped(item, kind, owner) for item in page.items] if kind else page.items
            batch = indicator_batch(items, exported_at=page.answered_at)
            if since is not None:
                batch = batch.filter(pc.greater_equal(batch["last_modified"], pa.scalar(since)))
            if batch.num_rows:
                yield batch
            if on_progress:
                on_progress(page.start + len(page.items), page.total)


def _untyped(item: msgspec.Raw, kind: IndicatorType, owner: str) -> bytes:
    """An item of a typed list with the type and summary that the list of all types would give it."""
    try:
        document = msgspec.json.decode(item, type=dict[str, Any])
    except NOT_JSON:
        return bytes(item)  # whoever parses it says what is wrong
    parts = [str(document[key]) for key in kind.value_keys if document.get(key)]
    # Single objects carry an owner object instead of the name.
    return msgspec.json.encode({"ownerName": owner, "type": kind.name, "summary": SEPARATOR.join(parts)} | document)


def _kind(session: Session, name: str) -> IndicatorType:
    """The type called *name*, asked of the instance when it is none of the usual ones."""
    if name in TYPES:
        return TYPES[name]
    known = {info.name: info for info in list_indicator_types(session)}
    if name not in known:
        raise ConfigError(f"there is no indicator type {name!r}", hint=f"types here: {', '.join(sorted(known))}")
    info = known[name]
    return IndicatorType(info.name, info.api_branch, info.api_entity, info.value_labels)
