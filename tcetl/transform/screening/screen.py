"""Hold indicators against allow-lists: dropped, tagged or reported, by columns and not value by value."""

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import polars as pl
import pyarrow as pa

from tcetl.errors import FeedError
from tcetl.schema import INDICATORS
from tcetl.transform.leaving_out import leave_out
from tcetl.transform.normalise import Normalised
from tcetl.transform.screening.allowlists import AllowList, Rule, pattern
from tcetl.transform.screening.hosting import OWN, SERVICE

CODE: Final = "allow-listed"
"""Code of an indicator that a list made drop."""

_IPV4: Final = r"^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$"
_LONGEST_TAG: Final = 128
_ROWS: Final = 65_536
_HOST_OF_URL: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:\[([0-9a-fA-F:.]+)\]|([^/?#:@]+))(?::[0-9]*)?(?:[/?#]|$)"
_HASHES: Final = ("md5", "sha1", "sha256")
_CASELESS: Final = ("Address", "ASN", "CIDR", "EmailAddress", "File", "Host")


def screen(normalised: Normalised, lists: Sequence[AllowList]) -> Normalised:
    """Return *normalised* as *lists* leave it.

    The first list that an indicator is on decides, and those that drop come before the others. What is dropped becomes
    a reject with the code ``allow-listed``; what is tagged gets the tag ``allow-list: NAME``; every list that was met
    is named in the notes with its count.

    Raises:
        FeedError: A regular expression of a list is beyond what can be matched in linear time.
    """
    table, notes = normalised.indicators, list(normalised.notes)
    dropped: list[tuple[str, pa.Table]] = []
    for one in sorted(lists, key=lambda allowed: allowed.action != "drop"):
        on_list = listed(table, one)
        count = int(on_list.sum())
        if not count:
            continue
        mask = pa.array(on_list.to_list(), pa.bool_())
        done = {"drop": "left out", "tag": "tagged", "report": "kept"}[one.action]
        notes.append(f"{count:,} indicators are on the allow-list '{one.name}' and were {done}")
        if one.action == "drop":
            dropped.append((f"it is on the allow-list '{one.name}'", table.filter(mask)))
            table = table.filter(pa.compute.invert(mask))
        elif one.action == "tag":
            table = _tagged(table, on_list, f"allow-list: {one.name}"[:_LONGEST_TAG])
    hint = "if it is to be loaded, take it off that list, or let the list tag or report only"
    return replace(leave_out(normalised, table, dropped, code=CODE, hint=hint), notes=notes)


def listed(indicators: pa.Table, allowed: AllowList) -> pl.Series:
    """Return for each of *indicators* whether it is on the list."""
    frame = pl.DataFrame(indicators.select(["type", "summary", *_HASHES])).with_columns(
        pl.when(pl.col("type") == "URL")
        .then(
            pl.coalesce(pl.col("summary").str.extract(_HOST_OF_URL, 1), pl.col("summary").str.extract(_HOST_OF_URL, 2))
        )
        .alias("host")
    )
    hit = pl.repeat(value=False, n=frame.height, eager=True, dtype=pl.Boolean)
    for rule in allowed.rules:
        about = frame["type"].is_in(list(rule.types))
        if about.any():
            hit |= about & _matches(frame, rule, urls_by_host=allowed.urls_by_host)
    return hit


def _matches(frame: pl.DataFrame, rule: Rule, *, urls_by_host: bool) -> pl.Series:
    url = frame["type"] == "URL"
    # By its name or address a URL is judged only where the list says so; else it must be listed as it stands.
    place = frame.select(pl.when(url).then(pl.col("host") if urls_by_host else None).otherwise("summary")).to_series()
    match rule.kind:
        case "cidr":
            return _within(place, rule.entries)
        case "hostname":
            return _at_or_below(place, {entry.lower().strip(".") for entry in rule.entries})
        case "string":
            below = {entry.lower().strip(".") for entry in rule.entries if entry.startswith(".")}
            return _equal(frame, rule.entries) | _at_or_below(place, below)
        case "substring":
            return frame["summary"].str.contains_any(list(rule.entries), ascii_case_insensitive=True)
        case "regex":
            return _like(frame["summary"], rule.entries)


def _equal(frame: pl.DataFrame, entries: Iterable[str]) -> pl.Series:
    """Whether the value, or one hash of a File, is an entry; case counts where it does for the platform."""
    lowered = pl.Series(sorted({entry.lower() for entry in entries}), dtype=pl.String)
    folded = frame["type"].is_in(_CASELESS) & frame["summary"].str.to_lowercase().is_in(lowered.implode())
    hit = folded | frame["summary"].is_in(pl.Series(sorted(entries), dtype=pl.String).implode())
    for name in _HASHES:
        hit |= frame[name].is_in(lowered.implode()).fill_null(value=False)
    return hit


def _at_or_below(names: pl.Series, hosts: set[str]) -> pl.Series:
    """Whether a name is one of *hosts* or stands below one, but for the tenants of hosting services.

    A tenant is on a list only by its own name, or one between it and the service's.
    """
    if not hosts:
        return pl.repeat(value=False, n=len(names), eager=True, dtype=pl.Boolean)
    entries = pl.Series(sorted(hosts), dtype=pl.String).implode()
    hit = names.is_in(entries).fill_null(value=False)
    rest = names.str.replace(OWN, "$1")
    while rest.null_count() < len(rest):
        hit |= rest.is_in(entries).fill_null(value=False)
        rest = rest.str.extract(r"^[^.]*\.(.+)$", 1)
        rest = rest.set(rest.str.contains(SERVICE).fill_null(value=False), None)
    return hit


def _within(places: pl.Series, entries: Iterable[str]) -> pl.Series:
    """Whether an address lies in one of the networks, or a block in one of them as a whole."""
    networks = [ipaddress.ip_network(entry, strict=False) for entry in entries]
    four, six = _Ranges(networks, 4), _Ranges(networks, 6)
    plain = places.str.contains(_IPV4).fill_null(value=False)
    hit = pl.repeat(value=False, n=len(places), eager=True, dtype=pl.Boolean)
    if plain.any():
        octets = places.filter(plain).str.split_exact(".", 3).struct.unnest().cast(pl.UInt32, strict=False)
        first, second, third, fourth = octets.get_columns()
        numbers = ((first * 256 + second) * 256 + third) * 256 + fourth
        hit = hit.scatter(plain.arg_true(), four.hold_all(numbers))
    others = places.filter(~plain).unique().drop_nulls()
    inside = [place for place in others if _lies(place, four, six)]
    return hit | places.is_in(pl.Series(inside, dtype=pl.String).implode()).fill_null(value=False)


def _lies(place: str, four: "_Ranges", six: "_Ranges") -> bool:
    try:
        block = ipaddress.ip_network(place, strict=False)
    except ValueError:
        return False  # the host of a URL is a name
    ranges = four if block.version == 4 else six
    return ranges.hold(int(block.network_address), int(block.broadcast_address))


class _Ranges:
    """Networks of one version as sorted ranges that do not touch."""

    def __init__(self, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], version: int) -> None:
        merged = ipaddress.collapse_addresses(net for net in networks if net.version == version)  # type: ignore[type-var]
        ranges = sorted((int(net.network_address), int(net.broadcast_address)) for net in merged)
        self._firsts = [first for first, _ in ranges]
        self._lasts = [last for _, last in ranges]

    def hold(self, first: int, last: int) -> bool:
        """Whether one range holds all from *first* to *last*."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and last <= self._lasts[at]

    def hold_all(self, numbers: pl.Series) -> pl.Series:
        """Whether a range holds each of *numbers*, which are IPv4 addresses."""
        if not self._firsts:
            return pl.repeat(value=False, n=len(numbers), eager=True, dtype=pl.Boolean)
        firsts, lasts = (pl.Series(ends, dtype=pl.UInt32) for ends in (self._firsts, self._lasts))
        at = firsts.search_sorted(numbers, side="right").cast(pl.Int64) - 1
        return (at >= 0) & (numbers <= lasts.gather(at.clip(0)))


def _like(values: pl.Series, entries: Iterable[str]) -> pl.Series:
    hit = pl.repeat(value=False, n=len(values), eager=True, dtype=pl.Boolean)
    for entry in entries:
        try:
            hit |= values.str.contains(pattern(entry))
        except pl.exceptions.ComputeError as error:
            raise FeedError(
                f"the expression {entry[:200]!r} of an allow-list cannot be used",
                hint="no look-around and no back-references: they may take for ever",
            ) from error
    return hit


def _tagged(table: pa.Table, which: pl.Series, tag: str) -> pa.Table:
    tags = pl.DataFrame({"tags": pl.Series(table["tags"])})["tags"]
    new = pl.Series([[{"name": tag, "web_link": None}]], dtype=tags.dtype)
    both = pl.DataFrame({"tags": tags, "on": which}).select(
        pl.when("on").then(pl.concat_list("tags", new)).otherwise("tags").alias("tags")
    )
    column = both["tags"].to_arrow(compat_level=pl.CompatLevel.oldest())
    at = table.schema.get_field_index("tags")
    return table.set_column(
        at, INDICATORS.field("tags"), pa.chunked_array([column]).cast(INDICATORS.field("tags").type)
    )
