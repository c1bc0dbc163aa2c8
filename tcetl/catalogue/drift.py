"""Alarms about a feed that is not as it was: raised before anything is loaded, so that nothing wrong is.

What is no feed at all (an empty body, a login page, a document of another format) never gets this far: opening it
fails.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.catalogue.definition import PLACE, FeedDefinition, Reaction
from tcetl.errors import FeedError

SHRUNK: Final = 0.5
"""Share of the rows of the last load below which a feed counts as having lost some."""


class DriftError(FeedError):
    """A feed is not as its definition expects; nothing of it was loaded."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing about a feed that is not as expected; ``kind`` is the key of ``[alarms]`` that decides on it."""

    kind: str
    reaction: Reaction
    message: str


def examine_columns(definition: FeedDefinition, columns: Sequence[str]) -> list[Alarm]:
    """Return what about *columns*, those that the feed has now, is not as expected, without what is to be ignored."""
    mapped = definition.column_map or definition.group_map
    used = (mapped.used() if mapped else set()) | definition.words.keys()
    made_of = {column for pattern in definition.made.values() for column in PLACE.findall(pattern)}
    gone = sorted((used - definition.made.keys() | made_of) - set(columns))
    found = [("missing_column", f"column '{name}' is gone") for name in gone]
    if definition.expect.columns:
        new = [name for name in columns if name not in definition.expect.columns]
        found += [("new_column", f"column '{name}' is new") for name in new]
    return _alarms(definition, found)


def examine_rows(
    definition: FeedDefinition, rows: int, *, declared: int | None = None, last: int | None = None
) -> list[Alarm]:
    """Return what about the number of *rows* is not as expected, without what is to be ignored.

    Args:
        definition: The feed's definition.
        rows: The rows it has now.
        declared: The number of rows that the feed itself says it has.
        last: The rows it had when it was last loaded.
    """
    return _alarms(definition, [*_count(rows, declared), *_volume(definition, rows, last)])


def examine_rejects(definition: FeedDefinition, rejects: pa.Table) -> list[Alarm]:
    """Return that there is nothing usable about a feed of which only *rejects* are left, unless that is to be ignored.

    A row that was read, and then left out by a list, a transform or as a duplicate, is usable; so is, in its way, what
    the feed's own standard does not mean to be loaded, as long as there is nothing but that.
    """
    rows = pl.DataFrame(rejects.select(["severity", "stage", "row", "reason"]))
    refused = rows.filter(severity="error")
    if refused.is_empty() or rows.filter(pl.col("severity") != "error", pl.col("stage") != "read").height:
        return []
    _, _, row, reason = refused.row(0)
    message = f"nothing in it can be loaded: {refused.height:,} rows are refused, such as row {row}: {reason}"
    return _alarms(definition, [("nothing_usable", message)])


def refuse(definition: FeedDefinition, alarms: Collection[Alarm]) -> None:
    """Raise DriftError if any of *alarms* is to fail the load; the message names them all."""
    if fatal := [alarm for alarm in alarms if alarm.reaction == "fail"]:
        kinds = " and ".join(dict.fromkeys(alarm.kind for alarm in fatal))
        what = f"feed {definition.name} has drifted" if definition.name else f"feed {definition.url} is not usable"
        raise DriftError(
            f"{what}: {'; '.join(alarm.message for alarm in fatal)}",
            hint=f'if that is right, correct its definition, or set {kinds} = "warn" under [alarms]',
        )


def _alarms(definition: FeedDefinition, found: Sequence[tuple[str, str]]) -> list[Alarm]:
    reactions = {kind: getattr(definition.alarms, kind) for kind, _ in found}
    return [Alarm(kind, reactions[kind], message) for kind, message in found if reactions[kind] != "ignore"]


def _count(rows: int, declared: int | None) -> list[tuple[str, str]]:
    if declared is None or declared == rows:
        return []
    return [("count", f"the feed says that it has {declared:,} rows, and has {rows:,}: was it cut off?")]


def _volume(definition: FeedDefinition, rows: int, last: int | None) -> list[tuple[str, str]]:
    fewest, most = definition.expect.rows
    if not fewest <= rows <= most:
        return [("volume", f"{rows:,} rows are not {fewest:,} to {most:,} as usual")]
    if last and rows < SHRUNK * last:
        return [("volume", f"{rows:,} rows are less than half of the {last:,} last time")]
    return []
