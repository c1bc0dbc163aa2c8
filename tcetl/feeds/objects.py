"""Feeds whose records are JSON objects: their fields become columns, lists within them records if wanted."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final, NamedTuple

import polars as pl

from tcetl.errors import FeedError
from tcetl.feeds.base import POINTER, ROW, Malformed, RawBatch, reject_table
from tcetl.feeds.comments import Comments
from tcetl.feeds.flatten import Flattener, as_text
from tcetl.feeds.source import Source

_BATCH: Final = 20_000
_VALUE: Final = "value"


class Item(NamedTuple):
    """What stands where a record may: any JSON ``value``, its number (or line), and its JSON pointer."""

    row: int
    pointer: str
    value: Any


class ObjectFeed:
    """A feed of JSON objects. A subclass yields what its format holds, in `_items`.

    All records are looked at once for their columns and then once more for their values, unless they are few.

    Args:
        source: The file.
        name: The feed's name.
        explode: The name of a list in each record whose members are records of their own, with the other fields of
            their record beside their own; a field that both have is called ``record.…`` where it is the record's.
    """

    format: str

    def __init__(self, source: Source, name: str, *, explode: str | None = None) -> None:
        self.name = name
        self.file = source.location
        self._source = source
        self._explode = explode.split(".") if explode else []
        self._comments = Comments()
        self._flattener = Flattener()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return ()

    @property
    def comments(self) -> Sequence[str]:
        """What stands around the records."""
        return self._comments.said()

    @cached_property
    def columns(self) -> Sequence[str]:
        """The fields of all records."""
        for item in self._few if self._few is not None else self._records():
            self._learn(item)
        return self._flattener.columns

    def batches(self) -> Iterator[RawBatch]:
        """Yield the records.

        Raises:
            FeedError: the file is damaged, or there are none.
        """
        columns = self.columns
        records = iter(self._few) if self._few is not None else self._records()
        empty = True
        while some := list(islice(records, _BATCH)):
            empty = False
            items = [one for one in some if isinstance(one, Item)]
            refused = [one for one in some if isinstance(one, Malformed)]
            rows = [self._flattener.row(item.value) for item in items]
            cells = {
                name: [said if type(said := row.get(name)) is str else as_text(said) for row in rows]
                for name in columns
            }
            places = {ROW: [item.row for item in items], POINTER: [item.pointer for item in items]}
            schema = {**dict.fromkeys(columns, pl.String), ROW: pl.Int64, POINTER: pl.String}
            yield RawBatch(
                pl.DataFrame(cells | places, schema=schema), reject_table(refused, source=self.name, file=self.file)
            )
        if empty:
            raise FeedError(f"feed file {self.file} holds no records", hint="is the feed empty today?")

    @abstractmethod
    def _items(self) -> Iterator[Item | Malformed]:
        """Yield what stands where records may."""

    @cached_property
    def _few(self) -> list[Item | Malformed] | None:
        """All records where they are few."""
        some = list(islice(self._records(), _BATCH + 1))
        return some if len(some) <= _BATCH else None

    def _learn(self, item: Item | Malformed) -> None:
        if isinstance(item, Item):
            try:
                self._flattener.learn(item.value)
            except ValueError as error:
                raise FeedError(
                    f"feed file {self.file} is no list of records: {error}",
                    hint="name where they are: --option records=/PATH",
                ) from None

    def _records(self) -> Iterator[Item | Malformed]:
        """Yield the records, as objects; what is none is refused."""
        self._comments = Comments()
        for item in self._items():
            if isinstance(item, Malformed):
                yield item
            elif isinstance(item.value, str):
                yield item._replace(value={_VALUE: item.value})
            elif not isinstance(item.value, dict):
                yield _no_object(item)
            elif item.value.get("type") == "metadata":
                self._comments.add(facts(item.value))
            elif self._explode:
                yield from self._exploded(item)
            else:
                yield item

    def _exploded(self, item: Item) -> Iterator[Item | Malformed]:
        *above, last = self._explode
        holder = item.value
        for step in above:
            holder = holder.get(step) if isinstance(holder, dict) else None
        members = holder.pop(last, None) if isinstance(holder, dict) else None
        pointer = "/".join((item.pointer, *self._explode))
        if not isinstance(members, list) or not members:
            reason = f"there is nothing in '{'.'.join(self._explode)}' of this record"
            yield Malformed(item.row, as_text(item.value), "no-members", reason, None, item.pointer, severity="info")
            return
        for at, member in enumerate(members):
            own = member if isinstance(member, dict) else {last: as_text(member)}
            beside = {f"record.{key}" if key in own else key: value for key, value in item.value.items()}
            yield Item(item.row, f"{pointer}/{at}", own | beside)


def facts(record: Mapping[str, Any]) -> Sequence[str]:
    """Return the plain fields of *record* as ``name: value``."""
    return [f"{key}: {as_text(value)}" for key, value in record.items() if not isinstance(value, list | dict)]


def _no_object(item: Item) -> Malformed:
    return Malformed(item.row, as_text(item.value), "no-object", "it is no JSON object", None, item.pointer)
