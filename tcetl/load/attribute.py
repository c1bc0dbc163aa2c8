"""Which record an error of the platform's is about: decided by evidence, never guessed.

The platform names a record in free text: by its summary (or one hash of a File), by its xid, or by the JSON path of
its place in the file. Evidence counts only when it points at exactly one record of the chunk, and pieces of evidence
that contradict each other count for nothing. What remains is *unattributed*: kept and counted, but nobody's.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from tcetl.client.batch import BatchError
from tcetl.indicators import SEPARATOR

_PATH: Final = re.compile(r"\$\.indicator\[(\d+)\]")
_VERDICT: Final = " is not valid."  # how the platform ends a source
# A summary within a text counts only as a whole: `a.example` is not named by `http://a.example/x` or `aa.example`.
_OPENING: Final = b" \t\r\n'\"`([{<,;"
_CLOSING: Final = b" \t\r\n'\"`)]}>,;"
_SENTENCE: Final = b".:!?"
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
        texts = [_texts(error) for error in errors]
        found = self._occurrences(list(dict.fromkeys(text for group in texts for text in group)))
        return [self._decide(group, found) for group in texts]

    def _decide(self, texts: Sequence[str], occurrences: dict[str, set[int]]) -> int | None:
        for text in texts:  # a text that is nothing but a record's name settles it
            named = self._named(text.removesuffix(_VERDICT), " ".join(texts))
            if len(named) == 1:
                return next(iter(named))

        evidence = [{int(index)} for text in texts for index in _PATH.findall(text) if int(index) < len(self._records)]
        evidence += [occurrences[text] for text in texts if occurrences[text]]
        agreed = set.intersection(*evidence) if evidence else set()
        return next(iter(agreed)) if len(agreed) == 1 else None

    def _named(self, name: str, context: str) -> set[int]:
        """The records called *name*, by its case as far as that tells them apart, and by type where *context* says."""
        indices = self._exact.get(name) or self._folded.get(name.casefold(), set())
        if len(indices) < 2:
            return indices
        typed = {index for index in indices if _mentions(context, self._records[index].type)}
        return typed or indices

    def _occurrences(self, texts: list[str]) -> dict[str, set[int]]:
        """For each text, the records it names as whole words, names inside longer names left out."""
        if not texts or not self._exact:
            return {text: set() for text in texts}
        # One pass of Aho-Corasick over all texts for all names; positions are in bytes of UTF-8.
        names = pl.Series(list(self._exact), dtype=pl.String).implode()
        column = pl.Series(texts, dtype=pl.String).str
        starts = column.find_many(names, ascii_case_insensitive=True, overlapping=True).to_list()
        words = column.extract_many(names, ascii_case_insensitive=True, overlapping=True).to_list()
        return {
            text: self._whole(text.encode(), zip(positions, found, strict=True))
            for text, positions, found in zip(texts, starts, words, strict=True)
        }

    def _whole(self, text: bytes, matches: Iterable[tuple[int, str]]) -> set[int]:
        spans = {(start, start + len(word.encode())): word for start, word in matches}
        named: set[int] = set()
        covered = 0
        for (start, end), name in sorted(spans.items(), key=lambda span: (span[0][0], -span[0][1])):
            if end <= covered or not _stands_alone(text, start, end):
                continue
            covered = end
            rest = (text[:start] + b" " + text[end:]).decode()
            indices = self._named(name, rest)
            about = start == 0 and all(_mentions(rest, self._records[index].type) for index in indices)
            if about or _DISTINCTIVE.fullmatch(name):
                named |= indices
        return named


def _texts(error: BatchError) -> list[str]:
    return [text for text in (error.source, error.message, error.reason) if text]


def _mentions(text: str, kind: str) -> bool:
    return re.search(rf"\b{re.escape(kind)}\b", text, re.IGNORECASE) is not None


def _stands_alone(text: bytes, start: int, end: int) -> bool:
    before, after, further = text[max(start - 1, 0) : start], text[end : end + 1], text[end + 1 : end + 2]
    opened = not before or before in _OPENING
    closed = not after or after in _CLOSING or (after in _SENTENCE and (not further or further in _CLOSING))
    return opened and closed
