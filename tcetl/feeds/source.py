"""Bytes of a feed file as blocks of whole lines: decompressed, UTF-8 where possible, LF line ends."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from tcetl.errors import FeedError

BLOCK_SIZE: Final = 4 << 20
"""Bytes read at a time: large enough that the cost per block vanishes, small enough to stay in the cache's reach."""

HEAD_SIZE: Final = 256 << 10
"""Bytes looked at to tell what a file is."""

_LONGEST_LINE: Final = 16 << 20
_COMPRESSED: Final = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_BOMS: Final = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What is not a list of values, by its first bytes, and what to say about it.
_OTHER_FORMATS: Final = (
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
)


class Source:
    """A feed file that can be read from its start any number of times.

    Raises:
        FeedError: it is missing, a directory, unreadable or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                magic = stream.read(8)
        except FileNotFoundError:
            raise FeedError(f"feed file {path} does not exist", hint="check the path") from None
        except IsADirectoryError:
            raise FeedError(f"{path} is a directory, not a feed file", hint="name one file") from None
        except OSError as error:
            raise FeedError(f"feed file {path} cannot be read: {error.strerror}") from error
        if not magic:
            raise FeedError(f"feed file {path} is empty (0 bytes)", hint="was the download interrupted?")
        self._opener = next((opener for sign, opener in _COMPRESSED if magic.startswith(sign)), None)
        self.head = self._read_head()
        if not self.head.strip():
            raise FeedError(f"feed file {path} holds nothing but blanks", hint="was the download interrupted?")
        self._refuse_other_formats()

    def blocks(self, size: int = BLOCK_SIZE) -> Iterator[bytes]:
        """Yield the text in blocks of whole lines; only the last may lack its line end."""
        pending = b""
        for piece in self._pieces(size):
            pending += piece
            cut = pending.rfind(b"\n") + 1
            if cut:
                yield pending[:cut]
                pending = pending[cut:]
            elif len(pending) > _LONGEST_LINE:
                raise FeedError(
                    f"feed file {self.path} has a line of more than {_LONGEST_LINE >> 20} MiB",
                    hint="is it a list with one value or record per line?",
                )
        if pending:
            yield pending

    def _read_head(self) -> bytes:
        head = b""
        for piece in self._pieces(HEAD_SIZE):
            head += piece
            if len(head) >= HEAD_SIZE:
                return head[: head.rfind(b"\n", 0, HEAD_SIZE) + 1] or head
        return head

    def _pieces(self, size: int) -> Iterator[bytes]:
        """Decompress, take off the byte order mark, transcode UTF-16/32, and turn lone CR line ends into LF."""
        first = True
        decoder: codecs.IncrementalDecoder | None = None
        lone_cr = False
        try:
            with self._open() as stream:
                while piece := stream.read(size):
                    if first:
                        mark, encoding = next(((m, e) for m, e in _BOMS if piece.startswith(m)), (b"", None))
                        piece = piece[len(mark) :]
                        decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
                    if decoder:
                        piece = decoder.decode(piece).encode()
                    if first:
                        lone_cr = b"\r" in piece[:-1] and b"\n" not in piece  # the last may be half of a CRLF
                        first = False
                    yield piece.replace(b"\r", b"\n") if lone_cr else piece
        except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, OSError) as error:
            raise FeedError(
                f"feed file {self.path} is damaged or ends early: {error}", hint="fetch it again"
            ) from error

    def _open(self) -> BinaryIO:
        return cast(BinaryIO, self._opener(self.path) if self._opener else self.path.open("rb"))

    def _refuse_other_formats(self) -> None:
        start = self.head[:4096].lstrip()
        lowered = start.lower()
        if lowered.startswith((b"<!doctype html", b"<html")) or b"<html" in lowered or b"<body" in lowered:
            raise FeedError(
                f"feed file {self.path} is an HTML page, not a feed",
                hint="a login or error page was saved in its place? Fetch the feed's own address",
            )
        found = next((name for sign, name in _OTHER_FORMATS if start.startswith(sign)), None)
        if start.startswith((b"<?xml", b"<stix", b"<ioc")):
            found = "an XML document"
        elif start.startswith((b"{", b"[{", b"[\n", b"[ ")):
            found = "a JSON document"
        elif not found and b"\x00" in self.head:
            found = "binary data"
        if found:
            raise FeedError(f"feed file {self.path} is {found}", hint="readable formats: csv, text (plain or gzip)")
