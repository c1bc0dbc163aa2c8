"""Cutting a report's byte stream into blocks of whole items.

A block should end at the last item boundary in the buffer, found without reading the buffer from its start: that would
cost more than all the rest. So the boundary is guessed near the buffer's end, and the guess is proved by the parser: a
block that ends inside an item is unbalanced and cannot be JSON. A block that fails is given back, and from then on
boundaries are found by counting brackets from the list's start: slower, and always right.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import msgspec

from tcetl.errors import NOT_JSON, DamagedDocumentError

LIST: Final = b"indicator"
PREFIX: Final = b'{"' + LIST + b'":['
SUFFIX: Final = b"]}"

ENVELOPE_LIMIT: Final = 1 << 20
"""Most bytes before the list and after it; a report has a few."""

ITEM_LIMIT: Final = 256 << 20
"""Most bytes of one item: a document that never comes to an end of one is not read into memory."""

_TAIL: Final = 64 << 10
"""How far from its end a buffer is searched for a boundary."""

_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN: Final = re.compile(_STRING + rb'|[{}\[\]:"]', re.DOTALL)
_BRACKET: Final = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+([{}\[\]])", re.DOTALL)
_BETWEEN: Final = re.compile(rb'(?:[^"{}\[\],]++|' + _STRING + rb")*+([{}\[\],])", re.DOTALL)
# Inside a string every quote is escaped, and after a string's closing quote comes no key: so where this matches, the
# quote opens a key and the braces are structure. Whether they belong to items or to something inside one is open.
_BOUNDARY: Final = re.compile(rb'\}\s*(,)\s*(?=\{\s*"[^"\\,:\]}\s])')
_CONTENT: Final = re.compile(rb"\S")
_PLACES: Final = ([b'"indicator"'], [b'"data"', b'"indicator"'])
_BYTE: Final = re.compile(r"\(byte (\d+)\)")


class SupportsReadInto(Protocol):
    """A binary stream, such as a raw or buffered file."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill *buffer* as far as there is data; 0 at the end."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some items of the list.

    Attributes:
        document: A JSON document with nothing but these items under :data:`LIST`.
        offset: Byte of the report at which the first of them (or the white space before it) stands.
        certain: False while the end is a guess.
    """

    document: bytes
    offset: int
    certain: bool

    @property
    def items(self) -> bytes:
        """The items as they stand in the report, with commas between them."""
        return self.document[len(PREFIX) : -len(SUFFIX)]


class NotJsonError(ValueError):
    """Something is not JSON from byte ``position`` of it on."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON at byte {position:,}")
        self.position = position

    @classmethod
    def of(cls, error: Exception, length: int) -> Self:
        """The same as the decoder's *error* about a document of *length* bytes."""
        found = _BYTE.search(str(error))
        return cls(int(found[1]) if found else length)


