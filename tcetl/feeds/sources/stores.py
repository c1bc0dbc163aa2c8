"""Feeds in object stores and other file systems that fsspec knows, and feeds that are all files a pattern matches."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, cast

from tcetl.errors import FeedError
from tcetl.feeds.source import Opener, Source, Spooled
from tcetl.feeds.sources.fetching import shown
from tcetl.feeds.unpack import Unpacking

_CHUNK = 1 << 20
_MAGIC = frozenset("*?[")
_TAGS = ("ETag", "etag", "generation")  # as the packages for S3, Azure and Google Cloud call them
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


def is_pattern(path: str) -> bool:
    """Tell whether *path* may match several files."""
    return bool(_MAGIC & set(path))


class StoredFile:
    """The file at an address such as ``s3://bucket/feed.csv.gz``.

    Attributes:
        version: What the store tells of it that another content would not have; nothing where that is too little.

    Raises:
        FeedError: there is none, or it cannot be read.
    """

    def __init__(self, address: str) -> None:
        self._location = shown(address)
        self._store, self._path = _store(address)
        with self._told():
            # Asked for before it is read: what changes in between is read again the next time.
            self.version = _version(self._store.info(self._path))

    def copied(self, max_bytes: int) -> Opener:
        """Return what opens a temporary copy of it.

        Raises:
            FeedError: it cannot be read, or is larger than *max_bytes*.
        """
        with self._told(), self._store.open(self._path, "rb") as stream:
            return Spooled(_limited(stream, self._location, max_bytes))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
            raise FeedError(
                f"feed file {self._location} {reason}", hint="check the address and the store's credentials"
            ) from None


def _version(info: Mapping[str, Any]) -> dict[str, str]:
    """Return what the store tells of a file that another content would not have; nothing where that is too little."""
    found = {key: str(info[key]) for key in (*_TAGS, *_TIMES) if info.get(key) is not None}
    return found | {"size": str(info.get("size"))} if found else {}


class Matches:
    """All files that a pattern matches, as a `Folder`; their names are their paths.

    Attributes:
        version: What changes with any of them, where the store tells.

    Raises:
        FeedError: it matches none.
    """

    def __init__(self, pattern: str, unpacking: Unpacking) -> None:
        self.location = shown(pattern) if "://" in pattern else pattern
        self._store, path = _store(pattern)
        self._unpacking = unpacking
        found = self._store.glob(path, detail=True)
        self._paths = sorted(one for one in found if found[one].get("type") == "file" or self._store.isfile(one))
        if not self._paths:
            raise FeedError(f"no file matches {self.location}", hint="check the pattern")
        versions = [(name, *sorted(_version(found[name]).items())) for name in self._paths]
        told = all(len(one) > 1 for one in versions)
        self.version = {"files": hashlib.sha256(repr(versions).encode()).hexdigest()} if told else {}

    def names(self) -> Sequence[str]:
        """Return the paths of the files, sorted."""
        return self._paths

    def file(self, name: str) -> Source:
        """Return one of the files."""
        return Source(name, partial(self._open, name), self._unpacking)

    def _open(self, path: str) -> BinaryIO:
        return cast(BinaryIO, self._store.open(path, "rb"))


def _store(address: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - one file on a local disk needs none of it

    try:
        store, path = fsspec.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise FeedError(
            f"{shown(address)} cannot be read: {error}", hint="is the package for this kind of store installed?"
        ) from None
    store.invalidate_cache()  # a listing that this process keeps may be older than the file
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
