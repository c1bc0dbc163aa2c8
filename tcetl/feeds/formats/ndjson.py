"""Newline-delimited JSON: one record per line."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from tcetl.feeds.base import Malformed
from tcetl.feeds.format import Format
from tcetl.feeds.objects import Item, ObjectFeed
from tcetl.feeds.source import Source


class NdjsonFeed(ObjectFeed):
    """A feed with one JSON object per line; a line that is none costs that line only.

    Args:
        source: The file.
        name: The feed's name.
        explode: See `ObjectFeed`.
    """

    format = "ndjson"

    def __init__(self, source: Source, name: str, *, explode: str | None = None) -> None:
        super().__init__(source, name, explode=explode)
        self._decoder = self._source.decoder()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return self._decoder.notes()

    def _items(self) -> Iterator[Item | Malformed]:
        self._decoder = self._source.decoder()
        number = 0
        for block in self._source.blocks():
            for line in self._decoder.lines(block):
                number += 1
                if not line.strip():
                    continue
                try:
                    yield Item(number, "", msgspec.json.decode(line))
                except (ValueError, RecursionError) as error:
                    reason = f"it is no JSON: {error}"
                    yield Malformed(number, line, "bad-json", reason, "one JSON object per line, without line breaks")


def _recognise(source: Source) -> bool:
    lines = [line for line in source.text.split(b"\n", 20) if line.strip()][:2]
    try:
        return (
            len(lines) == 2 and lines[1].lstrip().startswith(b"{") and isinstance(msgspec.json.decode(lines[0]), dict)
        )
    except (ValueError, RecursionError):
        return False


FORMAT: Final = Format("ndjson", "newline-delimited JSON: one object per line", NdjsonFeed, _recognise)
