"""``tcetl load``: a feed into ThreatConnect."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcetl.cli.connection import connected, owner_or_default
from tcetl.cli.console import Json, by_reason, counted, print_facts, print_json, progress
from tcetl.cli.feed import Format
from tcetl.cli.options import Owner, examples, new_run_id
from tcetl.errors import RejectedRecordsError

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect
    from tcetl.load import LoadReport


app = typer.Typer()


@app.command(
    **examples(
        "tcetl load urlhaus.csv --owner 'My Source' --tag urlhaus --confidence 60",
        "tcetl load urlhaus.csv --owner 'My Source' --run-dir runs/monday   # again after a crash: goes on",
    )
)
@connected
def load(
    tc: "ThreatConnect",
    path: Annotated[Path, typer.Argument(help="The feed's file.", metavar="PATH")],
    *,
    owner: Owner = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            help="The load's own directory; an interrupted load goes on there. Else a new one under runs/.",
            metavar="DIR",
        ),
    ] = None,
    format: Format = "auto",  # noqa: A002 - the option's name
    tag: Annotated[list[str], typer.Option(help="Tag for every indicator; repeat for more.", metavar="TAG")] = [],  # noqa: B006 - typer copies it
    rating: Annotated[float | None, typer.Option(help="Rating for rows without one.", min=0, max=5)] = None,
    confidence: Annotated[int | None, typer.Option(help="Confidence for rows without one.", min=0, max=100)] = None,
    max_errors: Annotated[
        str, typer.Option(help="Records that the platform may refuse: a number, or a share such as 1%.")
    ] = "0",
    timeout: Annotated[float, typer.Option(help="Seconds for all batch jobs together.", min=1)] = 3600,
    json: Json = False,
) -> None:
    """Load the feed at PATH into an owner by batch jobs; every row ends as loaded, rejected or duplicate."""
    from tcetl.load import Run
    from tcetl.pipeline import load_feed

    owner = owner_or_default(tc, owner)
    run_dir = run_dir or f"runs/{path.stem}-{new_run_id()}"
    try:
        with progress() as on_progress:
            report = load_feed(
                tc,
                path,
                owner,
                run_dir,
                format=format,
                tags=tag,
                rating=rating,
                confidence=confidence,
                submitting={"max_errors": max_errors, "timeout": timeout},
                on_progress=on_progress,
            )
    except RejectedRecordsError:
        _print(Run.open(run_dir).report(), json=json)  # the run is over and fully accounted for: show it, then fail
        raise
    _print(report, json=json)


def _print(report: "LoadReport", *, json: bool) -> None:
    if json:
        print_json(report.to_json())
        return
    print_facts(
        f"Load into {report.owner}",
        {
            "rows read": report.rows_read,
            "rejected": by_reason(report.rejected),
            "duplicates": report.duplicates,
            "sent": f"{report.sent:,} in {counted(report.jobs, 'job')}",
            "succeeded": report.succeeded,
            "failed": report.failed,
            "unprocessed": report.unprocessed,
            "seconds": report.seconds,
            "run": report.run_dir,
            "rejects": report.rejects_path,
        },
    )
