"""Times as feeds write them, as UTC.

ISO 8601 with or without a time, a fraction and an offset; seconds or milliseconds since 1970; and dates with slashes,
where the column itself shows which number is the day: 12/22/2023 can only be read one way, 1/2/2023 only beside it.
"""

from typing import Final

import polars as pl

WHAT: Final = "date (ISO 8601, seconds since 1970, or with slashes where the column shows which is the day)"

_USUAL: Final = "%Y-%m-%d %H:%M:%S"
_TEXT: Final = pl.col("text")
_ISO: Final = _TEXT.str.extract_groups(
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]+([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:[.,][0-9]+)?)?"
    r" ?(?:UTC|Z|GMT|([+-][0-9]{2}):?([0-9]{2})?)?$"
).struct
_SLASHED: Final = _TEXT.str.extract_groups(
    r"^([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}|[0-9]{2})(?:,? +([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?$"
).struct
_SECONDS: Final = _TEXT.str.extract(r"^([0-9]{9,10})(?:\.[0-9]+)?$", 1).cast(pl.Int64)
_MILLISECONDS: Final = _TEXT.str.extract(r"^([0-9]{12,13})$", 1).cast(pl.Int64)


def moments(text: pl.Series, *, day_first: bool | None = None) -> pl.Series:
    """Return the moments that the cells of *text* say; null for those that say none.

    Args:
        text: Stripped cells.
        day_first: Whether dates with slashes begin with the day; they say nothing where that is None.
    """
    moment = text.str.to_datetime(_USUAL, strict=False, time_unit="us", time_zone="UTC")
    if moment.null_count() == text.null_count():
        return moment
    frame = text.to_frame("text")
    read = [_iso(), *([] if day_first is None else [_slashed(day_first=day_first)]), _since_1970()]
    return frame.select(pl.coalesce(moment, *read)).to_series()


def begins_with_day(text: pl.Series) -> bool | None:
    """Tell from the dates with slashes in *text* whether they begin with the day; None where they do not show it."""
    text = text.filter(text.str.contains("/", literal=True))
    parts = text.to_frame("text").select(_SLASHED[0].cast(pl.Int8).alias("one"), _SLASHED[1].cast(pl.Int8).alias("two"))
    one, two = parts["one"].max(), parts["two"].max()
    if one is None or two is None or (one > 12) == (two > 12):  # type: ignore[operator]
        return None
    return bool(one > 12)  # type: ignore[operator]


def _iso() -> pl.Expr:
    time = pl.concat_str(_ISO[1].fill_null("00:00"), _ISO[2].fill_null(":00"))
    local = pl.concat_str(_ISO[0], pl.lit(" "), time).str.to_datetime(_USUAL, strict=False, time_unit="us")
    hours, minutes = _ISO[3].fill_null("0").cast(pl.Int64), _ISO[4].fill_null("0").cast(pl.Int64)
    sign = pl.when(_ISO[3].str.starts_with("-")).then(-1).otherwise(1)
    return (local - pl.duration(hours=hours, minutes=sign * minutes)).dt.replace_time_zone("UTC")


def _slashed(*, day_first: bool) -> pl.Expr:
    one, two, year, hour, minute, second = (_SLASHED[at].cast(pl.Int32, strict=False) for at in range(6))
    day, month = (one, two) if day_first else (two, one)
    year = pl.when(year < 100).then(year + 2000).otherwise(year)
    text = pl.format("{}-{}-{} {}:{}:{}", year, month, day, *(part.fill_null(0) for part in (hour, minute, second)))
    return text.str.to_datetime("%Y-%-m-%-d %-H:%-M:%-S", strict=False, time_unit="us", time_zone="UTC")


def _since_1970() -> pl.Expr:
    return pl.coalesce(
        pl.from_epoch(_SECONDS, "s").cast(pl.Datetime("us", "UTC")),
        pl.from_epoch(_MILLISECONDS, "ms").cast(pl.Datetime("us", "UTC")),
    )
