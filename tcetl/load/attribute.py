"""Which record an error of the platform's is about: decided by evidence, never guessed.

The platform names a record by its place in the file (a JSON path), by its source (a summary, one hash of a File, an
xid), or in free text. Free text counts only where a record is what the sentence is about: it opens with the name, or
ends with it after a colon. A record merely mentioned (``… collides with a.example``) is no evidence, and pieces of
evidence that contradict each other count for nothing. What remains is *unattributed*: kept and counted, but nobody's.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl

from tcetl.client.batch import BatchError
from tcetl.indicators import SEPARATOR, TYPES

_Spans = dict[tuple[int, int], str]  # where a name stands in a text, in bytes of UTF-8: the name

_PATH: Final = re.compile(r"\$\.indicator\[(\d+)\]")
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
    """What the platform could call a record: its type, its summary, and other names of it alone (xid, hashes)."""

    type: str
    summary: str
    aliases: tuple[str, ...] = ()


def names_of(types: Sequence[str], summaries: Sequence[str]) -> list[Record]:
    """Return the names of a chunk's indicators, in order."""
    return [
        Record(kind, summary, tuple(summary.split(SEPARATOR)) if kind == "File" and SEPARATOR in summary else ())
        for kind, summary in zip(types, summaries, strict=True)
    ]


class Attributor:
    """Finds the record of one chunk that an error is about."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._folded: dict[str, set[int]] = defaultdict(set)
        for index, record in enumerate(records):
            for name in (record.summary, *record.aliases):
                self._exact[name].add(index)
                self._folded[name.casefold()].add(index)

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

        evidence = [{int(index)} for text in texts for index in _PATH.findall(text) if int(index) < len(self._records)]
        # A source names something: the words beside it can only be about a record that is called so, in part at least.
        part = source.removesuffix(_VERDICT).casefold() if source.endswith(_VERDICT) else ""
        for text in texts:
            subject = self._subject(text, occurrences[text])
            if fitting := {index for index in subject if self._records[index].summary.casefold().startswith(part)}:
                evidence.append(fitting)
        agreed = set.intersection(*evidence) if evidence else set()
        return next(iter(agreed)) if len(agreed) == 1 else None

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
        names = pl.Series(list(self._exact), dtype=pl.String).implode()
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
    return [text for text in (error.source, error.message, error.reason) if text]


def _names_in(source: str) -> list[str]:
    """The names that *source* gives: itself, or the values of the indicator that it holds as JSON (V1 jobs)."""
    if not source.startswith("{"):
        return [source, source.removesuffix(_VERDICT)] if source else []
    try:
        document = msgspec.json.decode(source, type=dict[str, Any])
    except msgspec.DecodeError:
        return []
    keys = ("summary", *(TYPES[document["type"]].value_keys if document.get("type") in TYPES else ()), "xid")
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
