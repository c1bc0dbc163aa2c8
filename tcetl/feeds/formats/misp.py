"""MISP: events, lists and exports of events, and feed folders."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tcetl.errors import FeedError
from tcetl.feeds import jsonstream
from tcetl.feeds.base import RawBatch
from tcetl.feeds.format import Format
from tcetl.feeds.source import Folder, MissingError, Source
from tcetl.feeds.standards.finding import COLUMNS, Placed, to_batches
from tcetl.feeds.standards.grouping import Grouped, Groups
from tcetl.feeds.standards.misp_event import MispReader
from tcetl.feeds.standards.misp_groups import collect
from tcetl.feeds.standards.misp_record import MispOptions

MANIFEST: Final = "manifest.json"
"""The file of a feed folder that lists its events."""

_EVENT: Final = frozenset({"Event", "item.Event", "response.Event", "response.item.Event"})
_ATTRIBUTES: Final = frozenset({"Attribute", "response.Attribute"})
_MARK: Final = re.compile(rb'"(?:Event|Attribute)"\s*:')
_UUID: Final = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_INDEX: Final = re.compile(rf"(?:[0-9a-f]{{32}},{_UUID}\r?\n)+".encode())


class MispFeed:
    """A feed of MISP events; a record is a value of an attribute, its pointer the attribute's UUID.

    Args:
        source: A file of events or of attributes (as ``restSearch`` answers), or a feed folder.
        name: The feed's name.
        to_ids: Take only attributes that are marked as fit for detection.
    """

    format = "misp"
    columns: Sequence[str] = COLUMNS
    comments: Sequence[str] = ()

    def __init__(self, source: Source | Folder, name: str, *, to_ids: bool = True) -> None:
        self.name = name
        self.file = source.location
        self._source = source
        self._options = MispOptions(to_ids=to_ids)
        self._reader = MispReader(self._options)
        self._missing: set[str] = set()
        self._listed = {} if isinstance(source, Source) else _listed(source)
        self._left_out: set[str] = set()
        self._read: set[str] = set()
        if isinstance(source, Source):
            _path(source)

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        gone, kept = len(self._missing), len(self._left_out)
        listed = f"of {len(self._listed):,} events that {MANIFEST} lists"
        return [
            *([f"{kept:,} {listed} are as they were, and were not read again"] if kept else []),
            *([f"{gone:,} {listed} are not there"] if gone else []),
            *self._reader.notes(),
        ]

    @property
    def versions(self) -> Mapping[str, str]:
        """The time stamp of each event of a folder that was left out, or read so far, as the manifest has it."""
        return {one: stamp for one, stamp in self._listed.items() if stamp and one in self._left_out | self._read}

    def leave_out(self, known: Mapping[str, str]) -> bool:
        """Read only the events of a folder whose time stamps are not those in *known*; tell whether there are any."""
        self._left_out = {one for one, stamp in self._listed.items() if stamp and known.get(one) == stamp}
        return isinstance(self._source, Source) or len(self._left_out) < len(self._listed)

    def batches(self) -> Iterator[RawBatch]:
        """Yield the findings of one event after the other."""
        self._reader = MispReader(self._options)
        self._missing, self._read = set(), set()
        folder = not isinstance(self._source, Source)
        yield from to_batches(self._placed(), name=self.name, file=self.file, several_files=folder)

    def groups(self) -> Grouped:
        """Return the events as groups, and the rules and vulnerabilities among their attributes, with their members."""
        groups = Groups(self.name, self.file)
        for file in self._files():
            for event in _events(file):
                collect(event, groups, self._options)
        return groups.grouped()

    def _placed(self) -> Iterator[Placed]:
        for file in self._files():
            row = 0
            for event in _events(file):
                for item, pointer in self._reader.findings(event):
                    row += 1
                    yield Placed(item, row, pointer or None, file.location)

    def _files(self) -> Iterator[Source]:
        if isinstance(self._source, Source):
            yield self._source
            return
        for event in self._listed:
            if event in self._left_out:
                continue
            try:
                file = self._source.file(f"{event}.json")
            except MissingError:
                self._missing.add(event)
            else:
                yield file
                self._read.add(event)


def _events(source: Source) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a file; an attribute that stands alone is one, with what it says of its own event."""
    path = _path(source)
    for one in jsonstream.items(source, path):
        if path in _EVENT and isinstance(one, Mapping):
            yield one
        elif isinstance(one, Mapping):
            of_event = one.get("Event")
            yield {**(of_event if isinstance(of_event, Mapping) else {}), "Attribute": [one]}


def _listed(folder: Folder) -> dict[str, str]:
    """Return the events that the manifest lists, sorted, each with its time stamp, if it has one."""
    if MANIFEST not in folder.names():
        raise FeedError(f"{folder.location} is no MISP feed", hint=f"it has no {MANIFEST}")
    manifest = next(jsonstream.items(folder.file(MANIFEST), ""), None)
    listed = manifest if isinstance(manifest, dict) else {}
    events = {key: one for key, one in listed.items() if re.fullmatch(_UUID, key)}
    if not events:
        raise FeedError(f"{MANIFEST} of {folder.location} lists no event", hint="is the feed empty today?")
    return {key: str(one.get("timestamp", "")) if isinstance(one, dict) else "" for key, one in sorted(events.items())}


def _path(source: Source) -> str:
    """Return the path of the file's events, or of its attributes."""
    if _INDEX.match(source.text):
        raise FeedError(
            f"feed file {source.location} is the index of a MISP feed: its hashes are of values, not of files",
            hint=f"name the folder that has {MANIFEST}",
        )
    event = jsonstream.find(source, lambda path, event: event == "start_map" and path in _EVENT)
    attributes = jsonstream.find(source, lambda path, event: event == "start_array" and path in _ATTRIBUTES)
    if event is None and attributes is None:
        raise FeedError(f"feed file {source.location} holds no MISP event", hint="it has no 'Event'")
    return event or f"{attributes}.item"


def _recognise(source: Source) -> bool:
    if _INDEX.match(source.text):
        return True
    return (
        bool(_MARK.search(source.text))
        and jsonstream.find(
            source,
            lambda path, event: (
                (event == "start_map" and path in _EVENT) or (event == "start_array" and path in _ATTRIBUTES)
            ),
        )
        is not None
    )


FORMAT: Final = Format(
    "misp",
    "MISP: events, exports of events or attributes, feed folders",
    MispFeed,
    _recognise,
    lambda folder: MANIFEST in folder.names(),
)
