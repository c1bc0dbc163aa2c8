"""Rating and confidence by declared rules: what an indicator is tagged as, and how old it has become.

The rules are data and the time is given, so that the same feed at the same time always scores the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import polars as pl
import pyarrow as pa

from tcetl.indicators import TYPES
from tcetl.schema import INDICATORS
from tcetl.transform.normalise import Normalised


class ScoreRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gives ``rating`` and ``confidence`` to indicators of ``type`` that are tagged ``tag``; None is any and no change.

    Raises:
        ValueError: It says nothing, there is no such type, or a score is out of range.
    """

    tag: str | None = None
    type: str | None = None
    rating: float | None = None
    confidence: int | None = None

    def __post_init__(self) -> None:
        if self.tag is None and self.type is None:
            raise ValueError("a score needs a tag or a type that it is for")
        if self.type is not None and self.type not in TYPES:
            raise ValueError(f"a score is for type {self.type!r}, which is no indicator; there are {', '.join(TYPES)}")
        if self.rating is None and self.confidence is None:
            raise ValueError(f"the score for {self.tag or self.type!r} gives neither rating nor confidence")
        if self.rating is not None and not 0 <= self.rating <= 5:
            raise ValueError(f"rating is 0 to 5, not {self.rating}")
        if self.confidence is not None and not 0 <= self.confidence <= 100:
            raise ValueError(f"confidence is 0 to 100, not {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """Confidence halves with every ``half_life`` since an indicator was last seen, or else first, down to ``floor``.

    One without a date keeps its confidence, and so does one that is at the floor or below it already.

    Raises:
        ValueError: The half-life is no time, or the floor out of range.
    """

    half_life: timedelta
    floor: int = 0

    def __post_init__(self) -> None:
        if self.half_life <= timedelta():
            raise ValueError(f"a half-life is longer than nothing, not {self.half_life}")
        if not 0 <= self.floor <= 100:
            raise ValueError(f"the floor of confidence is 0 to 100, not {self.floor}")


def score(
    normalised: Normalised, rules: Sequence[ScoreRule] = (), decay: Decay | None = None, *, now: datetime
) -> Normalised:
    """Return *normalised* with the scores that *rules* give and *decay* leaves; the first rule that fits decides.

    Args:
        normalised: A feed, normalised.
        rules: For what an indicator is.
        decay: For how old it is, applied after the rules.
        now: The time at which it is that old.
    """
    if not rules and decay is None:
        return normalised
    table = normalised.indicators
    frame = pl.DataFrame(table.select(["type", "rating", "confidence", "tags", "first_seen", "last_seen"]))
    tags = pl.col("tags").list.eval(pl.element().struct.field("name").str.to_lowercase())
    frame = frame.with_columns(tags)
    for name in ("rating", "confidence"):
        scored = pl.col(name)
        for rule in reversed(rules):  # the first stands outermost
            if (value := getattr(rule, name)) is not None:
                scored = pl.when(_fits(rule)).then(pl.lit(value)).otherwise(scored)
        frame = frame.with_columns(scored.cast(frame.schema[name]).alias(name))
    if decay is not None:
        frame = frame.with_columns(_decayed(decay, now).cast(pl.Int32).alias("confidence"))
    for name in ("rating", "confidence"):
        at = table.schema.get_field_index(name)
        column = pa.chunked_array([frame[name].to_arrow()]).cast(INDICATORS.field(name).type)
        table = table.set_column(at, INDICATORS.field(name), column)
    return replace(normalised, indicators=table)


def _fits(rule: ScoreRule) -> pl.Expr:
    fits = pl.lit(value=True)
    if rule.tag is not None:
        fits &= pl.col("tags").list.contains(rule.tag.lower())
    if rule.type is not None:
        fits &= pl.col("type") == rule.type
    return fits


def _decayed(decay: Decay, now: datetime) -> pl.Expr:
    seen = pl.coalesce("last_seen", "first_seen")
    age = (pl.lit(now) - seen).dt.total_seconds().clip(lower_bound=0) / decay.half_life.total_seconds()
    confidence = pl.col("confidence")
    left = (confidence * pl.lit(0.5).pow(age)).round(0).clip(lower_bound=decay.floor)
    return pl.when(seen.is_not_null() & (confidence > decay.floor)).then(left).otherwise(confidence)
