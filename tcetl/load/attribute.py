"""Which record an error of the platform's is about: decided by evidence, never guessed.

The platform names a record by its place in the file (a JSON path), by its source (a summary, one hash of a File, a
group's xid or name), or in free text. Free text counts only where a record is what the sentence is about: it opens with
the name, or ends with it after a colon. A record merely mentioned (``… collides with a.example``) is no evidence, and
pieces of evidence that contradict each other count for nothing. An association is named by both of its ends together,
where no other one joins these two. What remains is *unattributed*: kept and counted, but nobody's.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl

from tcetl.client.batch import BatchError
from tcetl.errors import NOT_JSON
from tcetl.indicators import SEPARATOR, TYPES
from tcetl.load.records import Kind

_Spans = dict[tuple[int, int], str]  # where a name stands in a text, in bytes of UTF-8: the name

_PATH: Final = re.compile(r"\$\.(\w+)\[(\d+)\]")
_LAST: Final = re.compile(r"Last processed (\w+)\[(\d+)\](?: '(.*?)'\.?(?= |$))?", re.DOTALL)
_CODED: Final = re.compile(r"^(?:Error|Warning|Info) \(0x[0-9A-Fa-f]{4}\):\s*")  # how some instances begin a reason
_VERDICT: Final = " is not valid."  # how the platform ends a source
# A summary within a text counts only as a whole: `a.example` is not named by `http://a.example/x` or `aa.example`.
_OPENING: Final = b" \t\r\n'\"`([{<,;"
_CLOSING: Final = b" \t\r\n'\"`)]}>,;"
_SENTENCE: Final = b".:!?"
_QUOTES: Final = "'\"`()[]{}<>"
# What may stand before a name that a text opens with, {} being its type; and before one that it ends with.
_OPENER: Final = r"(?:(?:the|an?)\s+)?(?:(?:{}|indicator|group|value|summary|item|record)[\s:]+)?['\"`(\[{{<]*"
_CLOSER: Final = re.compile(
    r"(?!.*\b(?:with|of|to|by|from|than|as|like|see|and|or|an?other|existing|already|duplicates?)\b).*:\s*['\"`(\[{<]*",
    re.IGNORECASE | re.DOTALL,
)
_JOINED: Final = re.compile(r"\s*(?:and\b|or\b|,|&|/|-)", re.IGNORECASE)  # the sentence is about several things
_OF_ANOTHER: Final = re.compile(r"\b(?:another|other|existing|already|duplicates?)\b", re.IGNORECASE)
# A plain word such as a Mutex named `valid` occurs in texts that are not about it; a dot, digit or slash does not.
_DISTINCTIVE: Final = re.compile(r"(?=.*[^A-Za-z\s]).{4,}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Record:
    """What the platform could call a record: its type, its summary, and other names of it alone (xid, hashes).

    ``ends`` are the names of what an association joins, neither of which is its own.
    """

    type: str
    summary: str
    aliases: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names that are its own."""
        return (self.summary, *self.aliases)


def names_of(kind: Kind, rows: pl.DataFrame, records: Sequence[bytes]) -> list[Record]:
    """Return the names of a chunk's records, in order.

    Args:
        kind: What they are.
        rows: Their type, summary and xid.
        records: Their JSON.
    """
    types, summaries = rows["type"].to_list(), rows["summary"].to_list()
    match kind:
        case "group":
            return [
                Record(type_, xid, (name,))
                for type_, xid, name in zip(types, rows["xid"].to_list(), summaries, strict=True)
            ]
        case "association":
            return [
                Record(type_, " - ".join(ends), ends=ends)
                for type_, ends in zip(types, map(_ends_of, records), strict=True)
            ]
        case _:
            return names_of_indicators(types, summaries)


def _ends_of(record: bytes) -> tuple[str, ...]:
    document = msgspec.json.decode(record, type=dict[str, Any])
    return tuple(str(document.get(f"ref_{side}") or document.get(f"id_{side}") or "") for side in (1, 2))


def names_of_indicators(types: Sequence[str], summaries: Sequence[str]) -> list[Record]:
    """Return the names of indicators, in order."""
    return [
        Record(kind, summary, tuple(summary.split(SEPARATOR)) if kind == "File" and SEPARATOR in summary else ())
        for kind, summary in zip(types, summaries, strict=True)
    ]


