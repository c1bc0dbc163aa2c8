"""Working through the input of one batch job (api §5.1, §5.5)."""

import itertools
import json
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from tcetl.emulator.answers import NOT_JSON
from tcetl.emulator.batch_groups import GroupWriter
from tcetl.emulator.batch_indicators import IndicatorWriter, label_of
from tcetl.emulator.batch_links import End, InlineLink, associate, connect, inline_links
from tcetl.emulator.batch_messages import (
    EXCEPTIONS,
    FILE_IO,
    GROUP_LOSS,
    INDICATOR_LIMIT,
    INDICATOR_LOSS,
    INTERNAL,
    JSON_SYNTAX,
    REFUSALS,
    UNEXPECTED,
    ItemError,
    JobError,
    Message,
)
from tcetl.emulator.batch_metadata import MetadataReader
from tcetl.emulator.batch_settings import JobSettings
from tcetl.emulator.store import Store

_SLICE: Final = 500
"""Items per transaction: other writers and pollers get their turn in between."""

_SECTIONS: Final = ("group", "indicator", "association")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """Items by section and outcome; ``other_error`` counts what belongs to no item."""

    success: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SECTIONS, 0))
    error: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SECTIONS, 0))
    other_error: int = 0
    unprocessed: int = 0

    def columns(self, before: sqlite3.Row) -> dict[str, int]:
        """As columns of the batch table, on top of those of *before*: zero unless an input was accepted twice."""
        columns = {f"{section}_success": self.success[section] for section in _SECTIONS}
        columns |= {f"{section}_error": self.error[section] for section in _SECTIONS}
        columns |= {"other_error": self.other_error, "unprocessed": self.unprocessed}
        return {name: before[name] + count for name, count in columns.items()}


@dataclass(frozen=True, slots=True)
class Work:
    """One item of the input, and where it stands there."""

    section: str
    index: int
    item: Any

    @property
    def path(self) -> str:
        """Its JSON path."""
        return f"$.{self.section}[{self.index}]"

    @property
    def name(self) -> str:
        """How messages call it: the xid of a group, the value of an indicator."""
        if not isinstance(self.item, dict):
            return str(self.item)
        return str(self.item.get("xid")) if self.section == "group" else label_of(self.item)


def _syntax_error(reason: str, path: str = "$") -> JobError:
    return JobError(Message(JSON_SYNTAX, reason, path, f"{UNEXPECTED} Last known JSON path: '{path}'."))


