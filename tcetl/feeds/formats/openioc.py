"""OpenIOC: one definition in an XML document."""

from collections.abc import Iterator, Sequence
from typing import Final

from tcetl.errors import FeedError
from tcetl.feeds import xmlstream
from tcetl.feeds.base import RawBatch
from tcetl.feeds.format import Format
from tcetl.feeds.source import Source
from tcetl.feeds.standards.finding import COLUMNS, to_batches
from tcetl.feeds.standards.openioc import findings

_ROOTS: Final = frozenset(
    {"{http://schemas.mandiant.com/2010/ioc}ioc", "{http://openioc.org/schemas/OpenIOC_1.1}OpenIOC", "ioc", "OpenIOC"}
)


class OpenIocFeed:
    """A feed of one OpenIOC definition; a record is an item with a value, its row the line, its pointer the id."""

    format = "openioc"
    columns: Sequence[str] = COLUMNS
    comments: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __init__(self, source: Source, name: str) -> None:
        if not _recognise(source):
            raise FeedError(f"feed file {source.location} is no OpenIOC definition", hint="its root is not <ioc>")
        self.name = name
        self.file = source.location
        self._source = source

    def batches(self) -> Iterator[RawBatch]:
        """Yield the findings."""
        found = (placed for ioc in xmlstream.elements(self._source, "ioc", "OpenIOC") for placed in findings(ioc))
        yield from to_batches(found, name=self.name, file=self.file)


def _recognise(source: Source) -> bool:
    return xmlstream.root(source) in _ROOTS


FORMAT: Final = Format("openioc", "OpenIOC 1.0 and 1.1", OpenIocFeed, _recognise)
