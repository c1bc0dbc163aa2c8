"""Packed feeds: gzip, bzip2, xz, Zstandard and ZIP, told by their first bytes and unpacked within bounds."""

import bz2
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NamedTuple, cast

import pyarrow as pa

from tcetl.atomic import publish_errors
from tcetl.errors import FeedError
from tcetl.feeds.zipped import Zipped

ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"

_DEEPEST: Final = 2  # a .zip in a .gz happens; what is packed three times over was made to waste time
_GRACE: Final = 32 << 20  # bytes that may come out before the ratio is looked at: short texts repeat themselves
_NAME_AT: Final = 30  # where the name of the first file begins
_OFFICE_PARTS: Final = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/", b"word/", b"ppt/")
_DAMAGE: Final = (EOFError, OSError, lzma.LZMAError, pa.ArrowException, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacking:
    """How a packed feed is unpacked.

    Args:
        member: Name of the one file to read from an archive.
        password: Of an encrypted archive; sharers of malware use ``infected``.
        max_bytes: Most bytes that may come out of one file; of an archive, out of all its files together.
        max_ratio: Most bytes that may come out for each that went in.
    """

    member: str | None = None
    password: str | None = field(default=None, repr=False)
    max_bytes: int = 64 << 30
    max_ratio: int = 250


def unpack(raw: BinaryIO, location: str, how: Unpacking) -> BinaryIO:
    """Return the innermost content of *raw*, which may be packed up to twice; it closes *raw* when it is closed.

    Raises:
        FeedError: at once or while the stream is read: damaged, packed too often, expands beyond the limits, an archive
            of several files none of which is chosen, or one whose password is missing or wrong.
    """
    stream = io.BufferedReader(_Guarded(_Layer(raw), location, how))
    for depth in range(_DEEPEST + 1):
        opener = next((opener for sign, opener in _OPENERS if stream.peek(4).startswith(sign)), None)
        if opener is None or is_office(stream):
            break
        if depth == _DEEPEST:
            raise FeedError(f"feed file {location} is packed more than {_DEEPEST} times over", hint="unpack it first")
        with told(location):
            stream = io.BufferedReader(_Guarded(opener(stream, location, how), location, how, outer=stream))
    return stream


def archived(raw: BinaryIO, location: str, how: Unpacking) -> Zipped | None:
    """Return the archive that *raw* is, but for an Office document; None where it is none.

    Raises:
        FeedError: it is damaged, or its files would be larger than *how* allows, all together.
    """
    office = is_office(raw)
    raw.seek(0)
    if office or raw.read(4) != ZIP:
        return None
    with told(location):
        archive = Zipped(raw, location)
        _check(location, sum(archive.sizes.values()), raw.seek(0, io.SEEK_END), how)
        return archive


def is_office(stream: BinaryIO) -> bool:
    """Tell whether *stream*, where it stands, begins a ZIP archive whose first file is a part of an Office document."""
    start = stream.peek(64) if isinstance(stream, io.BufferedReader) else stream.read(64)
    return start.startswith(ZIP) and start[_NAME_AT:].startswith(_OFFICE_PARTS)


def seekable(stream: BinaryIO) -> BinaryIO:
    """Return what *stream* reads, from its start, as a stream that can be read in any order.

    That is the file itself where it is not packed, else a temporary copy; *stream* must not be used any more.
    """
    guard = getattr(stream, "raw", None)
    if isinstance(guard, _Guarded) and guard.outer is None and guard.layer.stream.seekable():
        return guard.released()
    with stream:
        return _copied(stream)


def _copied(stream: BinaryIO) -> BinaryIO:
    with publish_errors(tempfile.gettempdir()):
        copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - it outlives this function
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.seek(0)
    return copy


class _Layer(NamedTuple):
    """An unpacked stream, and how many packed bytes were used for what was read from it so far, if it was packed."""

    stream: BinaryIO
    used: Callable[[], int] | None = None


class _Guarded(io.RawIOBase):
    """Reads a layer and counts its bytes; what goes wrong is a `FeedError`, and so is more than the limits allow."""

    def __init__(self, layer: _Layer, location: str, how: Unpacking, *, outer: BinaryIO | None = None) -> None:
        self.layer = layer
        self.outer = outer
        self._location = location
        self._how = how
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with told(self._location):
            data = self.layer.stream.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if self.layer.used:
            _check(self._location, self.count, max(self.layer.used(), 1), self._how)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self.layer.stream.close()
            if self.outer:
                self.outer.close()
        super().close()

    def released(self) -> BinaryIO:
        """Return what is read here, from its start, to somebody who will close it."""
        inner = self.layer.stream
        self.layer = _Layer(io.BytesIO())
        inner.seek(0)
        return inner


def _check(location: str, count: int, used: int, how: Unpacking) -> None:
    """Raise FeedError where *count* bytes are more than may come out of the *used* ones."""
    if count > how.max_bytes:
        raise FeedError(
            f"feed file {location} holds more than {how.max_bytes:,} bytes when it is unpacked",
            hint="allow for more with max_bytes",
        )
    if count > _GRACE and count > how.max_ratio * used:
        raise FeedError(
            f"feed file {location} expands to more than {how.max_ratio} times its size",
            hint="made to fill the disk? If not, allow for more with max_ratio",
        )


@contextmanager
def told(location: str) -> Iterator[None]:
    """Raise what goes wrong in unpacking what is at *location* as FeedError."""
    try:
        yield
    except RuntimeError as error:  # of zipfile: a password that is wrong, a method of compression it does not know
        raise FeedError(f"archive {location} cannot be read: {error}", hint="is the password right?") from error
    except _DAMAGE as error:
        raise FeedError(f"feed file {location} is damaged or ends early: {error}", hint="fetch it again") from error


def _zip(stream: BinaryIO, location: str, how: Unpacking) -> _Layer:
    guard = cast(io.BufferedReader, stream).raw
    assert isinstance(guard, _Guarded)
    as_it_is = guard.outer is None and guard.layer.stream.seekable()
    archive = Zipped(guard.layer.stream if as_it_is else _copied(stream), location)
    names = list(archive.sizes)
    if not names:
        raise FeedError(f"archive {location} holds no files", hint="is the feed empty today?")
    listed = ", ".join(names[:20])
    if how.member is not None and how.member not in names:
        raise FeedError(f"archive {location} has no file '{how.member}'", hint=f"it has: {listed}")
    if how.member is None and len(names) != 1:
        raise FeedError(
            f"archive {location} holds {len(names)} files", hint=f"name one: --member NAME; it has: {listed}"
        )
    name = how.member or names[0]
    return _Layer(archive.open(name, how.password), lambda: archive.packed_size(name))


def _used(stream: BinaryIO) -> Callable[[], int]:
    """Return what tells how much was read of a packed *stream* (a little more than was unpacked: it is buffered)."""
    guard = cast(io.BufferedReader, stream).raw
    assert isinstance(guard, _Guarded)
    return lambda: guard.count


def _gzip(stream: BinaryIO, _location: str, _how: Unpacking) -> _Layer:
    return _Layer(cast(BinaryIO, gzip.GzipFile(fileobj=stream)), _used(stream))


def _bz2(stream: BinaryIO, _location: str, _how: Unpacking) -> _Layer:
    return _Layer(cast(BinaryIO, bz2.BZ2File(stream)), _used(stream))


def _xz(stream: BinaryIO, _location: str, _how: Unpacking) -> _Layer:
    return _Layer(cast(BinaryIO, lzma.LZMAFile(stream)), _used(stream))


def _zstd(stream: BinaryIO, _location: str, _how: Unpacking) -> _Layer:
    return _Layer(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"), _used(stream))


_OPENERS: Final = (
    (b"\x1f\x8b", _gzip),
    (b"BZh", _bz2),
    (b"\xfd7zXZ", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (ZIP, _zip),
    (_EMPTY_ZIP, _zip),
)
