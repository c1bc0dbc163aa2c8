"""Where feeds come from beside local files: web servers, TAXII servers, object stores, patterns of files.

Everything is read whole before any of it is used, so that a feed that breaks off is none, and can be read twice.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tcetl.feeds.source import Folder, Source, locate, unpacked
from tcetl.feeds.sources.fetching import TAXII, Fetching, shown
from tcetl.feeds.sources.state import FetchState
from tcetl.feeds.sources.stores import Matches, StoredFile, is_pattern
from tcetl.feeds.unpack import Unpacking

__all__ = ["FetchState", "Fetched", "Fetching", "fetch", "shown"]

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Fetched(NamedTuple):
    """A feed that was fetched: its source, or None when nothing is new since what the state knows.

    Call ``commit`` when what was fetched has been dealt with, so that the state moves on. ``is_partial`` where the
    source holds only what was added since the last time.
    """

    source: Source | Folder | None
    commit: Callable[[], None]
    is_partial: bool = False


def fetch(
    address: str,
    how: Fetching | None = None,
    *,
    state: FetchState | None = None,
    unpacking: Unpacking | None = None,
    index: str | None = None,
) -> Fetched:
    """Fetch the feed at *address*.

    Args:
        address: A path or pattern (``feeds/*.csv``), an http(s) URL, the URL of a TAXII collection with ``taxii+``
            before it, or of an object store (``s3://bucket/feed.json``).
        how: Keys, limits, proxies.
        state: What earlier fetches learnt; without it everything is fetched anew.
        unpacking: How a packed file is unpacked.
        index: Name of the file that lists those of a folder: a URL that ends with it, or with a slash, is such a
            folder.

    Raises:
        FeedError: it cannot be had; the message names the address, without query and keys.
    """
    how, unpacking = how or Fetching(), unpacking or Unpacking()
    commit = state.commit if state else _nothing
    scheme = found[1].lower() if (found := _ADDRESS.match(address)) else ""
    if scheme in ("http", "https") or scheme.startswith(TAXII):
        from tcetl.feeds.sources import web  # noqa: PLC0415 - what lies on a disk needs no HTTP

        if scheme.startswith(TAXII):
            source, is_partial = web.collection(address, how, state)
            return Fetched(source, commit, is_partial)
        return Fetched(web.feed(address, how, state, unpacking, index), commit)
    local = scheme in ("", "file")
    if is_pattern(address) and not Path(address).exists():
        matches = Matches(address, unpacking)
        return Fetched(matches if local or _is_new(address, matches.version, state) else None, commit)
    if local:
        return Fetched(locate(Path(unquote(urlsplit(address).path) if scheme else address), unpacking), commit)
    file = StoredFile(address)
    if not _is_new(address, file.version, state):
        return Fetched(None, commit)
    return Fetched(unpacked(shown(address), file.copied(how.max_bytes), unpacking), commit)


def _is_new(address: str, version: Mapping[str, str], state: FetchState | None) -> bool:
    """Tell whether what a store has at *address* is another *version* than *state* knows, which notes it then."""
    if state is None:
        return True
    if version and version.items() <= state.known(address).items():
        return False
    state.learn(address, dict(version))
    return True


def _nothing() -> None:
    """Commit nothing."""
