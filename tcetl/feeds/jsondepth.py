"""How deep a JSON document is nested, found out before it is parsed: parsers spend memory or stack on every level."""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from tcetl.errors import FeedError

_DEEPEST: Final = 500
_STEPS: Final = {byte: step for step, bytes_ in ((1, b"[{"), (-1, b"]}")) for byte in bytes_}
_NO_BRACKET: Final = re.compile(rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_END_OF_TEXT: Final = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)


def shallow(pieces: Iterable[bytes], location: str) -> Iterator[bytes]:
    """Yield the *pieces* of a JSON document, cut anywhere, as long as they are not nested beyond all measure.

    Raises:
        FeedError: they are; *location* names the document.
    """
    depth = 0
    in_text = escaped = False
    for piece in pieces:
        rest = piece[1:] if escaped else piece
        escaped = False
        if in_text and (end := _END_OF_TEXT.match(rest)):
            rest, in_text = rest[end.end() :], False
        if not in_text:
            brackets, quote, _ = _NO_BRACKET.sub(b"", rest).partition(b'"')  # a quote left begins a text that goes on
            depths = list(accumulate((_STEPS[byte] for byte in brackets), initial=depth))
            if max(depths) > _DEEPEST:
                raise FeedError(
                    f"feed file {location} is nested more than {_DEEPEST} levels deep", hint="no feed needs as many"
                )
            depth, in_text = depths[-1], bool(quote)
        if in_text:
            escaped = (len(rest) - len(rest.rstrip(b"\\"))) % 2 == 1
        yield piece
