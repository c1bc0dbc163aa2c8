"""Where feeds are read from: one file that can be read again and again, or several that are one feed together."""

import io
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast, runtime_checkable

from tcetl.atomic import publish_errors
from tcetl.errors import EmptyFeedError, FeedError
from tcetl.feeds.decode import Decoder
from tcetl.feeds.text import BLOCK_SIZE, foreign, text_blocks, text_pieces, unmarked_utf16
from tcetl.feeds.unpack import Unpacking, archived, seekable, told, unpack
from tcetl.feeds.unreadable import refuse_unreadable
from tcetl.feeds.zipped import Zipped

Opener = Callable[[], BinaryIO]


class MissingError(FeedError):
    """There is no file of that name."""


HEAD_SIZE: Final = 256 << 10
"""Bytes looked at to tell what a file is."""


class Source:
    """The bytes of one feed file, unpacked; they can be read from their start any number of times.

    ``location`` is the path or address that stands in every origin and error; ``head`` its first bytes as they are,
    ``text`` the same as text: without byte order mark, UTF-8 where possible, cut after a line.

    Args:
        location: Where the file is.
        opener: Opens its bytes as they are there.
        unpacking: How to unpack them.

    Raises:
        FeedError: it is missing, unreadable, empty, an HTML page, of a kind that no reader reads, or cannot be
            unpacked.
    """

    def __init__(self, location: str, opener: Opener, unpacking: Unpacking | None = None) -> None:
        self.location = location
        self._opener = opener
        self.unpacking = unpacking or Unpacking()
        with self.open_raw() as raw, told(location):
            if not raw.read(1):
                raise FeedError(f"feed file {location} is empty (0 bytes)", hint="was the download interrupted?")
        with self.open() as stream:
            self.head = stream.read(HEAD_SIZE)
        refuse_unreadable(self.head, location)
        self.text = b"".join(text_blocks(io.BytesIO(self.head), location, HEAD_SIZE))
        if not self.text.strip():
            raise FeedError(f"feed file {location} holds nothing but blanks", hint="was the download interrupted?")
        if len(self.head) == HEAD_SIZE:
            self.text = self.text[: self.text.rfind(b"\n") + 1] or self.text
        if foreign(self.text) == "an HTML page":
            raise FeedError(
                f"feed file {location} is an HTML page, not a feed",
                hint="a login or error page was saved in its place? Fetch the feed's own address",
            )

    def open_raw(self) -> BinaryIO:
        """Open the bytes as they are there, packed or not."""
        try:
            return self._opener()
        except FileNotFoundError:
            raise MissingError(f"feed file {self.location} does not exist", hint="check the path") from None
        except OSError as error:
            raise FeedError(f"feed file {self.location} cannot be read: {error.strerror or error}") from error

    def open(self) -> BinaryIO:
        """Open the unpacked bytes, to be read onwards."""
        return unpack(self.open_raw(), self.location, self.unpacking)

    def open_seekable(self) -> BinaryIO:
        """Open the unpacked bytes, to be read in any order; what is packed is copied to a temporary file first."""
        return seekable(self.open())

    def blocks(self, size: int = BLOCK_SIZE) -> Iterator[bytes]:
        """Yield the text in blocks of whole lines; only the last may lack its line end."""
        with self.open() as stream:
            yield from text_blocks(stream, self.location, size)

    def pieces(self) -> Iterator[bytes]:
        """Yield the text in pieces cut anywhere, for the parser of a document that may be one long line."""
        with self.open() as stream:
            yield from text_pieces(stream)

    def decoder(self) -> Decoder:
        """Return what decodes the lines of `blocks`, one for each time they are read."""
        encoding = unmarked_utf16(self.head)
        return Decoder([f"the file is {encoding} without a byte order mark"] if encoding else ())

    @cached_property
    def foreign(self) -> str | None:
        """What the file is instead of lines of text, or None: "a JSON document"."""
        return foreign(self.text)

    @cached_property
    def lines(self) -> Sequence[str]:
        """The lines of ``text``, decoded, for a reader of lines.

        Raises:
            FeedError: this is a document of another kind, or there is nothing but comments.
        """
        if self.foreign:
            raise FeedError(f"feed file {self.location} is {self.foreign}", hint="is this the feed you meant?")
        lines = Decoder().lines(self.text)
        if not any(line.strip() and not line.startswith("#") for line in lines):
            raise EmptyFeedError(
                f"feed file {self.location} holds comments but no rows", hint="is the feed empty today?"
            )
        return lines


