"""The way from a definition to what is to be loaded: fetch, read, alarm, normalise, screen, score."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pyarrow as pa

from tcetl.catalogue.definition import FeedDefinition
from tcetl.catalogue.drift import Alarm, examine_columns, examine_rejects, examine_rows, refuse
from tcetl.catalogue.memory import Memory, nothing_new
from tcetl.catalogue.prepared import Prepared
from tcetl.errors import EmptyFeedError, FeedError
from tcetl.feeds import Feed, Fetching, GroupedFeed, index_of, open_feed, stated_records
from tcetl.feeds.sources import FetchState, fetch
from tcetl.feeds.standards.grouping import IS_GROUP, grouped_feed
from tcetl.schema import ASSOCIATIONS, FILE_OCCURRENCES, GROUPS, INDICATORS, REJECTS, empty_table
from tcetl.transform import (
    ColumnMap,
    GroupMap,
    Normalised,
    Transform,
    as_groups,
    associate,
    label,
    normalise,
    normalise_groups,
    score,
    screen,
    transform_indicators,
)
from tcetl.transform.user import Function, as_transform

_TABLES: Final = {
    "indicators": INDICATORS,
    "groups": GROUPS,
    "associations": ASSOCIATIONS,
    "occurrences": FILE_OCCURRENCES,
    "rejects": REJECTS,
}
_NOTHING: Final = {"rows_read": 0, "rejected": {}, "duplicates": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A feed as it is to be loaded: ``indicators`` to ``rejects`` are tables of the waist's schemas.

    ``counts`` say where every row of the feed went, and ``beside`` how many records were made beside those of its rows
    (occurrences of files; groups of a STIX or MISP feed that are none of its rows, and what joins them); ``further`` of
    the rows counted are further indicators of others. ``alarms`` are those that only warn, ``columns`` those of the
    feed, and ``unused`` those that nothing was taken from.
    """

    indicators: pa.Table
    groups: pa.Table
    associations: pa.Table
    occurrences: pa.Table
    rejects: pa.Table
    counts: Mapping[str, Any]
    beside: int = 0
    further: int = 0
    alarms: Sequence[Alarm] = ()
    notes: Sequence[str] = ()
    format: str = ""
    columns: Sequence[str] = ()
    unused: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """Rows of the feed, as it counts them itself."""
        return int(self.counts["rows_read"]) - self.further

    @property
    def remarks(self) -> list[str]:
        """What a person should know of it: the alarms, then the notes."""
        drift = [f"drift: {alarm.message}" for alarm in self.alarms]
        further = [f"{self.further:,} of the rows read are further indicators of others"] if self.further else []
        return [*drift, *further, *self.notes]


