"""Where in a JSON document the records are: in the one list of objects, or under their ids in an object."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import ijson

from tcetl.errors import FeedError
from tcetl.feeds import jsonstream
from tcetl.feeds.jsondepth import shallow
from tcetl.feeds.source import Source

_DEEPEST: Final = 5  # envelopes within envelopes
_WORD: Final = re.compile(r"(?![0-9A-Fa-f]{16,}$)[A-Za-z_$@][A-Za-z0-9_$@ ]*")  # a field's name rather than an id


class Records(NamedTuple):
    """Where records are: the JSON ``pointer`` of what holds them, the same ``path`` for ijson, and its ``kind``.

    A ``list`` holds records, an ``object`` has them (or lists of them) under their ids, a ``single`` one is a record.
    """

    pointer: str
    path: str
    kind: str


class Builder:
    """Builds as much of a JSON document as its beginning shows; what is cut off is closed where it is cut."""

    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[Any] = []
        self._keys: list[str] = []

    def add(self, event: str, value: Any) -> None:
        """Take the next event of `ijson.basic_parse`."""
        match event:
            case "map_key":
                self._keys[-1] = value
            case "start_map" | "start_array":
                made: Any = {} if event == "start_map" else []
                self._put(made)
                self._open.append(made)
                self._keys.append("")
            case "end_map" | "end_array":
                self._open.pop()
                self._keys.pop()
            case _:
                self._put(value)

    def _put(self, value: Any) -> None:
        if not self._open:
            self.root = value
        elif isinstance(self._open[-1], dict):
            self._open[-1][self._keys[-1]] = value
        else:
            self._open[-1].append(value)


def beginning(source: Source) -> Any:
    """Return the JSON object or list that *source* begins, as far as its head shows it; None where it is none.

    Raises:
        FeedError: it is nested beyond all measure.
    """
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    text = b"".join(shallow([source.text], source.location))
    try:
        parser.send(text)
        parser.close()
    except (ijson.JSONError, ValueError):
        pass  # it is cut anywhere, or damaged there
    builder = Builder()
    for event, value in events:
        builder.add(event, value)
    return builder.root if isinstance(builder.root, dict | list) else None


def find_records(document: Any, location: str) -> Records:
    """Return where the records of the *document* (or its beginning) are.

    Raises:
        FeedError: there is nothing like a record, or several lists could be meant; the message names them.
    """
    found = sorted(_candidates(document, "", "", 0), key=lambda one: one[0])
    best = [one for one in found if one[0] == found[0][0]]
    if len(best) == 1:
        return best[0][1]
    if not found and isinstance(document, dict) and document and not any(one in ([], {}) for one in document.values()):
        return Records("", "", "single")
    if not found:
        raise FeedError(f"feed file {location} holds no records", hint="is the feed empty today?")
    listed = ", ".join(f"'{one.pointer}' ({count} or more)" for _, one, count in best[:10])
    raise FeedError(
        f"feed file {location} has several lists that may be its records: {listed}",
        hint=f"name one: --option records={best[0][1].pointer}",
    )


def records_at(source: Source, document: Any, pointer: str) -> Records:
    """Return the records at a JSON *pointer* of the document in *source*, whose beginning is *document*.

    Raises:
        FeedError: there is nothing at *pointer*, or the document is damaged.
    """
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    path = ".".join(steps)
    node = document
    for step in steps:
        node = node.get(step) if isinstance(node, dict) else None
    if node is None:  # further down than the beginning shows
        kinds: dict[str, Any] = {"start_array": [], "start_map": {}}
        node = next((kinds[event] for at, event, _ in jsonstream.events(source) if at == path and event in kinds), None)
    if not isinstance(node, dict | list):
        hint = "a JSON pointer looks like /data/items"
        raise FeedError(f"feed file {source.location} has nothing at '{pointer}' that holds records", hint=hint)
    keyed = isinstance(node, dict) and (not node or _is_keyed(node, surely=False))
    return Records(pointer, path, "list" if isinstance(node, list) else "object" if keyed else "single")


def escaped(key: str) -> str:
    """Return *key* as a step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _candidates(node: Any, pointer: str, path: str, depth: int) -> Iterator[tuple[int, Records, int]]:
    """Yield what may hold records with its rank: lists of objects, then objects by id, then lists of texts."""
    if isinstance(node, list):
        if any(isinstance(one, dict) for one in node):
            yield 0, Records(pointer, path, "list"), len(node)
        elif any(isinstance(one, str) for one in node):
            yield 2, Records(pointer, path, "list"), len(node)
    elif isinstance(node, dict) and depth < _DEEPEST:
        if _is_keyed(node, surely=True):
            yield 1, Records(pointer, path, "object"), len(node)
            return
        for key, value in node.items():
            yield from _candidates(value, f"{pointer}/{escaped(key)}", f"{path}.{key}".lstrip("."), depth + 1)


def _is_keyed(node: dict[str, Any], *, surely: bool) -> bool:
    """Tell whether the members of an object are records under their ids, not the fields of one thing."""
    values = list(node.values())
    objects = all(isinstance(one, dict) for one in values)
    lists = all(isinstance(one, list) and all(isinstance(item, dict) for item in one) for one in values)
    if not values or not (objects or lists):
        return False
    if not surely or not any(_WORD.fullmatch(key) for key in node):
        return True
    return objects and len(values) > 1 and bool(set.intersection(*(set(one) for one in values)))
