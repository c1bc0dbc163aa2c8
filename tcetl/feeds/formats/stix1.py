"""STIX 1: packages in XML documents."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tcetl.errors import FeedError
from tcetl.feeds import xmlstream
from tcetl.feeds.base import RawBatch
from tcetl.feeds.format import Format
from tcetl.feeds.source import Source
from tcetl.feeds.standards.finding import COLUMNS, Placed, to_batches
from tcetl.feeds.standards.stix1 import PARTS, Stix1Reader

_ROOT: Final = re.compile(r"\{http://(?:stix|cybox)\.mitre\.org/\S*\}(?:STIX_Package|Observables)")


class Stix1Feed:
    """A feed of a STIX 1 package; a record is a value that an observable names, its pointer the object's id.

    Args:
        source: The file.
        name: The feed's name.
        expired: Take observables of indicators whose last valid time is past.
    """

    format = "stix1"
    columns: Sequence[str] = COLUMNS
    comments: Sequence[str] = ()

    def __init__(self, source: Source, name: str, *, expired: bool = False) -> None:
        if not _recognise(source):
            raise FeedError(f"feed file {source.location} is no STIX 1 package", hint="its root is not STIX_Package")
        self.name = name
        self.file = source.location
        self._source = source
        self._expired = expired
        self._reader = Stix1Reader()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return self._reader.notes()

    def batches(self) -> Iterator[RawBatch]:
        """Yield the findings; the document is read twice, since an indicator may name what stands anywhere."""
        self._reader = Stix1Reader(expired=self._expired)
        for part in xmlstream.elements(self._source, *PARTS):
            self._reader.learn(part)
        yield from to_batches(self._placed(), name=self.name, file=self.file)

    def _placed(self) -> Iterator[Placed]:
        for part in xmlstream.elements(self._source, *PARTS):
            yield from self._reader.findings(part)


def _recognise(source: Source) -> bool:
    return bool(_ROOT.fullmatch(xmlstream.root(source) or ""))


FORMAT: Final = Format("stix1", "STIX 1.x packages (XML)", Stix1Feed, _recognise)