def read(
    definition: FeedDefinition,
    *,
    owner: str,
    state: FetchState | None = None,
    columns: ColumnMap | Mapping[str, Any] | None = None,
    groups: bool = False,
    transforms: Sequence[Transform | Function | str] = (),
    fetching: Fetching | None = None,
    now: datetime | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Reading:
    """Read the feed that *definition* declares.

    Args:
        definition: The feed.
        owner: The owner that it is for.
        state: What earlier fetches learnt; what this one learns is for the caller to commit, once it is loaded.
        columns: What the feed's columns mean, instead of what the definition says; what some of them mean, by role,
            where a mapping such as ``{"value": "url"}``: all others as the definition says or as they are found.
        groups: Whether to read the reports, malware, events, rules and so on of a STIX or MISP feed too, as groups with
            their indicators.
        transforms: Functions of the user's beside those that the definition names, and after them.
        fetching: Limits and proxies; the key is added from the variable that the definition names.
        now: The time from which ages are counted; the present when None.
        on_progress: Called after every batch with (rows read, None).

    Raises:
        NothingNewError: Nothing is new since what *state* knows: the provider says so, or lists no part that is.
        DriftError: The feed is not as it should be, or nothing in it can be loaded, by an alarm that is set to fail.
        FeedError: It cannot be had or read, or its key is missing.
        TransformError: A transform cannot be found, failed, or returned what breaks a rule.
    """
    if columns and not isinstance(columns, ColumnMap):
        definition = _with_columns(definition, columns)
    functions = [as_transform(one) for one in (*definition.transforms, *transforms)]
    index = index_of(definition.url, definition.format)
    unpacking = definition.packed.unpacking()
    fetched = fetch(definition.url, _with_key(definition, fetching), state=state, unpacking=unpacking, index=index)
    if fetched.source is None:
        raise nothing_new(definition)
    memory = Memory(definition, state)
    feed: Feed | None = None
    is_partial = fetched.is_partial
    reading = Reading(**{name: empty_table(schema) for name, schema in _TABLES.items()}, counts=_NOTHING)
    try:
        feed = open_feed(fetched.source, name=definition.name or None, format=definition.format, **definition.options)
        is_partial |= memory.leave_out(feed)
        drifted = examine_columns(definition, feed.columns)
        refuse(definition, drifted)
        prepared = Prepared(feed, definition)
        if (group_map := definition.group_map) is not None:
            if functions:
                raise FeedError("transforms are for indicators, not for groups", hint="leave them out")
            reading = _of_groups(prepared, group_map, definition, owner)
        else:
            normalised = normalise(
                prepared,
                owner=owner,
                rating=definition.defaults.rating,
                confidence=definition.defaults.confidence,
                tags=definition.defaults.tags,
                columns=columns if isinstance(columns, ColumnMap) else definition.column_map or columns,
                transforms=[one for one in functions if one.on == "feed"],
                on_progress=on_progress,
            )
            screened = screen(normalised, definition.allow_lists())
            scored = score(screened, definition.scores, definition.fading, now=now or datetime.now(UTC))
            found = transform_indicators(scored, [one for one in functions if one.on == "indicators"])
            reading = _of_indicators(feed, found)
    except EmptyFeedError:
        has_groups = groups and _has_groups(feed)
        if is_partial and not has_groups and not memory.is_new(feed):
            raise nothing_new(definition) from None
        if not (is_partial or has_groups or definition.expect.rows[0] == 0):
            raise
        drifted = []
    if not is_partial:
        stated = stated_records(feed.comments) if feed else None
        drifted += examine_rows(definition, reading.rows, declared=stated, last=memory.last_rows)
    if groups and feed:
        reading = _with_groups(reading, feed)
    if not (is_partial or reading.indicators.num_rows or reading.groups.num_rows):
        drifted += examine_rejects(definition, reading.rejects)
    refuse(definition, drifted)
    memory.learn(feed, reading.rows, is_partial=is_partial)
    reading = replace(reading, alarms=drifted)
    labels = definition.security_labels
    return replace(reading, indicators=label(reading.indicators, labels), groups=label(reading.groups, labels))


def _has_groups(feed: Feed | None) -> bool:
    return feed is not None and isinstance(feed, GroupedFeed) and feed.groups().groups.num_rows > 0


def _with_columns(definition: FeedDefinition, given: Mapping[str, Any]) -> FeedDefinition:
    """*definition* with the columns *given* for some roles over those that it declares."""
    declared = definition.column_map
    return msgspec.structs.replace(definition, columns=asdict(declared.with_roles(given))) if declared else definition


def _of_groups(feed: Feed, columns: GroupMap, definition: FeedDefinition, owner: str) -> Reading:
    found = normalise_groups(feed, columns, owner=owner, tags=definition.defaults.tags)
    tables = {name: empty_table(schema) for name, schema in _TABLES.items()}
    return Reading(
        **{**tables, "groups": found.groups, "rejects": found.rejects},
        counts={**_NOTHING, "rows_read": found.rows_read, "rejected": dict(found.rejected)},
        notes=found.notes,
        format=feed.format,
        columns=feed.columns,
        unused=[column for column in feed.columns if column not in columns.used()],
    )


def _of_indicators(feed: Feed, found: Normalised) -> Reading:
    tables = {name: empty_table(schema) for name, schema in _TABLES.items()}
    return Reading(
        **{**tables, "indicators": found.indicators, "occurrences": found.occurrences, "rejects": found.rejects},
        counts=asdict(found.counts),
        beside=found.occurrences.num_rows,
        further=found.further,
        notes=found.notes,
        format=feed.format,
        columns=feed.columns,
        unused=found.unused,
    )


def _with_groups(reading: Reading, feed: Feed) -> Reading:
    """*reading* with the groups of *feed*, and the associations among them and with the indicators left."""
    grouped = grouped_feed(feed).groups()
    rejects, first, later = as_groups(reading.rejects, grouped.records)
    members = associate(reading.indicators, rejects, grouped.members)
    associations = pa.concat_tables([grouped.associations, members])
    rejected = {**reading.counts["rejected"]}
    if first:
        rejected[IS_GROUP] -= first + later
    return replace(
        reading,
        groups=grouped.groups,
        associations=associations,
        rejects=rejects,
        counts={
            **reading.counts,
            "rejected": {code: count for code, count in rejected.items() if count},
            "duplicates": reading.counts["duplicates"] + later,
        },
        beside=reading.beside + grouped.groups.num_rows - first + associations.num_rows,
    )


def _with_key(definition: FeedDefinition, fetching: Fetching | None) -> Fetching:
    how = fetching or Fetching(allow_private=definition.allow_private)
    secret = definition.secret
    if secret is None:
        return how
    key = _variable(definition, secret.env, secret.signup)
    if secret.user is not None:
        return replace(how, login=(_variable(definition, secret.user, secret.signup), key))
    return replace(how, secret=key, secret_header=secret.header)


def _variable(definition: FeedDefinition, name: str, signup: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise FeedError(
            f"feed {definition.name} needs a key, and the variable {name} has none", hint=f"get one at {signup}"
        )
    return value
