"""What is said of a feed for one load: beside what its definition declares or, where nobody declared it, alone.

Options fill the definition, so that a list or a score is the same thing wherever it was named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypedDict, TypeVar, Unpack

import msgspec

from tcetl.catalogue.definition import Allowed, Fading, FeedDefinition, Packed
from tcetl.errors import FeedError
from tcetl.transform import ACTIONS, ColumnMap, ScoreRule, label_name
from tcetl.transform.vocabulary import TYPED_NAMES

_DECLARED: Final = ("also", "attributes")  # take more than a column
_TYPES: Final = frozenset(TYPED_NAMES.values())
_URLS: Final = "urls-by-host"
_Part = TypeVar("_Part", bound=msgspec.Struct)
_Said = TypeVar("_Said")


class Adjusting(TypedDict, total=False):
    """What a load may say of its feed.

    A list, score or decay is what the definition has under that key: a mapping, the object itself, or the text that
    the command takes.

    Attributes:
        rating: Rating (0-5) for rows that bring none of their own.
        confidence: Confidence (0-100) for rows that bring none of their own.
        options: Options of the format's reader, beside the definition's.
        member: The one file of an archive to read.
        password_env: The environment variable that holds the archive's password.
        tags: Tags for every indicator, beside those that the definition gives.
        security_labels: Names of security labels for indicators and groups that bring none, such as ``TLP:AMBER``; in
            the place of those that the definition gives.
        allow: Allow-lists beside the definition's; as text ``LIST``, ``LIST=tag``, ``LIST=drop,urls-by-host``, where
            LIST is a file or ``reserved``.
        scores: Scores that come before the definition's; as text ``tag=c2,rating=5,confidence=90``.
        decay: How confidence falls with age, instead of as the definition says; as text ``30d``, or ``30d,10`` for a
            floor of 10.
    """

    options: Mapping[str, Any]
    member: str | None
    password_env: str | None
    rating: float | None
    confidence: int | None
    tags: Sequence[str]
    security_labels: Sequence[str]
    allow: Sequence[str | Mapping[str, Any] | Allowed]
    scores: Sequence[str | Mapping[str, Any] | ScoreRule]
    decay: str | Mapping[str, Any] | Fading | None


def adjust(definition: FeedDefinition, **said: Unpack[Adjusting]) -> FeedDefinition:
    """Return *definition* with what was *said* of it for one load.

    Raises:
        FeedError: Something said makes no sense; the message names it.
    """
    defaults, decay = definition.defaults, said.get("decay")
    rating, confidence = said.get("rating"), said.get("confidence")
    labels = tuple(map(security_label, _several(said.get("security_labels", ()))))
    return msgspec.structs.replace(
        definition,
        options={**definition.options, **said.get("options", {})},
        packed=Packed(
            member=said.get("member") or definition.packed.member,
            password_env=said.get("password_env") or definition.packed.password_env,
        ),
        defaults=msgspec.structs.replace(
            defaults,
            rating=defaults.rating if rating is None else rating,
            confidence=defaults.confidence if confidence is None else confidence,
            tags=tuple(dict.fromkeys((*defaults.tags, *_several(said.get("tags", ()))))),
            security_labels=labels or defaults.security_labels,
        ),
        allow=(*definition.allow, *map(allowed, _several(said.get("allow", ())))),
        scores=(*map(score_rule, _several(said.get("scores", ()))), *definition.scores),
        decay=definition.decay if decay is None else fading(decay),
    )


def _several(said: Sequence[_Said] | str) -> Sequence[_Said | str]:
    """What is *said* as a sequence: a text alone is one thing, and not its letters."""
    return [said] if isinstance(said, str) else said


def allowed(said: str | Mapping[str, Any] | Allowed) -> Allowed:
    """Return the allow-list that is *said*, as `Adjusting.allow` takes it.

    Raises:
        FeedError: It says what nobody knows.
    """
    if not isinstance(said, str):
        return _part(said, Allowed)
    path, equals, words = said.rpartition("=")
    chosen = [word.strip() for word in words.split(",")]
    if not equals or not set(chosen) <= {*ACTIONS, _URLS}:
        return Allowed(list=said)  # a file may have that sign in its name
    actions = [word for word in chosen if word != _URLS]
    if len(actions) > 1:
        raise FeedError(f"allow-list {said!r} says {' and '.join(actions)}", hint="one of them")
    return Allowed(list=path, action=actions[0] if actions else "drop", urls_by_host=_URLS in chosen)


def score_rule(said: str | Mapping[str, Any] | ScoreRule) -> ScoreRule:
    """Return the score that is *said*, as `Adjusting.scores` takes it.

    Raises:
        FeedError: It is none.
    """
    if not isinstance(said, str):
        return _part(said, ScoreRule)
    pairs = [pair.partition("=") for pair in said.split(",")]
    return _part({key.strip(): value.strip() for key, _, value in pairs}, ScoreRule, said)


def fading(said: str | Mapping[str, Any] | Fading) -> Fading:
    """Return the decay that is *said*, as `Adjusting.decay` takes it.

    Raises:
        FeedError: It is none.
    """
    if isinstance(said, str):
        half_life, comma, floor = said.partition(",")
        return _part({"half_life": half_life.strip(), **({"floor": floor.strip()} if comma else {})}, Fading, said)
    return _part(said, Fading)


def column_role(said: str) -> tuple[str, str]:
    """Return the role and the column of text such as ``value=phishing_url``; see `tcetl.transform.ColumnMap`.

    Raises:
        FeedError: It is none, or the role is not one of columns.
    """
    role, _, column = said.partition("=")
    known = [each.name for each in fields(ColumnMap) if each.name not in _DECLARED]
    if role not in known or not column:
        raise FeedError(f"{said!r} is no role with its column", hint=f"ROLE=COLUMN, with one of: {', '.join(known)}")
    return role, column


def further(said: str) -> tuple[str, str]:
    """Return the column of further indicators that text such as ``Names=Mutex`` says, and their type, if it does."""
    column, equals, kind = said.rpartition("=")
    return (column, kind) if equals and kind in _TYPES else (said, "")


def option(said: str) -> tuple[str, Any]:
    """Return the name and the value of an option of a format's reader, such as ``records=/data/items``.

    ``true`` and ``false`` are no text, and ``header`` is a list with commas between.

    Raises:
        FeedError: It is none.
    """
    name, equals, value = said.partition("=")
    if not name or not equals:
        raise FeedError(f"{said!r} is no option", hint="NAME=VALUE; tcetl feed formats lists them")
    if value in ("true", "false"):
        return name, value == "true"
    return name, [part.strip() for part in value.split(",")] if name == "header" else value


def security_label(name: str) -> str:
    """Return the label's name as the platform has it; see `tcetl.transform.label_name`.

    Raises:
        FeedError: It is no level of the Traffic Light Protocol though it says so.
    """
    try:
        return label_name(name)
    except ValueError as error:
        raise FeedError(str(error), hint="TLP:CLEAR, TLP:GREEN, TLP:AMBER, TLP:AMBER+STRICT or TLP:RED") from None


def tlp_label(level: str) -> str:
    """Return the name of the label for a *level* of the Traffic Light Protocol, with or without ``TLP:``.

    Raises:
        FeedError: It is none.
    """
    return security_label(f"TLP:{level.strip().upper().removeprefix('TLP:')}")


_FORMS: Final = {
    Allowed: "list, action, urls_by_host",
    ScoreRule: "tag=NAME or type=TYPE, with rating=0-5, confidence=0-100 or both, between commas",
    Fading: "a half-life such as 30d, and a floor of confidence (0-100) after a comma",
}


def _part(said: object, kind: type[_Part], shown: object = None) -> _Part:
    """*said* as a part of a definition; numbers may be text."""
    try:
        part = msgspec.convert(said, kind, strict=False)
        if isinstance(part, Fading):
            part.as_decay()
    except (msgspec.ValidationError, ValueError) as error:
        raise FeedError(f"{shown or said!r}: {error}", hint=_FORMS[kind]) from None
    return part
