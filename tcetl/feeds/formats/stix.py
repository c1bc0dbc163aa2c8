"""STIX 2.0 and 2.1: bundles, lists of bundles or of objects, and what TAXII servers answer."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tcetl.errors import FeedError
from tcetl.feeds import jsonstream
from tcetl.feeds.base import RawBatch
from tcetl.feeds.format import Format
from tcetl.feeds.source import Source
from tcetl.feeds.standards.finding import COLUMNS, Placed, Refusal, to_batches
from tcetl.feeds.standards.grouping import Grouped, Groups
from tcetl.feeds.standards.stix_groups import collect
from tcetl.feeds.standards.stix_objects import StixOptions, StixReader

_OBJECT: Final = re.compile(rb'"id"\s*:\s*"[a-z][a-z0-9-]+--[0-9a-fA-F-]{36}"')


class StixFeed:
    """A feed of STIX objects; a record is a value that an indicator or observable names, its pointer the object's id.

    Args:
        source: The file.
        name: The feed's name.
        expired: Take indicators whose ``valid_until`` is past.
        observables: Take plain cyber-observable objects too.
    """

    format = "stix"
    columns: Sequence[str] = COLUMNS
    comments: Sequence[str] = ()

    def __init__(self, source: Source, name: str, *, expired: bool = False, observables: bool = True) -> None:
        path = _objects(source)
        if path is None:
            raise FeedError(f"feed file {source.location} is no STIX bundle", hint="it has no list called 'objects'")
        self.name = name
        self.file = source.location
        self._source = source
        self._path = path
        self._options = StixOptions(expired=expired, observables=observables)
        self._reader = StixReader(self._options)

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return self._reader.notes()

    def batches(self) -> Iterator[RawBatch]:
        """Yield the findings; all objects are read twice, since an object may refer to one that stands after it."""
        self._reader = self._informed()
        yield from to_batches(self._placed(), name=self.name, file=self.file)

    def groups(self) -> Grouped:
        """Return the reports, malware and so on as groups, and what belongs to them."""
        reader, groups = self._informed(), Groups(self.name, self.file)
        for one in self._all():
            collect(one, reader, groups)
        return groups.grouped()

    def _informed(self) -> StixReader:
        """Return a reader that has learnt from all objects."""
        reader = StixReader(self._options)
        for one in self._all():
            reader.learn(one)
        if reader.has_versions:
            for one in self._all():
                reader.learn_version(one)
        return reader

    def _all(self) -> Iterator[dict[str, Any]]:
        return (one for one in jsonstream.items(self._source, self._path) if isinstance(one, dict))

    def _placed(self) -> Iterator[Placed]:
        row = 0
        for one in jsonstream.items(self._source, self._path):
            if not isinstance(one, dict):
                row += 1
                yield Placed(Refusal(str(one), "bad-object", "it is no JSON object", severity="error"), row, None)
                continue
            for item, pointer in self._reader.findings(one):
                row += 1
                yield Placed(item, row, pointer)


def _objects(source: Source) -> str | None:
    """Return the path of the feed's objects."""
    found = jsonstream.find(source, lambda path, event: event == "start_array" and path in ("objects", "item.objects"))
    if found is not None:
        return f"{found}.item"
    return "item" if source.text.lstrip().startswith(b"[") and _OBJECT.search(source.text) else None


def _recognise(source: Source) -> bool:
    return bool(_OBJECT.search(source.text)) and _objects(source) is not None


FORMAT: Final = Format("stix", "STIX 2.0 and 2.1: bundles, TAXII envelopes", StixFeed, _recognise)