@runtime_checkable
class Folder(Protocol):
    """Files that are one feed together: a directory, an archive, what a pattern matches."""

    @property
    def location(self) -> str:
        """The path or address of all of them."""

    def names(self) -> Sequence[str]:
        """Return the names of the files, sorted."""

    def file(self, name: str) -> Source:
        """Return one of the files.

        Raises:
            MissingError: there is none of that name.
            FeedError: see `Source`.
        """


class Directory:
    """A local directory as a `Folder`: its files, without hidden ones and without those of directories below."""

    def __init__(self, path: Path, unpacking: Unpacking) -> None:
        self.location = str(path)
        self._path = path
        self._unpacking = unpacking

    def names(self) -> Sequence[str]:
        """Return the names of the files, sorted."""
        return sorted(one.name for one in self._path.iterdir() if one.is_file() and not one.name.startswith("."))

    def file(self, name: str) -> Source:
        """Return one of the files."""
        path = self._path / name
        return Source(str(path), lambda: path.open("rb"), self._unpacking)


class Archive:
    """A ZIP archive of several files as a `Folder`: the one folder that it holds, or else itself.

    *raw*, its bytes, are closed with the last that refers to this.
    """

    def __init__(self, archive: Zipped, raw: BinaryIO, unpacking: Unpacking) -> None:
        self.location = archive.location
        self._archive = archive
        self._unpacking = unpacking
        tops = {"".join(name.partition("/")[:2]) for name in archive.sizes}
        self._top = tops.pop() if len(tops) == 1 else ""
        weakref.finalize(self, raw.close)

    def names(self) -> Sequence[str]:
        """Return the names of the files, sorted."""
        return [name.removeprefix(self._top) for name in self._archive.sizes]

    def file(self, name: str) -> Source:
        """Return one of the files."""
        sizes, member = self._archive.sizes, f"{self._top}{name}"
        if member not in sizes:
            raise MissingError(f"archive {self.location} has no file '{member}'")
        # Each may take its share of the bytes that all may, so that those packed again stay within them too.
        how = replace(
            self._unpacking, max_bytes=self._unpacking.max_bytes * sizes[member] // max(sum(sizes.values()), 1)
        )
        return Source(f"{self.location}/{member}", partial(self._open, member), how)

    def _open(self, name: str) -> BinaryIO:
        with told(self.location):
            return self._archive.open(name, self._unpacking.password)


def locate(given: Path | BinaryIO | Source | Folder, unpacking: Unpacking) -> Source | Folder:
    """Return what is *given*, a path or an opened stream, as a source, or as a folder where it holds several files.

    What is left of a stream is copied to a temporary file, so that it can be read twice.

    Raises:
        FeedError: see `Source`.
    """
    if isinstance(given, Source | Folder):
        return given
    if isinstance(given, Path):
        if given.is_dir():
            return Directory(given, unpacking)
        location, opener = str(given), cast(Opener, partial(given.open, "rb"))
    else:
        location, opener = str(getattr(given, "name", "stream")), Spooled(iter(partial(given.read, 1 << 20), b""))
    return unpacked(location, opener, unpacking)


def unpacked(location: str, opener: Opener, unpacking: Unpacking) -> Source | Folder:
    """Return what *opener* opens as a source, or as a folder where it is an archive of several files."""
    if unpacking.member is None and (folder := _archive(location, opener, unpacking)):
        return folder
    return Source(location, opener, unpacking)


def _archive(location: str, opener: Opener, unpacking: Unpacking) -> Archive | None:
    """Return the archive of several files that *opener* opens, if it is one."""
    try:
        raw = opener()
    except OSError:
        return None  # Source will say what is wrong
    try:
        found = archived(raw, location, unpacking)
        folder = Archive(found, raw, unpacking) if found and len(found.sizes) > 1 else None
    except BaseException:
        raw.close()
        raise
    if folder is None:
        raw.close()
    return folder


class Spooled:
    """Opens a temporary copy of what can be read only once; the copy goes when nothing refers to this any more.

    Raises:
        PublishError: The copy cannot be written.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        handle, name = tempfile.mkstemp(prefix="tcetl-feed-")
        self._path = Path(name)
        weakref.finalize(self, self._path.unlink, missing_ok=True)
        copy = open(handle, "wb")  # noqa: PTH123, SIM115 - the handle is open already
        try:
            for chunk in chunks:
                with publish_errors(self._path):
                    copy.write(chunk)
            with publish_errors(self._path):
                copy.flush()
        finally:
            with suppress(OSError):  # closing flushes, and on a full disk that fails once more
                copy.close()

    def __call__(self) -> BinaryIO:
        """Open the copy."""
        return self._path.open("rb")
