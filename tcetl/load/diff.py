"""What a planned load would change on the platform, before anything is sent."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import polars as pl

from tcetl.load.compare import Change, changes
from tcetl.load.held import Held, OnProgress, keyed, read_held
from tcetl.load.run import Chunk, Run

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

EXAMPLES: Final = 10
"""Records to show per outcome unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Example:
    """One record, and what would change of it."""

    type: str
    summary: str
    changes: list[Change]


Outcome = Literal["new", "changed", "unchanged", "deleted", "not there"]
"""``new``: not there yet. ``changed``: there, and something would change. ``unchanged``: there, as the load has it.
Of a load that deletes: ``deleted``: there, and would be removed. ``not there``: so that it would be refused."""


@dataclass(kw_only=True)
class Diff:
    """What a load would change, in records.

    Attributes:
        outcomes: Records by outcome.
        fields: Records that change, by field; of lists, ``tags added`` and ``tags removed``.
        examples: A few records by outcome.
        not_compared: Records that cannot be compared: those of types that the instance does not have, by type, and
            groups, associations and files, by kind.
        reading: By type, ``pages`` or ``lookups``: how the platform was read.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    examples: dict[Outcome, list[Example]] = field(default_factory=lambda: defaultdict(list))
    not_compared: Counter[str] = field(default_factory=Counter)
    reading: dict[str, str] = field(default_factory=dict)


def diff(tc: "ThreatConnect", run: Run, *, examples: int = EXAMPLES, on_progress: OnProgress | None = None) -> Diff:
    """Return what `submit` would change on the platform, of the chunks that no job was made for yet.

    How the platform is read is told in :mod:`tcetl.load.held`, and what counts as a change in
    :mod:`tcetl.load.compare`.

    Args:
        tc: The connection; only read from.
        run: A planned load.
        examples: Most records to show per outcome.
        on_progress: Told of stage ``compare``: indicators read, of those to read.

    Raises:
        OwnerNotFoundError: The owner does not exist or is not visible.
        ChangedWhileReadError: The owner changed while it was paged through.
    """
    coming = [run.chunks[receipt.chunk] for receipt in run.receipts() if receipt.phase == "planned"]
    indicators = [chunk for chunk in coming if chunk.kind == "indicator"]
    with read_held(tc, run, indicators, on_progress) as held:
        result = Diff(not_compared=Counter(held.unknown), reading=held.reading)
        for chunk in indicators:
            _compare(run, chunk, held, result, examples)
    for chunk in coming:
        if chunk.kind != "indicator":
            result.not_compared[chunk.kind] += chunk.records
    return result


def _compare(run: Run, chunk: Chunk, held: Held, result: Diff, examples: int) -> None:
    rows = held.rows(chunk.chunk)
    origins = pl.DataFrame(run.origins(chunk.chunk).select(["type", "summary"]))
    there: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row, key in keyed(origins).iter_rows():
        there[row] |= {one["id"]: one for one in rows.get(key, ())}
    records = run.records(chunk.chunk)
    for row, (kind, summary) in enumerate(origins.iter_rows()):
        if kind in held.unknown:
            continue
        found = _changes(run, records[row], list(there[row].values()))
        outcome = _outcome(run, found)
        result.outcomes[outcome] += 1
        result.fields.update({change.field for change in found or ()})
        if len(result.examples[outcome]) < examples:
            result.examples[outcome].append(Example(kind, summary, found or []))


def _changes(run: Run, record: bytes, there: list[dict[str, Any]]) -> list[Change] | None:
    """What *record* would change of what is *there*; None when nothing is."""
    if not there:
        return None
    if run.settings.action == "Delete":
        return []
    latest = max(there, key=lambda one: str(one["last_modified"]))
    try:
        found = changes(msgspec.json.decode(record), latest, run.settings)
    except (AttributeError, KeyError, TypeError, ValueError):
        found = [Change("record", "", "not as batch jobs have it")]  # written by hand
    if len(there) > 1:  # the file merge mode decides, and which it is the platform knows
        found.append(Change("files merged", str(len(there)), run.settings.file_merge_mode or "Merge"))
    return found


def _outcome(run: Run, found: list[Change] | None) -> Outcome:
    if run.settings.action == "Delete":
        return "not there" if found is None else "deleted"
    if found is None:
        return "new"
    return "changed" if found else "unchanged"
