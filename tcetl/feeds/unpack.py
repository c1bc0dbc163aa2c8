"""Packed feeds: gzip, bzip2, xz, Zstandard and ZIP, told by their first bytes and unpacked within bounds."""

import bz2
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NamedTuple, cast

import pyarrow as pa

from tcetl.errors import FeedError

ZIP: Final = b"PK\x03\x04"

_DEEPEST: Final = 2  # a .zip in a .gz happens; what is packed three times over was made to waste time
_GRACE: Final = 32 << 20  # bytes that may come out before the ratio is looked at: short texts repeat themselves
_NAME_AT: Final = 30  # where the name of the first file begins
_OFFICE_PARTS: Final = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/", b"word/", b"ppt/")
_AES: Final = 99  # the compression method under which archives note that a member is encrypted with AES
_DAMAGE: Final = (EOFError, OSError, lzma.LZMAError, pa.ArrowException, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacking:
    """How a packed feed is unpacked.

    Args:
        member: Name of the one file to read from an archive.
        password: Of an encrypted archive; sharers of malware use ``infected``.
        max_bytes: Most bytes that may come out of one file.
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
        with _told(location):
            stream = io.BufferedReader(_Guarded(opener(stream, location, how), location, how, outer=stream))
    return stream


def archived(raw: BinaryIO, location: str) -> Sequence[str]:
    """Return the names of the files in *raw* where it is an archive and no Office document; else none.

    What archivers add of their own, and hidden files, are left out.
    """
    office = is_office(raw)
    raw.seek(0)
    if office or raw.read(4) != ZIP:
        return []
    with _told(location), zipfile.ZipFile(raw) as archive:
        return _members(archive)


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
        with _told(self._location):
            data = self.layer.stream.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if self.layer.used:
            self._check(max(self.layer.used(), 1))
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

    def _check(self, used: int) -> None:
        if self.count > self._how.max_bytes:
            raise FeedError(
                f"feed file {self._location} holds more than {self._how.max_bytes:,} bytes when it is unpacked",
                hint="allow for more with max_bytes",
            )
        if self.count > _GRACE and self.count > self._how.max_ratio * used:
            raise FeedError(
                f"feed file {self._location} expands to more than {self._how.max_ratio} times its size",
                hint="made to fill the disk? If not, allow for more with max_ratio",
            )


@contextmanager
def _told(location: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of zipfile: a password that is wrong, a method of compression it does not know
        raise FeedError(f"archive {location} cannot be read: {error}", hint="is the password right?") from error
    except _DAMAGE as error:
        raise FeedError(f"feed file {location} is damaged or ends early: {error}", hint="fetch it again") from error


def _members(archive: zipfile.ZipFile) -> list[str]:
    names = (info.filename for info in archive.infolist() if not info.is_dir())
    return sorted(
        name for name in names if not name.startswith("__MACOSX/") and not f"/{name}".rpartition("/")[2].startswith(".")
    )


def _zip(stream: BinaryIO, location: str, how: Unpacking) -> _Layer:
    guard = cast(io.BufferedReader, stream).raw
    assert isinstance(guard, _Guarded)
    as_it_is = guard.outer is None and guard.layer.stream.seekable()
    file = guard.layer.stream if as_it_is else _copied(stream)
    archive = zipfile.ZipFile(file)
    names = _members(archive)
    listed = ", ".join(names[:20])
    if how.member is not None and how.member not in names:
        raise FeedError(f"archive {location} has no file '{how.member}'", hint=f"it has: {listed}")
    if how.member is None and len(names) != 1:
        raise FeedError(f"archive {location} holds {len(names)} files", hint=f"name one as its member: {listed}")
    info = archive.getinfo(how.member or names[0])
    if info.flag_bits & 1 and how.password is None:
        raise FeedError(f"'{info.filename}' in archive {location} is encrypted", hint="give its password")
    if info.compress_type == _AES:
        archive = _aes(file, location)
    member = archive.open(info.filename, pwd=how.password.encode() if how.password else None)
    return _Layer(cast(BinaryIO, member), lambda: info.compress_size)


def _aes(file: BinaryIO, location: str) -> zipfile.ZipFile:
    try:
        import pyzipper  # noqa: PLC0415 - of the extra "feeds"
    except ImportError:
        raise FeedError(
            f"archive {location} is encrypted with AES",
            hint="install the extra that reads it: pip install 'tcetl[feeds]'",
        ) from None
    return cast(zipfile.ZipFile, pyzipper.AESZipFile(file))


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
)
