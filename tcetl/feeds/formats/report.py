"""Reports in free text or Markdown: the indicators that their authors name, each with its line and column.

What an author defanged is meant as an indicator, and so is a hash. What stands bare is taken where it is listed: by
itself in a fenced block or a cell of a table, or by itself on a line or item of a list, unless the document defangs
others (then what it left alone is meant to be clicked) or the section is one of references. The rest, such as a host in
running text, is refused with the code ``bare``, so that nobody misses it; the option ``bare`` decides otherwise.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from tcetl.errors import FeedError
from tcetl.feeds.base import POINTER, ROW, Malformed, RawBatch, reject_table
from tcetl.feeds.extract import Candidate, candidates, is_defanged
from tcetl.feeds.format import Format
from tcetl.feeds.markdown import FENCE
from tcetl.feeds.source import Source

_LONGEST: Final = 500  # characters of a description
_LONGEST_HEADING: Final = 200
_HEADING: Final = re.compile(r"#{1,6}\s+(.*?)[\s#]*|([^-*•|].{2,150}):")
_REFERENCES: Final = re.compile(
    r"\b(?:references?|sources?|further reading|read more|see also|credits?|acknowledge?ments?|about|contact)\b",
    re.IGNORECASE,
)
_BULLET: Final = re.compile(r"\s*(?:[-*+•·\u2013]|[0-9]{1,3}[.)])\s+")
_BETWEEN: Final = re.compile(r"(?:[\s,;/&|*_`'\"()\[\]<>:.•·\u2013\u2014+-]|<br\s*/?>|\b(?:and|or)\b)*", re.IGNORECASE)
_LABEL: Final = re.compile(
    r"\W*(?:ip(?:v[46])?(?:\s?addr(?:ess)?)?|address|domain(?:\s?name)?|host(?:name)?|fqdn|ur[il]|c2|c&c|server|md5|sha-?1"
    r"|sha-?256|hash|e-?mail|sender|from|ioc|indicator|callback|payload|download|cidr|asn?|registry(?:\s?key)?)s?\W{0,3}:",
    re.IGNORECASE,
)
_REMARK: Final = re.compile(r"\s+[-\u2013\u2014(|→#]|\s{2,}|\t|:\s|$")
_KINDS: Final = {32: "md5", 40: "sha1", 64: "sha256"}
BARE: Final = ("listed", "always", "never")


class ReportFeed:
    """A feed of the indicators in a text; ``description`` holds the heading above them and the line they stand on.

    Args:
        source: The file.
        name: The feed's name.
        bare: Which to take of those that are not defanged: ``listed`` ones, ``always`` all, ``never`` any but hashes.
    """

    format = "report"
    columns: Sequence[str] = ("type", "value", "description")
    comments: Sequence[str] = ()

    def __init__(self, source: Source, name: str, *, bare: str = "listed") -> None:
        if bare not in BARE:
            raise FeedError(f"'{bare}' is no choice for bare", hint=f"one of: {', '.join(BARE)}")
        self.name = name
        self.file = source.location
        self._defangs = any(is_defanged(line) for line in source.lines)
        self._source = source
        self._bare = bare
        self._decoder = self._source.decoder()

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how the feed was read so far."""
        return self._decoder.notes()

    def batches(self) -> Iterator[RawBatch]:
        """Yield one batch per block of the file."""
        self._decoder = self._source.decoder()
        text = _Text(defangs=self._defangs)
        line = 1
        found = 0
        for block in self._source.blocks():
            lines = self._decoder.lines(block)
            batch = self._batch(lines, line, text)
            found += batch.rows_read
            yield batch
            line += len(lines)
        if not found:
            raise FeedError(f"no line of {self.file} holds an indicator", hint="is this the feed you meant?")

    def _batch(self, lines: Sequence[str], first: int, text: "_Text") -> RawBatch:
        rows: list[tuple[str, str, str, int, str]] = []
        refused: list[Malformed] = []
        for number, line in enumerate(lines, first):
            for one, is_meant, description in text.read(line):
                pointer = f"{number}:{one.start + 1}"
                if is_meant if self._bare == "listed" else self._bare == "always" or one.defanged or one.type == "file":
                    rows.append((one.type, one.text, description, number, pointer))
                else:
                    refused.append(Malformed(number, one.text, "bare", _WHY_BARE, _LET_BARE, pointer, severity="info"))
        schema = {**dict.fromkeys(self.columns, pl.String), ROW: pl.Int64, POINTER: pl.String}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return RawBatch(frame, reject_table(refused, source=self.name, file=self.file))