def split(items: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each of *items*, which have commas between them, and where it begins; by counting brackets.

    Raises:
        NotJsonError: There is a bracket too many.
    """
    begin = position = depth = 0
    while match := (_BRACKET if depth else _BETWEEN).match(items, position):
        position = match.end()
        if match[1] == b",":
            yield begin, items[begin : match.start(1)]
            begin = position
        else:
            depth += 1 if match[1] in b"{[" else -1
            if depth < 0:
                raise NotJsonError(match.start(1))
    yield begin, items[begin:]


class Cutter:
    """Reads a report and cuts it into blocks.

    Attributes:
        bytes: Read so far.
        pointer: JSON pointer of the list; known once a block has been cut.
    """

    def __init__(
        self, read: Callable[[memoryview], int | None], *, block_size: int, expected_bytes: int | None = None
    ) -> None:
        """Cut what *read* fills buffers with into blocks of about *block_size* bytes; an item is never cut.

        With *expected_bytes* the report must have that length.
        """
        self._read = read
        self._block_size = block_size
        self._expected = expected_bytes
        self.bytes = 0
        self.pointer = ""
        self._buffer = bytearray(block_size)
        self._end = 0  # of what the buffer holds: it keeps its size, for fresh memory costs more than the reading
        self._offset = 0  # of the buffer's first byte in the report
        self._begin = 0  # of the list's content in the report
        self._ended = False  # the stream
        self._closed = False  # the list: the buffer begins with its closing bracket
        self._exact = False
        self._head = b""  # what stands before the list, and the brackets that close it again
        self._closers = b""

    def next_block(self) -> Block | None:
        """The next block; None after the last one, when the report has been found whole.

        Raises:
            DamagedDocumentError: The report broke off, or is not a list of indicators.
        """
        if not self.pointer:
            self._find_list()
        if self._closed:
            self._check_rest()
            return None
        end, certain = self._next_end()
        return self._take(end, certain) or self.next_block()

    def give_back(self, blocks: Sequence[Block]) -> None:
        """Take *blocks*, the last ones that were cut, back: the end of the first was guessed wrong."""
        comma = b"" if self._closed else b","
        back = b",".join(block.items for block in blocks) + comma
        self._buffer[:0] = back
        self._end += len(back)
        self._offset = blocks[0].offset
        self._closed = False
        self._exact = True

    def _next_end(self) -> tuple[int, bool]:
        """Where in the buffer the next block ends, and whether that is certain."""
        wanted = self._block_size
        while True:
            self._fill(wanted)
            guess = None if self._exact or self._ended else self._guess()
            if guess is not None:
                return guess, False
            if (end := self._count()) is not None:
                return end, True
            if self._ended:
                raise self._damaged("it ends inside an item", self._end)
            if self._end >= ITEM_LIMIT:
                raise self._damaged(f"an item has more than {ITEM_LIMIT:,} bytes", self._end)
            wanted = 2 * self._end

    def _take(self, end: int, certain: bool) -> Block | None:
        """Take the block up to *end* out of the buffer; None for an empty list."""
        if not _CONTENT.search(self._buffer, 0, end):
            if not self._closed or self._offset != self._begin:
                raise self._damaged("there is a comma without an item", end)
            self._drop(end)
            return None
        block = Block(b"".join((PREFIX, memoryview(self._buffer)[:end], SUFFIX)), self._offset, certain)
        self._drop(end if self._closed else end + 1)
        return block

    def _fill(self, wanted: int) -> None:
        """Read until the buffer holds *wanted* bytes or the stream ends."""
        self._buffer.extend(bytes(max(wanted - len(self._buffer), 0)))
        with memoryview(self._buffer) as view:
            while self._end < wanted and not self._ended:
                count = self._read(view[self._end : wanted]) or 0
                self._ended = not count
                self._end += count
                self.bytes += count
        if self._expected is not None and (
            self.bytes > self._expected or (self._ended and self.bytes < self._expected)
        ):
            raise DamagedDocumentError(
                f"the bulk report has {'more than ' if self.bytes > self._expected else 'only '}"
                f"{min(self.bytes, self._expected):,} bytes, but {self._expected:,} were announced",
                offset=min(self.bytes, self._expected),
                hint="run again; nothing of it was published",
            )

    def _drop(self, count: int) -> None:
        self._buffer[: self._end - count] = self._buffer[count : self._end]
        self._end -= count
        self._offset += count

    def _find_list(self) -> None:
        """Drop everything up to and with the list's opening bracket."""
        wanted = self._block_size
        self._fill(wanted)
        while (found := self._list_start()) is None:
            if self._ended or self._end >= ENVELOPE_LIMIT:
                self._decode(self._buffer[: self._end], "it is not JSON")
                raise self._damaged("it has no list of indicators", self._end)
            wanted *= 2
            self._fill(wanted)
        end, keys, closers = found
        self._head = bytes(self._buffer[:end])
        self._decode(self._head + b"]" + closers, "it is not JSON")
        self.pointer = "".join(f"/{msgspec.json.decode(key)}" for key in keys)
        self._drop(end)
        self._begin = end

    def _list_start(self) -> tuple[int, list[bytes], bytes] | None:
        """Where the list's content begins, the keys that lead there, and the brackets that close what is open."""
        keys: list[bytes] = []  # the present key of each open object; an empty one for an open list
        closers: list[bytes] = []
        text = b""
        for token in _TOKEN.finditer(self._buffer, 0, self._end):
            match token[0]:
                case b"[" if keys in _PLACES:
                    return token.end(), keys, b"".join(reversed(closers))
                case b"{":
                    keys.append(b"")
                    closers.append(b"}")
                case b"[":
                    keys.append(b"")
                    closers.append(b"]")
                case b"}" | b"]":
                    del keys[-1:]
                    del closers[-1:]
                case b":":
                    keys[-1:] = [text]
                case b'"':
                    return None  # a string that has not ended yet
                case string:
                    text = string
        return None

    def _check_rest(self) -> None:
        """Read what follows the list, and make sure that the document without its items is one."""
        while not self._ended:
            if self._end >= ENVELOPE_LIMIT:
                raise self._damaged("something else follows the list of indicators", 1)
            self._fill(self._end + self._block_size)
        found = self._decode(self._head + self._buffer[: self._end], "it does not end as it should", len(self._head))
        for key in self.pointer.split("/")[1:]:
            found = found[key]
        if found:
            raise self._damaged("it has a second list of indicators", 1)

    def _decode(self, document: bytes | bytearray, what: str, before: int = 0) -> Any:
        """Decode *document*, which has *before* bytes ahead of the buffer's; *what* names what is wrong if it is."""
        try:
            return msgspec.json.decode(document)
        except NOT_JSON as error:
            raise self._damaged(what, max(NotJsonError.of(error, len(document)).position - before, 0)) from None

    def _guess(self) -> int | None:
        """Where the comma after the last item probably is, so that a whole record stands behind it."""
        begin = max(self._end - _TAIL, 0)
        for match in reversed(list(_BOUNDARY.finditer(self._buffer, begin, self._end))):
            end = self._end_of(match.end())
            if end is not None and _is_record(self._buffer[match.end() : end]):
                return match.start(1)
        return None

    def _end_of(self, start: int) -> int | None:
        """Where the object that begins at *start* ends; None when that is not in the buffer."""
        depth = 0
        while match := _BRACKET.match(self._buffer, start, self._end):
            start = match.end()
            depth += 1 if match[1] in b"{[" else -1
            if depth == 0:
                return start
        return None

    def _count(self) -> int | None:
        """Where the comma after the buffer's last whole item is, or the list's end; None when there is neither."""
        position = depth = 0
        end = None
        while match := (_BRACKET if depth else _BETWEEN).match(self._buffer, position, self._end):
            position = match.end()
            match match[1]:
                case b",":
                    end = match.start(1)
                case b"{" | b"[":
                    depth += 1
                case b"}" if depth == 0:
                    raise self._damaged("there is a '}' between two items", match.start(1))
                case b"]" if depth == 0:
                    self._closed = True
                    return match.start(1)
                case _:
                    depth -= 1
        return end

    def _damaged(self, what: str, position: int) -> DamagedDocumentError:
        """The error for a report that is wrong at *position* of the buffer."""
        offset = self._offset + position
        return DamagedDocumentError(
            f"the bulk report is damaged at byte {offset:,}: {what}",
            offset=offset,
            hint="run again; nothing of it was published",
        )


def _is_record(text: bytearray) -> bool:
    """True for an object that looks like an item of the list rather than like something inside one."""
    try:
        return "summary" in msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except NOT_JSON:
        return False
