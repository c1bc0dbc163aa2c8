"""``tcetl feed``: look at a feed without sending anything."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tcetl.cli.console import Json, by_reason, print_facts, print_json, print_table, progress
from tcetl.cli.options import examples

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(help="Look at a feed without sending anything.", no_args_is_help=True)

Format = Annotated[str, typer.Option(help="The feed's format; auto looks at its content.", metavar="NAME")]

_SHOWN: Final = ("type", "summary", "rating", "confidence")
_REJECT: Final = ("row", "code", "raw", "reason")


@app.command(
    **examples(
        "tcetl feed preview urlhaus.csv",
        "tcetl feed preview blocklist.txt --rows 50 --json",
        "tcetl feed preview 'exports/*.json' --format stix",
        "tcetl feed preview https://www.circl.lu/doc/misp/feed-osint/ --format misp",
        "tcetl feed preview 'taxii+https://taxii.example/api1/collections/ID/?added_after=2025-01-01T00:00:00Z'",
    )
)
def preview(
    path: Annotated[str, typer.Argument(help="The feed: a path, a pattern of paths, or an address.", metavar="PATH")],
    *,
    format: Format = "auto",  # noqa: A002 - the option's name
    rows: Annotated[int, typer.Option(help="Indicators and rejects to show.", min=0)] = 10,
    json: Json = False,
) -> None:
    """Read PATH as a load would, and show what would be sent, what rejected and why."""
    from tcetl.feeds import open_feed
    from tcetl.transform import normalise

    feed = open_feed(path, format=format)
    with progress() as on_progress:
        told = None if on_progress is None else (lambda done, total=None: on_progress("read", done, total))
        normalised = normalise(feed, owner="preview", on_progress=told)
    counts = normalised.counts
    indicators = _spread(normalised.indicators.select(_SHOWN), rows)
    rejects = normalised.rejects.slice(0, rows).select(_REJECT).to_pylist()
    if json:
        print_json(
            {"feed": feed.name, "format": feed.format, "columns": feed.columns, **asdict(counts)}
            | {"notes": list(normalised.notes), "some_indicators": indicators, "first_rejects": rejects}
        )
        return
    print_facts(
        feed.file,
        {
            "format": feed.format,
            "columns": ", ".join(feed.columns),
            "rows read": counts.rows_read,
            "indicators": by_reason(counts.indicators),
            "rejected": by_reason(counts.rejected),
            "duplicates": counts.duplicates,
            **({"notes": "; ".join(normalised.notes)} if normalised.notes else {}),
        },
    )
    if indicators:
        print_table(f"\n{len(indicators)} of the indicators", _SHOWN, [record.values() for record in indicators])
    if rejects:
        print_table(f"First {len(rejects)} rejects and duplicates", _REJECT, [record.values() for record in rejects])


def _spread(table: "pa.Table", rows: int) -> list[dict[str, Any]]:
    """Take up to *rows* rows from all over *table*, which is sorted by type: so that each type is likely to show."""
    step = max(1, table.num_rows // rows) if rows else 0
    found: list[dict[str, Any]] = table.take(list(range(0, table.num_rows, step))[:rows]).to_pylist() if step else []
    return found