class Attributor:
    """Finds the record of one chunk that an error is about."""

    def __init__(self, records: Sequence[Record], kind: Kind = "indicator") -> None:
        self._records = records
        self._kind = kind
        self._joining: dict[str, set[int]] = defaultdict(set)
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._folded: dict[str, set[int]] = defaultdict(set)
        for index, record in enumerate(records):
            for name in record.names:
                self._exact[name].add(index)
                self._folded[name.casefold()].add(index)
            for end in record.ends:
                self._joining[end.casefold()].add(index)

    def attribute(self, errors: Sequence[BatchError]) -> list[int | None]:
        """Return, for each of *errors*, the index of the record it is about, or None."""
        found = self._occurrences(list(dict.fromkeys(text for error in errors for text in _texts(error))))
        return [self._decide(error, found) for error in errors]

    def _decide(self, error: BatchError, occurrences: dict[str, _Spans]) -> int | None:
        texts = _texts(error)
        context = " ".join(texts)
        source = error.source or ""
        for name in _names_in(source):  # a source that is nothing but a record's name settles it
            if len(named := self._named(name, context)) == 1:
                return next(iter(named))

        evidence = [{place} for text in texts for place in self._places(text)]
        # A source names something: the words beside it can only be about a record that is called so, in part at least.
        part = source.removesuffix(_VERDICT).casefold() if source.endswith(_VERDICT) else ""
        for text in texts:
            subject = self._subject(text, occurrences[text])
            if fitting := {index for index in subject if self._is_called(index, part)}:
                evidence.append(fitting)
            if joined := self._joined(occurrences[text]):
                evidence.append(joined)
        agreed = set.intersection(*evidence) if evidence else set()
        return next(iter(agreed)) if len(agreed) == 1 else None

    def _places(self, text: str) -> set[int]:
        """The places in the file that *text* gives, where it holds a record of ours; a name beside one must be its."""
        places = {int(place) for section, place in _PATH.findall(text) if section == self._kind}
        for section, place, name in _LAST.findall(text):
            if section == self._kind:
                places |= {int(place)} | (self._named(name, text) if name else set())
        return {place for place in places if place < len(self._records)}

    def _is_called(self, index: int, part: str) -> bool:
        return any(name.casefold().startswith(part) for name in self._records[index].names)

    def _joined(self, spans: _Spans) -> set[int]:
        """The associations both of whose ends are among *spans*."""
        ends = {name.casefold() for name in spans.values()} & self._joining.keys()
        near = {index for end in ends for index in self._joining[end]}
        return {index for index in near if {end.casefold() for end in self._records[index].ends} <= ends}

    def _named(self, name: str, context: str) -> set[int]:
        """The records called *name*, by its case as far as that tells them apart, and by type where *context* says."""
        indices = self._exact.get(name) or self._folded.get(name.casefold(), set())
        if len(indices) < 2:
            return indices
        typed = {index for index in indices if _mentions(context, self._records[index].type)}
        return typed or indices

    def _occurrences(self, texts: list[str]) -> dict[str, _Spans]:
        """For each text, every place where a record's name stands as whole words, and that name."""
        if not texts or not self._exact:
            return {text: {} for text in texts}
        # One pass of Aho-Corasick over all texts for all names; positions are in bytes of UTF-8.
        names = pl.Series([*self._exact, *self._joining], dtype=pl.String).unique().implode()
        column = pl.Series(texts, dtype=pl.String).str
        starts = column.find_many(names, ascii_case_insensitive=True, overlapping=True).to_list()
        words = column.extract_many(names, ascii_case_insensitive=True, overlapping=True).to_list()
        return {
            text: {
                (start, start + len(word.encode())): word
                for start, word in zip(positions, found, strict=True)
                if _stands_alone(text.encode(), start, start + len(word.encode()))
            }
            for text, positions, found in zip(texts, starts, words, strict=True)
        }

    def _subject(self, text: str, spans: _Spans) -> set[int]:
        """The records that *text* may be about; more than one where names begin alike and no type tells them apart."""
        raw = text.encode()
        candidates: set[int] = set()
        typed: set[int] = set()
        for (start, end), name in spans.items():
            if name.casefold() in self._joining:
                continue  # the end of an association, which is not its name
            before, after = raw[:start].decode(), raw[end:].decode()
            for index in self._named(name, f"{before} {after}"):
                kind = self._records[index].type
                mentioned = _mentions(f"{before} {after}", kind)
                opens = re.fullmatch(_OPENER.format(re.escape(kind)), before, re.IGNORECASE) is not None
                closes = _CLOSER.fullmatch(before) is not None and not after.strip(_QUOTES + ".!")
                distinct = _DISTINCTIVE.fullmatch(name) is not None or (not before and mentioned)
                if distinct and ((opens and _is_told_of(after)) or closes):
                    candidates.add(index)
                    if mentioned:
                        typed.add(index)
        return typed if len(typed) == 1 else candidates


def _texts(error: BatchError) -> list[str]:
    return [_CODED.sub("", text) for text in (error.source, error.message, error.reason) if text]


def _names_in(source: str) -> list[str]:
    """The names that *source* gives: itself, or the values of the indicator that it holds as JSON (V1 jobs)."""
    if not source.startswith("{"):
        return [source, source.removesuffix(_VERDICT)] if source else []
    try:
        document = msgspec.json.decode(source, type=dict[str, Any])
    except NOT_JSON:
        return []
    kind = str(document.get("type"))
    keys = ("summary", *(TYPES[kind].value_keys if kind in TYPES else ()), "xid")
    return [str(document[key]) for key in keys if document.get(key)]


def _is_told_of(after: str) -> bool:
    """Whether the words after a name say something of it alone."""
    said = after.lstrip(_QUOTES)
    if said.lstrip().startswith(":") or not said.strip(" .!"):
        return True
    return _JOINED.match(said) is None and _OF_ANOTHER.search(said) is None


def _mentions(text: str, kind: str) -> bool:
    return re.search(rf"\b{re.escape(kind)}\b", text, re.IGNORECASE) is not None


def _stands_alone(text: bytes, start: int, end: int) -> bool:
    before, after, further = text[max(start - 1, 0) : start], text[end : end + 1], text[end + 1 : end + 2]
    opened = not before or before in _OPENING
    closed = not after or after in _CLOSING or (after in _SENTENCE and (not further or further in _CLOSING))
    return opened and closed
