"""Collections of TAXII 2.1 servers, page by page.

Source: TAXII 2.1 (OASIS standard): discovery (4.1), API roots and collections (4.2, 5.1, 5.2), objects (5.4), paging
(3.5) and content negotiation (1.6.8).
"""

import re
from collections.abc import Iterator
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from tcetl.errors import NOT_JSON, FeedError
from tcetl.feeds.source import Opener, Spooled
from tcetl.feeds.sources.fetching import TAXII, shown
from tcetl.feeds.sources.http import Http

ADDED_AFTER: Final = "added_after"

_MEDIA: Final = "application/taxii+json;version=2.1"
_COLLECTION: Final = re.compile(r"(.*/collections/[^/]+)(?:/(?:objects/?)?)?")
_LAST: Final = "X-TAXII-Date-Added-Last"
_T = TypeVar("_T")


class _Envelope(msgspec.Struct):
    """A page: its objects as they are, and whether there are more."""

    more: bool = False
    next: str | None = None
    objects: list[msgspec.Raw] = []


class _Resource(msgspec.Struct):
    """A collection, or a list of them, or of API roots."""

    id: str = ""
    title: str = ""
    can_read: bool = False
    collections: list["_Resource"] = []
    api_roots: list[str] = []


class Collection:
    """A collection of a TAXII server.

    Args:
        address: ``taxii+https://…/collections/ID/``, with filters of the standard as its query (``added_after``,
            ``match[type]``, ``limit``). The address of a server or API root will do where that has one collection only.
        http: Asks for it.

    Attributes:
        last_added: When the newest object that was read was added, as the server says; empty when it does not.
        count: Objects read.

    Raises:
        FeedError: there is no such collection, or several; the message names them.
    """

    def __init__(self, address: str, http: Http) -> None:
        parts = urlsplit(address.removeprefix(TAXII))
        self.last_added = ""
        self.count = 0
        self._http = http
        self._filters = dict(parse_qsl(parts.query))
        self._location = shown(address)
        base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        found = _COLLECTION.fullmatch(base)
        self._objects = f"{found[1] if found else self._only_collection(base)}/objects/"

    def read(self, added_after: str = "") -> Opener:
        """Return what opens a temporary copy of all objects, as one JSON document with a list of ``objects``.

        Args:
            added_after: Only objects that were added later; the address's own filter wins.

        Raises:
            FeedError: the server refuses, or answers what the standard does not know.
        """
        filters = {ADDED_AFTER: added_after} if added_after else {}
        return Spooled(self._document(filters | self._filters))

    def _document(self, filters: dict[str, str]) -> Iterator[bytes]:
        yield b'{"objects":['
        for page in self._pages(filters):
            for one in page:
                yield (b"," if self.count else b"") + bytes(one)
                self.count += 1
        yield b"]}"

    def _pages(self, filters: dict[str, str]) -> Iterator[list[msgspec.Raw]]:
        asked: set[str] = set()
        while True:
            query = urlencode(filters)
            if query in asked:
                raise FeedError(f"{self._location} leads from one page to the same again", hint="tell its operator")
            asked.add(query)
            content, headers = self._get(f"{self._objects}?{query}" if query else self._objects)
            page = self._decode(content, _Envelope)
            yield page.objects
            self.last_added = headers.get(_LAST) or self.last_added
            if not page.more:
                return
            if page.next:
                filters = filters | {"next": page.next}
            elif headers.get(_LAST):  # of servers that page by time alone
                filters = filters | {ADDED_AFTER: headers[_LAST]}
            else:
                raise FeedError(f"{self._location} says that there is more, but not where", hint="tell its operator")

    def _only_collection(self, base: str) -> str:
        """Return the address of the one collection that can be read below *base*, a server or an API root."""
        base = base if base.endswith("/") else f"{base}/"
        found: dict[str, str] = {}
        resource = self._decode(self._get(base)[0], _Resource)
        for root in [urljoin(base, one) for one in resource.api_roots] or [base]:
            root = root if root.endswith("/") else f"{root}/"  # noqa: PLW2901
            listed = self._decode(self._get(f"{root}collections/")[0], _Resource).collections
            found |= {f"{root}collections/{one.id}": one.title for one in listed if one.can_read and one.id}
        if len(found) == 1:
            return next(iter(found))
        named = ", ".join(f"{TAXII}{address}/ ({title})" for address, title in list(found.items())[:10])
        raise FeedError(
            f"{self._location} has {len(found)} collections that can be read here",
            hint=f"name one of them: {named}" if found else "does the user have the right to read any?",
        )

    def _get(self, address: str) -> tuple[bytes, dict[str, str]]:
        answer = self._http.get(address, {"Accept": _MEDIA})
        assert answer.body is not None  # nothing was made conditional
        with answer.body() as stream:
            return stream.read(), {_LAST: answer.headers.get(_LAST, "")}

    def _decode(self, content: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(content, type=kind)
        except NOT_JSON as error:
            raise FeedError(
                f"{self._location} does not answer as TAXII 2.1 does: {error}", hint="is this a TAXII 2.1 server?"
            ) from None
