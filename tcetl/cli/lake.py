"""``tcetl bulk`` and ``tcetl retrieve``: an owner's indicators into the lake, all of them or through API filters."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from tcetl.cli.connection import connected, owner_or_default
from tcetl.cli.console import Json, by_reason, counted, print_facts, print_json, progress
from tcetl.cli.options import Owner, duration, examples, moment, new_run_id

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect
    from tcetl.lake import Dataset

app = typer.Typer()

Lake = Annotated[str, typer.Option(help="Root folder of the lake.", metavar="DIR")]
RunId = Annotated[
    str | None,
    typer.Option(help="Name of this run; used again, it replaces its dataset. Else the present time.", metavar="NAME"),
]


@app.command(
    **examples(
        "tcetl bulk --owner 'My Source' --lake lake",
        "tcetl bulk --owner 'My Source' --run-now --json",
        "tcetl bulk --owner 'My Source' --max-age 36h   # fail on a report older than that",
    )
)
@connected
def bulk(
    tc: "ThreatConnect",
    *,
    owner: Owner = None,
    lake: Lake = "lake",
    run_id: RunId = None,
    run_now: Annotated[bool, typer.Option("--run-now", help="Have a fresh report made, and wait for it.")] = False,
    max_age: Annotated[
        timedelta | None,
        typer.Option(help="Refuse a report older than this: 90m, 36h, 7d.", metavar="DURATION", parser=duration),
    ] = None,
    json: Json = False,
) -> None:
    """Stream an owner's bulk report into one published Parquet dataset, in constant memory."""
    from tcetl.pipeline import bulk_to_lake

    with progress() as on_progress:
        dataset = bulk_to_lake(
            tc,
            owner_or_default(tc, owner),
            lake,
            run_id=run_id or new_run_id(),
            run_now=run_now,
            max_age=max_age,
            on_progress=on_progress,
        )
    _print(dataset, json=json)


@app.command(
    **examples(
        "tcetl retrieve --owner 'My Source' --type Host --filter 'rating>3' --filter 'confidence>50'",
        "tcetl retrieve --owner 'My Source' --modified-since 2026-11-23T06:00:00Z --lake lake",
    )
)
@connected
def retrieve(
    tc: "ThreatConnect",
    *,
    owner: Owner = None,
    lake: Lake = "lake",
    run_id: RunId = None,
    type: Annotated[str | None, typer.Option(help="One indicator type, such as Host.", metavar="TYPE")] = None,  # noqa: A002 - the option's name
    filter: Annotated[  # noqa: A002 - the option's name
        list[str], typer.Option(help="API filter such as 'confidence>50'; repeat for more.", metavar="EXPRESSION")
    ] = [],  # noqa: B006 - typer copies it
    match_any: Annotated[bool, typer.Option("--any", help="Any filter may match; else all must.")] = False,
    modified_since: Annotated[
        datetime | None,
        typer.Option(help="Modified at or after this time (ISO 8601, UTC).", metavar="TIME", parser=moment),
    ] = None,
    json: Json = False,
) -> None:
    """Page an owner's indicators through API filters into one published Parquet dataset."""
    from tcetl.pipeline import retrieve_to_lake

    with progress() as on_progress:
        dataset = retrieve_to_lake(
            tc,
            owner_or_default(tc, owner),
            lake,
            run_id=run_id or new_run_id(),
            type=type,
            filters=filter,
            match_any=match_any,
            modified_since=modified_since,
            on_progress=on_progress,
        )
    _print(dataset, json=json)


def _print(dataset: "Dataset", *, json: bool) -> None:
    if json:
        print_json(dataset.to_json())
        return
    print_facts(
        f"Dataset {dataset.run_id}",
        {
            "indicators": dataset.rows,
            "by type": by_reason(dataset.by_type),
            "rejected": f"{dataset.rejected:,}: see {dataset.rejects_path}" if dataset.rejected else 0,
            "Parquet": f"{decimal(dataset.bytes)} in {counted(len(dataset.files), 'file')}",
            "path": dataset.path,
            "manifest": dataset.manifest_path,
        },
    )