_WHY_BARE: Final = "it stands in running text without being defanged: the author may not mean it as an indicator"
_LET_BARE: Final = "--option bare=always takes it"


class _Text:
    """Where in the text the reader is: under which heading, in a fenced block or not."""

    def __init__(self, *, defangs: bool) -> None:
        self._defangs = defangs
        self._heading = ""
        self._in_fence = False

    def read(self, line: str) -> Iterator[tuple[Candidate, bool, str]]:
        """Yield the candidates on the next line, whether each is meant as an indicator, and its description."""
        if FENCE.match(line):
            self._in_fence = not self._in_fence
            return
        found = list(candidates(line))
        is_short = len(line) <= _LONGEST_HEADING
        heading = _HEADING.fullmatch(line.strip()) if is_short and not self._in_fence else None
        if heading and not any(one.defanged for one in found):
            self._heading = heading[1] or heading[2] or ""
        if not found:
            return
        is_row = line.lstrip().startswith("|") and line.count("|") > 1
        ends = [at for at, sign in enumerate(line) if sign == "|"] + [len(line)] if is_row else [len(line)]
        start = 0
        meant: list[tuple[Candidate, bool]] = []
        for end in ends:
            cell = [one for one in found if start <= one.start < end]
            listed = (is_row or self._in_fence or self._lists_bare) and not heading
            meant += _meant(
                line, start, end, cell, listed=listed, in_place=is_row or self._in_fence or bool(_BULLET.match(line))
            )
            start = end + 1
        description = self._description(line, found)
        yield from ((one, is_meant, description) for one, is_meant in _joined(meant))

    @property
    def _lists_bare(self) -> bool:
        return not self._defangs and not _REFERENCES.search(self._heading)

    def _description(self, line: str, found: Sequence[Candidate]) -> str:
        """The heading, and the line where it says more than the values."""
        text = _BULLET.sub("", line[: 2 * _LONGEST], count=1)
        for one in found:
            if one.start >= 2 * _LONGEST:
                break
            text = text.replace(one.text, "")
        words = " ".join(line[: 2 * _LONGEST].replace("|", " ").split()) if re.search(r"\w{2}", text) else ""
        parts = [self._heading, _BULLET.sub("", words, count=1)]
        return ": ".join(part for part in parts if part)[:_LONGEST]


def _meant(
    line: str, start: int, end: int, found: Sequence[Candidate], *, listed: bool, in_place: bool
) -> Iterator[tuple[Candidate, bool]]:
    """Tell of each candidate between *start* and *end* of a line whether it is meant as an indicator.

    Args:
        line: The line.
        start: Where the line, or the cell of a table, begins.
        end: Where it ends.
        found: The candidates in it.
        listed: Bare ones that are listed count here.
        in_place: This is a place for values, so that one may be followed by a remark.
    """
    label = _LABEL.match(line, start, end) or _BULLET.match(line, start, end)
    at = begin = label.end() if label else start
    if label and (inner := _LABEL.match(line, at, end)):
        at = begin = inner.end()
    only_values = True
    for one in found:
        only_values &= _BETWEEN.fullmatch(line, min(at, one.start), one.start) is not None
        at = one.end
    only_values &= _BETWEEN.fullmatch(line, at, end) is not None
    for position, one in enumerate(found):
        leads = (
            in_place
            and position == 0
            and not line[begin : one.start].strip("*_`\"' ")
            and bool(_REMARK.match(line, one.end))
        )
        is_listed = listed and (only_values or leads) and not one.doubtful
        yield one, one.defanged or one.type == "file" or is_listed


def _joined(found: Sequence[tuple[Candidate, bool]]) -> Sequence[tuple[Candidate, bool]]:
    """Hashes of different kinds on one line are those of one file: join them, where the first stands."""
    hashes = [one for one, _ in found if one.type == "file"]
    if len(hashes) < 2 or len({_KINDS[len(one.text)] for one in hashes}) < len(hashes):
        return found
    first, *others = hashes
    whole = Candidate(first.start, first.end, " : ".join(one.text for one in hashes), first.type, defanged=False)
    return [(whole if one is first else one, is_meant) for one, is_meant in found if one not in others]


FORMAT: Final = Format(
    "report",
    "free text or Markdown that names indicators, defanged or listed",
    ReportFeed,
    lambda source: not source.foreign,
)
