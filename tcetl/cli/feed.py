"""``tcetl feed preview`` and ``check``: look at a feed without sending anything."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tcetl.cli.console import Json, by_reason, print_facts, print_json, print_table, progress
from tcetl.cli.options import Feed, examples
from tcetl.cli.reading import FeedOptions, reads_feed

if TYPE_CHECKING:
    import pyarrow as pa

    from tcetl.catalogue import Reading

app = typer.Typer(help="The feeds that tcetl knows; look at one, check one, load one.", no_args_is_help=True)

_SHOWN: Final = ("type", "summary", "rating", "confidence")
_GROUP: Final = ("type", "name", "first_seen", "description")
_REJECT: Final = ("row", "code", "raw", "reason")
_MERGED: Final = "duplicate"


@app.command(
    **examples(
        "tcetl feed preview urlhaus.csv",
        "tcetl feed preview cisa-kev   # a feed of tcetl feed list",
        "tcetl feed preview blocklist.txt --rows 50 --json",
        "tcetl feed preview ips.txt --allow-list reserved --allow-list ours.txt=tag",
        "tcetl feed preview feed.csv --transform rules:by_family",
        "tcetl feed preview 'exports/*.json' --format stix",
        "tcetl feed preview https://www.circl.lu/doc/misp/feed-osint/ --format misp",
        "tcetl feed preview 'taxii+https://taxii.example/api1/collections/ID/?added_after=2025-01-01T00:00:00Z'",
    )
)
@reads_feed
def preview(
    feed: Feed,
    *,
    options: FeedOptions,
    rows: Annotated[int, typer.Option(help="Indicators and rejects to show.", min=0)] = 10,
    json: Json = False,
) -> None:
    """Read FEED as a load would, and show what would be sent, what rejected and why."""
    reading = _read(feed, options)
    indicators = _spread(reading.indicators.select(_SHOWN), rows)
    groups = reading.groups.slice(0, rows).select(_GROUP).to_pylist()
    rejects = _of_every_code(reading.rejects.select(_REJECT), rows)
    if json:
        print_json(
            {"feed": feed, "format": reading.format, "columns": reading.columns, "unused": reading.unused}
            | {
                **reading.counts,
                "further": reading.further,
                "groups": reading.groups.num_rows,
                "alarms": reading.alarms,
                "notes": reading.notes,
            }
            | {"some_indicators": indicators, "first_groups": groups, "some_rejects": rejects}
        )
        return
    _print_counts(feed, reading)
    if indicators:
        print_table(f"\n{len(indicators)} of the indicators", _SHOWN, [record.values() for record in indicators])
    if groups:
        print_table(f"\n{len(groups)} of the groups", _GROUP, [record.values() for record in groups])
    if rejects:
        total = reading.rejects.num_rows
        title = f"{len(rejects)} of {total:,} rejects and duplicates, of every code"
        print_table(title, _REJECT, [record.values() for record in rejects])


@app.command(**examples("tcetl feed check threatfox-recent", "tcetl feed check my-feeds/partner.toml"))
@reads_feed
def check(feed: Feed, *, options: FeedOptions, json: Json = False) -> None:
    """Fetch FEED and hold it against what its definition expects; fails when it has drifted."""
    reading = _read(feed, options)
    if json:
        print_json({"feed": feed, "columns": reading.columns, **reading.counts, "alarms": reading.alarms})
        return
    _print_counts(feed, reading)
    if not reading.alarms:
        print_facts("\nAs expected", {})


def _read(feed: str, options: FeedOptions) -> "Reading":
    from tcetl.catalogue import read

    with progress() as on_progress:
        told = None if on_progress is None else (lambda done, total=None: on_progress("read", done, total))
        definition = options.definition(feed)
        return read(
            definition, owner="preview", transforms=options.transforms, columns=options.columns, on_progress=told
        )


def _print_counts(feed: str, reading: "Reading") -> None:
    facts = {
        "format": reading.format,
        "columns": ", ".join(reading.columns),
        "not used": ", ".join(reading.unused) or None,
        "rows read": reading.rows,
        "further": f"{reading.further:,} values beside those of the rows" if reading.further else None,
        "indicators": by_reason(reading.counts.get("indicators", {})),
        "groups": reading.groups.num_rows or None,
        "rejected": by_reason(reading.counts["rejected"]),
        "duplicates": reading.counts["duplicates"],
        "alarms": "\n".join(alarm.message for alarm in reading.alarms) or None,
        "notes": "\n".join(reading.notes) or None,
    }
    print_facts(feed, facts)


def _of_every_code(rejects: "pa.Table", rows: int) -> list[dict[str, Any]]:
    """Take up to *rows* rejects, of every code in turn in the order of the feed; duplicates, which are many, last."""
    import polars as pl

    frame = pl.DataFrame(rejects).with_columns(turn=pl.int_range(pl.len()).over("code"))
    merged = pl.col("code") == _MERGED
    chosen = (
        frame.sort(merged, "turn", "code", maintain_order=True).head(rows).sort(merged, "row").drop("turn").to_dicts()
    )
    for one in chosen:  # the value has a column of its own; without it the reason fits into its line
        for written in (one["raw"] or "", (one["raw"] or "").upper()):
            one["reason"] = one["reason"].replace(f"'{written}'", "it")
    return chosen


def _spread(table: "pa.Table", rows: int) -> list[dict[str, Any]]:
    """Take up to *rows* rows from all over *table*, which is sorted by type: so that each type is likely to show."""
    step = max(1, table.num_rows // rows) if rows else 0
    found: list[dict[str, Any]] = table.take(list(range(0, table.num_rows, step))[:rows]).to_pylist() if step else []
    return found
