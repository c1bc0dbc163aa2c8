"""Feeds in object stores and other file systems that fsspec knows, and feeds that are all files a pattern matches."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO, cast

import fsspec

from tcetl.errors import FeedError
from tcetl.feeds.source import Opener, Source, Spooled
from tcetl.feeds.sources.http import shown
from tcetl.feeds.unpack import Unpacking

_CHUNK = 1 << 20
_MAGIC = frozenset("*?[")


def is_pattern(path: str) -> bool:
    """Tell whether *path* may match several files."""
    return bool(_MAGIC & set(path))


def stored(address: str, max_bytes: int) -> Opener:
    """Return what opens a temporary copy of the file at *address*, such as ``s3://bucket/feed.csv.gz``.

    Raises:
        FeedError: there is none, it cannot be read, or it is larger than *max_bytes*.
    """
    location = shown(address)
    store, path = _store(address)
    try:
        with store.open(path, "rb") as stream:
            return Spooled(_limited(stream, location, max_bytes))
    except (OSError, ValueError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise FeedError(
            f"feed file {location} {reason}", hint="check the address and the store's credentials"
        ) from None


class Matches:
    """All files that a pattern matches, as a `Folder`; their names are their paths.

    Raises:
        FeedError: it matches none.
    """

    def __init__(self, pattern: str, unpacking: Unpacking) -> None:
        self.location = shown(pattern) if "://" in pattern else pattern
        self._store, path = _store(pattern)
        self._unpacking = unpacking
        self._paths: list[str] = sorted(one for one in self._store.glob(path) if self._store.isfile(one))
        if not self._paths:
            raise FeedError(f"no file matches {self.location}", hint="check the pattern")

    def names(self) -> Sequence[str]:
        """Return the paths of the files, sorted."""
        return self._paths

    def file(self, name: str) -> Source:
        """Return one of the files."""
        return Source(name, partial(self._open, name), self._unpacking)

    def _open(self, path: str) -> BinaryIO:
        return cast(BinaryIO, self._store.open(path, "rb"))


def _store(address: str) -> tuple[Any, str]:
    try:
        store, path = fsspec.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise FeedError(
            f"{shown(address)} cannot be read: {error}", hint="is the package for this kind of store installed?"
        ) from None
    return store, path


def _limited(stream: BinaryIO, location: str, max_bytes: int) -> Iterator[bytes]:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise FeedError(
                f"feed file {location} is larger than {max_bytes:,} bytes", hint="allow for more: max_bytes"
            )
        yield chunk
