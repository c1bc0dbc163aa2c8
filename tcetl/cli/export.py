"""``tcetl export``: a dataset of the lake into a SIEM's format."""

from typing import Annotated

import typer
from rich.filesize import decimal

from tcetl.cli.console import Json, by_reason, print_facts, print_json, progress
from tcetl.cli.options import examples

app = typer.Typer()


@app.command(
    **examples(
        "tcetl export lake indicators.cef --format cef",
        "tcetl export lake/v1/snapshot_date=2026-11-24/run=monday indicators.ndjson --format ndjson",
    )
)
def export(
    dataset: Annotated[
        str, typer.Argument(help="A dataset's folder, or a lake's root for its latest.", metavar="DATASET")
    ],
    out: Annotated[str, typer.Argument(help="File to write; it appears whole or not at all.", metavar="OUT")],
    *,
    format: Annotated[str, typer.Option(help="cef, csv or ndjson.", metavar="NAME")],  # noqa: A002 - the option's name
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="An empty dataset is no error.")] = False,
    json: Json = False,
) -> None:
    """Write a dataset as lines of a SIEM format: one indicator, one line, always."""
    from tcetl.pipeline import lake_to_siem

    with progress() as on_progress:
        report = lake_to_siem(dataset, out, format, allow_empty=allow_empty, on_progress=on_progress)
    if json:
        print_json(report.to_json())
        return
    print_facts(
        f"Export as {report.format}",
        {
            "lines": report.written,
            "skipped": by_reason(report.skipped),
            "truncated": by_reason(report.truncated),
            "size": decimal(report.bytes),
            "sha256": report.sha256,
            "path": report.path,
        },
    )
