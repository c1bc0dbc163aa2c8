"""JSON documents: a list of records anywhere in an envelope, or records under their ids."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tcetl.errors import FeedError
from tcetl.feeds import jsonstream
from tcetl.feeds.base import Malformed
from tcetl.feeds.format import Format
from tcetl.feeds.jsonshape import beginning, escaped, find_records, records_at
from tcetl.feeds.objects import Item, ObjectFeed, facts
from tcetl.feeds.source import Source

_KEY: Final = "key"
_ABOUT: Final = "matching_attributes"
_WARNINGLIST: Final = frozenset({"name", "description", "version", "type", "list", _ABOUT})
# A list of values may begin with a bracket as well: [Adblock Plus 2.0].
_BEGINS: Final = re.compile(rb'\s*(?:\{\s*["}]|\[\s*(?:[\[{"\]]|-?[0-9]|true|false|null))')


class JsonFeed(ObjectFeed):
    """A feed of the records in a JSON document.

    Args:
        source: The file.
        name: The feed's name.
        records: JSON pointer to what holds the records, such as ``/data/items``: a list of them, or an object that has
            them (or lists of them) under their ids, which become the column ``key``. The empty pointer is the document
            itself. Where it is not named, the one list of objects in the document is taken.
        explode: See `ObjectFeed`.
    """

    format = "json"

    def __init__(self, source: Source, name: str, *, records: str | None = None, explode: str | None = None) -> None:
        super().__init__(source, name, explode=explode)
        document = beginning(source)
        if document is None:
            raise FeedError(
                f"feed file {source.location} is no JSON document", hint="is it cut off, or another format?"
            )
        self._envelope = facts(document) if isinstance(document, dict) else ()
        if records is None:
            _refuse_warninglist(source, document)
            self._where = find_records(document, source.location)
        else:
            self._where = records_at(source, document, records)

    def _items(self) -> Iterator[Item | Malformed]:
        if self._where.kind != "single":
            self._comments.add(self._envelope)
        path, pointer = self._where.path, self._where.pointer
        match self._where.kind:
            case "list":
                members = jsonstream.items(self._source, f"{path}.item".lstrip("."))
                for at, value in enumerate(members):
                    yield Item(at + 1, f"{pointer}/{at}", value)
            case "object":
                yield from self._keyed()
            case _:
                for value in jsonstream.items(self._source, path):
                    yield Item(1, pointer, value)

    def _keyed(self) -> Iterator[Item]:
        row = 0
        for key, value in jsonstream.members(self._source, self._where.path):
            pointer = f"{self._where.pointer}/{escaped(key)}"
            several = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for at, one in several:
                row += 1
                record = {_KEY: key} | one if isinstance(one, dict) else one
                yield Item(row, pointer if at is None else f"{pointer}/{at}", record)


def _refuse_warninglist(source: Source, document: Any) -> None:
    """Raise FeedError for a warninglist of MISP, which lists what is no threat; a long one hides what comes last."""
    if not isinstance(document, dict) or not {"list"} <= document.keys() <= _WARNINGLIST:
        return
    if any(at == _ABOUT and event == "start_array" for at, event, _ in jsonstream.events(source)):
        raise FeedError(
            f"feed file {source.location} is a warninglist of MISP: what is on it is known to be no threat",
            hint="hold feeds against it (--allow-list); --option records=/list reads it all the same",
        )


def _recognise(source: Source) -> bool:
    return _BEGINS.match(source.text) is not None and beginning(source) is not None


FORMAT: Final = Format(
    "json", "a JSON document with a list of records, or with records under their ids", JsonFeed, _recognise
)
