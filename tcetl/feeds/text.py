"""Bytes as blocks of text: without byte order mark, UTF-8 where possible, LF line ends, whole lines."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

from tcetl.errors import FeedError

BLOCK_SIZE: Final = 4 << 20
"""Bytes read at a time: large enough that the cost per block vanishes, small enough to stay in the cache's reach."""

_UTF16_SAMPLE: Final = 400
_LONGEST_LINE: Final = 16 << 20
_BOMS: Final = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What is no text, by its first bytes, and what to say about it.
_FOREIGN: Final = (
    (b"PK\x03\x04", "an Office document"),
    (b"PAR1", "a Parquet file"),
)


def text_blocks(stream: BinaryIO, location: str, size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield the text of *stream* in blocks of whole lines; only the last may lack its line end.

    Raises:
        FeedError: a line is longer than any record could be.
    """
    pending = b""
    for piece in text_pieces(stream, size):
        pending += piece
        cut = pending.rfind(b"\n") + 1
        if cut:
            yield pending[:cut]
            pending = pending[cut:]
        elif len(pending) > _LONGEST_LINE:
            raise FeedError(
                f"feed file {location} has a line of more than {_LONGEST_LINE >> 20} MiB",
                hint="is it a list with one value or record per line?",
            )
    if pending:
        yield pending


def foreign(head: bytes) -> str | None:
    """Return what text that begins with *head* is instead of lines of values ("an HTML page"), if anything."""
    start = head[:4096].lstrip()
    lowered = start.lower()
    if lowered.startswith((b"<!doctype html", b"<html")) or b"<html" in lowered or b"<body" in lowered:
        return "an HTML page"
    if start.startswith((b"<?xml", b"<stix", b"<ioc")):
        return "an XML document"
    if start.startswith((b"{", b"[{", b"[\n", b"[ ", b'["')):
        return "a JSON document"
    found = next((name for sign, name in _FOREIGN if start.startswith(sign)), None)
    return found or ("binary data" if b"\x00" in head else None)


def unmarked_utf16(head: bytes) -> str | None:
    """Return the encoding of a text that is UTF-16 without a byte order mark, which shows in its many zero bytes."""
    first = head[:_UTF16_SAMPLE]
    for encoding, zeros, others in (("utf-16-le", first[1::2], first[::2]), ("utf-16-be", first[::2], first[1::2])):
        if len(zeros) > 1 and zeros.count(0) >= 0.9 * len(zeros) and others.count(0) == 0:
            return encoding
    return None


def text_pieces(stream: BinaryIO, size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield the text of *stream* in pieces cut anywhere, without byte order mark, UTF-16/32 and lone CR line ends."""
    first = True
    decoder: codecs.IncrementalDecoder | None = None
    lone_cr = False
    while piece := stream.read(size):
        if first:
            mark, encoding = next(((m, e) for m, e in _BOMS if piece.startswith(m)), (b"", unmarked_utf16(piece)))
            piece = piece[len(mark) :]
            decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
        if decoder:
            piece = decoder.decode(piece).encode()
        if first:
            lone_cr = b"\r" in piece[:-1] and b"\n" not in piece  # the last may be half of a CRLF
            first = False
        yield piece.replace(b"\r", b"\n") if lone_cr else piece
