"""A feed as data: where it is, how it is read, what its columns mean, and what is expected of it.

One TOML file per feed, whose name is the feed's. A user's own file is written just like those that come with tcetl;
see docs/catalogue.md for every key.
"""

import os
import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from tcetl.errors import NOT_JSON, FeedError
from tcetl.feeds import Unpacking
from tcetl.transform import RESERVED, AllowList, ColumnMap, Decay, GroupMap, ScoreRule, allow_list, label_name

Reaction = Literal["fail", "warn", "ignore"]
"""What to do when a feed is not as expected: load nothing, say so and go on, or nothing."""

PLACE: Final = re.compile(r"\{([^{}]+)\}")
"""The place of a column's cell in the pattern that another column is made by."""

_EVERY: Final = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; a key that it does not know is an error, as it would otherwise be a setting lost."""


class Secret(_Part, frozen=True):
    """What the provider wants to know of its users.

    Attributes:
        env: Environment variable that holds the key.
        header: Header to send it in; without one it takes the place of ``{secret}`` in the address.
        user: Environment variable that holds a user name, where it takes a login; the key is then its password.
        signup: Where to get one.
    """

    env: str
    signup: str
    header: str | None = None
    user: str | None = None


class Packed(_Part, frozen=True):
    """How an archive is read: the one ``member`` to read, and the variable that holds its password."""

    member: str | None = None
    password_env: str | None = None

    def unpacking(self) -> Unpacking:
        """Return it as the reader takes it.

        Raises:
            FeedError: The variable holds nothing.
        """
        password = os.environ.get(self.password_env) if self.password_env else None
        if self.password_env and not password:
            raise FeedError(f"the variable {self.password_env} holds no password", hint="set it to the archive's")
        return Unpacking(member=self.member, password=password)


class Defaults(_Part, frozen=True):
    """What every indicator gets: ``tags`` beside its row's, and where its row has none, all the others.

    ``security_labels`` are for indicators and groups that bring no label; one that begins with ``TLP`` is a level of
    the Traffic Light Protocol.
    """

    rating: float | None = None
    confidence: int | None = None
    tags: tuple[str, ...] = ()
    security_labels: tuple[str, ...] = ()


class Allowed(_Part, frozen=True):
    """An allow-list to hold the indicators against, as `tcetl.transform.allow_list` takes it.

    A file that a definition names is looked for beside the definition.
    """

    list: str
    action: str = "drop"
    urls_by_host: bool = False


class Fading(_Part, frozen=True):
    """How confidence decays, as in :class:`tcetl.transform.Decay`; ``half_life`` is a time span such as ``30d``."""

    half_life: str
    floor: int = 0

    def as_decay(self) -> Decay:
        """Return it as scoring takes it; raises ValueError where it makes no sense."""
        return Decay(half_life=_span("half_life", self.half_life), floor=self.floor)


class Expect(_Part, frozen=True):
    """How the feed usually is.

    Attributes:
        rows: Fewest and most rows; a feed with 0 as the fewest may be empty.
        columns: Every column it has had so far.
    """

    rows: tuple[int, int]
    columns: tuple[str, ...] = ()


class Alarms(_Part, frozen=True):
    """What to do about drift, by its kind.

    Attributes:
        missing_column: A column that the mapping needs is gone.
        new_column: There is one that nobody has seen before.
        count: The feed says how many rows it has, and it has not.
        volume: Far fewer or far more rows than usual.
        nothing_usable: There are rows, and none of them is anything that can be loaded.
    """

    missing_column: Reaction = "fail"
    new_column: Reaction = "warn"
    count: Reaction = "fail"
    volume: Reaction = "warn"
    nothing_usable: Reaction = "fail"


class FeedDefinition(_Part, frozen=True):
    """A feed, declared.

    Attributes:
        name: The name of its file, without the ending.
        title: What it is, in one line.
        provider: Who publishes it.
        homepage: Where it is described.
        licence: What one may do with it.
        url: Its address: http(s), a path, a glob, or an object store.
        every: How often it may be fetched, as the provider asks or as it makes sense, such as ``5m`` or ``1d``.
        format: One of :data:`tcetl.feeds.FORMATS`.
        options: Options of the format's reader.
        packed: How it is unpacked, where it is an archive.
        secret: The key it takes to fetch it.
        allow_private: Whether its address may be one of your own network, and not on the public internet.
        columns: What its columns mean, as in :class:`tcetl.transform.ColumnMap`; found by their names where not given.
        group: The same for a feed of groups, as in :class:`tcetl.transform.GroupMap`.
        made: Columns made of others, by a pattern such as ``{Start}/{Netmask}``.
        words: By column, what stands for a word: a scale of words or counts becomes one of numbers.
        defaults: What every indicator gets.
        allow: Lists of what is not to be loaded.
        scores: Ratings and confidences for what is tagged in some way or of some type; the first that fits decides.
        decay: How confidence falls with age.
        transforms: Functions of the user's, as ``module:function`` or ``file.py:function``, in order.
        expect: How it usually is.
        alarms: What to do when it is not.
    """

    name: str
    title: str
    provider: str
    homepage: str
    licence: str
    url: str
    every: str
    format: str
    expect: Expect
    options: dict[str, Any] = {}
    packed: Packed = Packed()
    secret: Secret | None = None
    allow_private: bool = False
    columns: dict[str, Any] = {}
    group: dict[str, Any] = {}
    made: dict[str, str] = {}
    words: dict[str, dict[str, str]] = {}
    defaults: Defaults = Defaults()
    allow: tuple[Allowed, ...] = ()
    scores: tuple[ScoreRule, ...] = ()
    decay: Fading | None = None
    transforms: tuple[str, ...] = ()
    alarms: Alarms = Alarms()

    @property
    def interval(self) -> timedelta:
        """`every` as a time span."""
        return _span("every", self.every)

    @property
    def column_map(self) -> ColumnMap | None:
        """`columns` for the normaliser; None where they are to be found by their names."""
        return msgspec.convert(self.columns, ColumnMap) if self.columns else None

    @property
    def group_map(self) -> GroupMap | None:
        """`group` for the normaliser; None for a feed of indicators."""
        return msgspec.convert(self.group, GroupMap) if self.group else None

    @property
    def fading(self) -> Decay | None:
        """`decay` for scoring."""
        return self.decay.as_decay() if self.decay else None

    @property
    def security_labels(self) -> list[str]:
        """The names of the labels for what brings none."""
        return [label_name(name) for name in self.defaults.security_labels]

    def allow_lists(self) -> list[AllowList]:
        """Read the lists that `allow` names."""
        return [allow_list(one.list, one.action, urls_by_host=one.urls_by_host) for one in self.allow]


def read_definition(path: Path) -> FeedDefinition:
    """Return the feed that the TOML file at *path* declares.

    Raises:
        FeedError: There is no such file, or it is no definition; the message names the key and what is wrong.
    """
    hint = "docs/catalogue.md describes every key"
    try:
        document = msgspec.toml.decode(path.read_bytes())
    except FileNotFoundError:
        raise FeedError(
            f"feed definition {path} does not exist", hint="tcetl feed list shows those there are"
        ) from None
    except NOT_JSON as error:
        raise FeedError(f"feed definition {path} is no TOML: {error}", hint=hint) from error
    try:
        definition = msgspec.convert({"name": path.stem, **document}, FeedDefinition)
        _check(definition)
        beside = [msgspec.structs.replace(one, list=_beside(path, one.list)) for one in definition.allow]
        functions = tuple(_beside(path, one) if ".py:" in one else one for one in definition.transforms)
        definition = msgspec.structs.replace(definition, allow=tuple(beside), transforms=functions)
    except (msgspec.ValidationError, ValueError) as error:
        raise FeedError(f"feed definition {path}: {error}", hint=hint) from error
    return definition


def _span(key: str, text: str) -> timedelta:
    match = _EVERY.fullmatch(text)
    if match is None:
        raise ValueError(f"{key} = {text!r} is no time span such as 5m, 12h or 1d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _beside(definition: Path, given: str) -> str:
    return given if given == RESERVED else str(definition.parent / given)


def _check(definition: FeedDefinition) -> None:
    for table, kind in (("columns", ColumnMap), ("group", GroupMap)):
        known = {field.name for field in fields(kind)}
        if strange := sorted(getattr(definition, table).keys() - known):
            raise ValueError(f"[{table}] has no key {', '.join(strange)}; there are {', '.join(sorted(known))}")
    if definition.columns and definition.group:
        raise ValueError("a feed is of indicators, with [columns], or of groups, with [group]")
    # For their errors: a mistake is to show when the file is read, not when the feed is loaded.
    definition.column_map, definition.group_map, definition.fading, definition.interval, definition.security_labels  # noqa: B018
    fewest, most = definition.expect.rows
    if not 0 <= fewest <= most:
        raise ValueError(f"[expect] rows = [{fewest}, {most}] is no range of row counts")
    if definition.defaults.rating is not None and not 0 <= definition.defaults.rating <= 5:
        raise ValueError(f"[defaults] rating is 0 to 5, not {definition.defaults.rating}")
    if definition.defaults.confidence is not None and not 0 <= definition.defaults.confidence <= 100:
        raise ValueError(f"[defaults] confidence is 0 to 100, not {definition.defaults.confidence}")
    secret = definition.secret
    ways = [] if secret is None else [way for way in (secret.header, secret.user) if way]
    if "{secret}" in definition.url:
        ways.append("{secret}")
    if len(ways) != (secret is not None):
        raise ValueError("a [secret] goes into a header, with a user, or in place of {secret} in the url: in one way")
