"""Feeds on web servers and in TAXII collections, each asked only for what is new where it can tell."""

from typing import Final
from urllib.parse import urlsplit

from tcetl.errors import FeedError
from tcetl.feeds.source import Folder, Source, unpacked
from tcetl.feeds.sources.fetching import TAXII, Fetching, shown
from tcetl.feeds.sources.http import Http
from tcetl.feeds.sources.state import FetchState
from tcetl.feeds.sources.taxii import ADDED_AFTER, Collection
from tcetl.feeds.sources.web_folder import WebFolder
from tcetl.feeds.unpack import Unpacking

_CONDITIONS: Final = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


def feed(
    address: str, how: Fetching, state: FetchState | None, unpacking: Unpacking, index: str | None
) -> Source | Folder | None:
    """Return the feed at an http(s) *address*, None when the server says that nothing is new; see `fetch`."""
    http = Http(address, how)
    path = urlsplit(address).path
    folder = index is not None and path.endswith(("/", f"/{index}"))
    asked = f"{address}{index}" if folder and path.endswith("/") else address
    known = state.known(asked) if state else {}
    answer = http.get(asked, {_CONDITIONS[name]: known[name] for name in _CONDITIONS if name in known})
    if answer.body is None:
        return None
    if state:
        state.learn(asked, {name: answer.headers[name] for name in _CONDITIONS if name in answer.headers})
    if folder and index is not None:
        return WebFolder(asked, Source(shown(asked), answer.body, unpacking), index, http, unpacking)
    return unpacked(shown(address), answer.body, unpacking)


def collection(address: str, how: Fetching, state: FetchState | None) -> tuple[Source | None, bool]:
    """Return the TAXII collection at *address*, None when nothing was added, and whether that is only what was."""
    since = state.known(address).get(ADDED_AFTER, "") if state else ""
    asked = Collection(address, Http(address.removeprefix(TAXII), how))
    body = asked.read(since)
    if since and not asked.count:
        return None, True
    if state and (asked.last_added or since):
        state.learn(address, {ADDED_AFTER: asked.last_added or since})
    if not asked.count:
        raise FeedError(f"{shown(address)} holds no objects", hint="is the collection empty today?")
    return Source(shown(address), body), bool(since)