def read_input(path: Path, version: str | None) -> list[Work]:
    """Read the uploaded file into its items, in the order in which they are to be applied."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JobError(Message(FILE_IO, f"{UNEXPECTED} The batch file could not be read.", path.name)) from error
    if not content:
        raise JobError(Message(FILE_IO, f"{UNEXPECTED} The batch file is empty.", path.name))
    try:
        document = msgspec.json.decode(content)
    except NOT_JSON as error:
        raise _syntax_error(f"com.google.gson.stream.MalformedJsonException: {error}") from error
    if isinstance(document, list):
        if version == "V2":
            raise _syntax_error("java.lang.IllegalStateException: Expected BEGIN_OBJECT but was BEGIN_ARRAY")
        return [Work("indicator", index, item) for index, item in enumerate(document)]
    if not isinstance(document, dict) or version == "V1":
        raise _syntax_error("java.lang.IllegalStateException: Expected BEGIN_ARRAY but was BEGIN_OBJECT")
    return _ordered(document)


def _ordered(document: dict[str, Any]) -> list[Work]:
    """Groups before indicators in whatever order they come; associations where they stand (api §9 G-20)."""
    given = [name for name in document if name in _SECTIONS]
    objects = [name for name in ("group", "indicator") if name in given]
    early = given[:1] == ["association"]
    order = ["association", *objects] if early else [*objects, *(["association"] if "association" in given else [])]
    works = []
    for section in order:
        items = document[section]
        if items is None:
            continue
        if not isinstance(items, list):
            raise _syntax_error("java.lang.IllegalStateException: Expected BEGIN_ARRAY", f"$.{section}")
        works += [Work(section, index, item) for index, item in enumerate(items)]
    return works


class BatchRun:
    """Applies one job's input to the store, slice by slice."""

    def __init__(
        self, store: Store, batch_id: int, owner: int, settings: JobSettings, now: str, *, max_indicators: int
    ) -> None:
        self._store = store
        self._batch_id = batch_id
        self._owner = owner
        self._settings = settings
        self._max_indicators = max_indicators
        self._before = store.reader.execute("SELECT * FROM batch WHERE id = ?", (batch_id,)).fetchone()
        metadata = MetadataReader(store, owner, now)
        self._indicators = IndicatorWriter(owner, settings, metadata, now)
        self._groups = GroupWriter(owner, settings, metadata, now)
        self._messages: list[Message] = []
        self._links: list[InlineLink] = []
        self._halted = False
        self._refuse: Mapping[str, str] = {}
        self.counts = Counts()

    def run(self, path: Path, *, stop_after: float | None = None, refuse: Mapping[str, str] | None = None) -> None:
        """Work through the file at *path*.

        Two faults: with *stop_after* (a fraction of the items) fail there; refuse items called as in *refuse* with the
        code that it gives.
        """
        self._refuse = refuse or {}
        try:
            works = read_input(path, self._settings.version)
        except JobError as error:
            self.counts.other_error += 1
            self._messages.append(error.entry)
            works = []
        stop = None if stop_after is None else int(len(works) * stop_after)
        self.counts.unprocessed = len(works)
        if not self._over_limit(works):
            rest = iter(works)
            while not self._halted and (part := list(itertools.islice(rest, _SLICE))):
                with self._store.writing() as connection:
                    self._slice(connection, part, stop)
                    self._save(connection)
        with self._store.writing() as connection:
            self._link(connection)
            self._save(connection)

    def _over_limit(self, works: list[Work]) -> bool:
        """More indicators than a job may hold: nothing is applied (assumed; the code is 0x1008)."""
        indicators = [work for work in works if work.section == "indicator"]
        if len(indicators) <= self._max_indicators:
            return False
        reason = (
            f"Processing this batch would exceed the number of allowed indicators: "
            f"{len(indicators)} of {self._max_indicators}."
        )
        self._fail(indicators[self._max_indicators], Message(INDICATOR_LIMIT, reason, "batch", reason))
        return True

    def _slice(self, connection: sqlite3.Connection, part: list[Work], stop: int | None) -> None:
        for work in part:
            if self._halted:
                return
            try:
                if stop is not None and sum(self.counts.success.values()) >= stop:
                    raise self._unexpected(work, INTERNAL, "java.lang.NullPointerException")
                self._refuse_named(work)
                self._apply(connection, work)
            except ItemError as error:
                self._fail(work, error.entry)
                self._halted = self._settings.halt_on_error
            except JobError as error:
                self._fail(work, error.entry)
                self._halted = True
            else:
                self.counts.success[work.section] += 1
                self.counts.unprocessed -= 1

    def _fail(self, work: Work, entry: Message) -> None:
        self.counts.error[work.section] += 1
        self.counts.unprocessed -= 1
        self._messages.append(entry)

    def _refuse_named(self, work: Work) -> None:
        code = self._refuse.get(work.name) if self._refuse else None
        if code is None:
            return
        if code in EXCEPTIONS:
            raise self._unexpected(work, code, EXCEPTIONS[code])
        reason = REFUSALS[code].format(type=work.item.get("type"), name=work.name)
        raise ItemError(code, reason, f"{work.name} is not valid.")

    @staticmethod
    def _unexpected(work: Work, code: str, reason: str) -> JobError:
        last = f"Last processed {work.section}[{work.index}] '{work.name}'."
        message = f"{UNEXPECTED} Last known JSON path: '{work.path}': {last}"  # sample of api §5.7
        return JobError(Message(code, reason, work.path, message))

    def _apply(self, connection: sqlite3.Connection, work: Work) -> None:
        item = work.item
        if not isinstance(item, dict):
            shown = json.dumps(item)[:100]
            reason = f"com.google.gson.JsonSyntaxException: java.lang.IllegalStateException: Not a JSON Object: {shown}"
            raise self._unexpected(work, JSON_SYNTAX, reason)
        try:
            if work.section == "association":
                associate(connection, self._owner, item)
            elif self._settings.action == "Delete":
                writer = self._groups if work.section == "group" else self._indicators
                writer.delete(connection, item)
            else:
                self._create(connection, work.section, item)
        except (TypeError, AttributeError, KeyError, ValueError, OverflowError, sqlite3.Error) as error:
            # An item of a shape that nobody foresaw must not take the job's thread down.
            _log.exception("batch %d: %s", self._batch_id, work.path)
            raise self._unexpected(work, INTERNAL, f"{type(error).__name__}: {error}") from error

    def _create(self, connection: sqlite3.Connection, section: str, item: dict[str, Any]) -> None:
        if section == "group":
            id_, messages = self._groups.create(connection, item)
            self._links += inline_links(item, End("group", id_), item["xid"])
        else:
            found, messages = self._indicators.create(connection, item)
            if found is not None:
                self._links += inline_links(item, End("indicator", found), label_of(item))
        self._messages += messages

    def _link(self, connection: sqlite3.Connection) -> None:
        """Associations written inside items; one that leads nowhere is a partial loss of its item (assumed)."""
        for link in self._links:
            target = link.target(connection, self._owner)
            if target is None:
                code = GROUP_LOSS if link.source.kind == "group" else INDICATOR_LOSS
                reason = f"{link.label}: the association to {link.wanted} was lost: it was not found."
                self._messages.append(Message(code, reason, link.label, reason))
            else:
                connect(connection, link.source, target)

    def _save(self, connection: sqlite3.Connection) -> None:
        columns = self.counts.columns(self._before)
        connection.execute(
            f"UPDATE batch SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?",  # noqa: S608
            (*columns.values(), self._batch_id),
        )
        connection.executemany(
            "INSERT INTO batch_message (batch, code, severity, reason, message, source) VALUES (?, ?, ?, ?, ?, ?)",
            [(self._batch_id, m.code, m.severity, m.reason, m.message or m.reason, m.source) for m in self._messages],
        )
        self._messages.clear()
