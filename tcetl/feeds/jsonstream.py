"""JSON documents of any size, object by object, in bounded memory."""

from collections.abc import Callable, Iterator
from typing import Any

import ijson

from tcetl.errors import FeedError
from tcetl.feeds.jsondepth import shallow
from tcetl.feeds.source import Source


def items(source: Source, path: str) -> Iterator[Any]:
    """Yield what stands at *path* of the JSON document in *source*: ``objects.item`` is each member of ``objects``.

    Raises:
        FeedError: the document is damaged or ends early.
    """
    return _pushed(source, lambda found: ijson.items_coro(found, path, use_float=True))


def members(source: Source, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the key and value of each member of the object at *path* of the JSON document in *source*.

    Raises:
        FeedError: the document is damaged or ends early.
    """
    return _pushed(source, lambda found: ijson.kvitems_coro(found, path, use_float=True))


def events(source: Source) -> Iterator[tuple[str, str, Any]]:
    """Yield path, kind and value of every event in the JSON document in *source*.

    Raises:
        FeedError: the document is damaged or ends early.
    """
    return _pushed(source, lambda found: ijson.parse_coro(found, use_float=True))


def _pushed(source: Source, parser_into: Callable[[Any], Any]) -> Iterator[Any]:
    """Push the text of *source* through a parser and yield what it finds."""
    found = ijson.sendable_list()
    parser = parser_into(found)
    try:
        for piece in shallow(source.pieces(), source.location):
            parser.send(piece)
            yield from found
            found.clear()
        parser.close()
    except (ijson.JSONError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise FeedError(
            f"feed file {source.location} is damaged or no whole JSON document: {reason}", hint="fetch it again"
        ) from None
    yield from found


def find(source: Source, wanted: Callable[[str, str], bool]) -> str | None:
    """Return the path of the first value in the head of *source* that is *wanted*, by its path and kind of event.

    The kinds are those of ijson: ``start_map``, ``start_array``, ``string`` and so on.
    """
    found = ijson.sendable_list()
    parser = ijson.parse_coro(found, use_float=True)
    try:
        for piece in shallow([source.text], source.location):
            parser.send(piece)
        parser.close()
    except (FeedError, ijson.JSONError, ValueError):
        pass  # it is cut anywhere, or will be refused when it is read
    return next((path for path, event, _ in found if wanted(path, event)), None)
