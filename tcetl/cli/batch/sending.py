"""``tcetl batch submit``, ``resume``, ``retry`` and ``abandon``: what changes a load."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tcetl.cli.connection import Connect, connectable, connected
from tcetl.cli.console import Json, counted, print_facts, print_json
from tcetl.cli.loading import (
    Diff,
    DryRun,
    InFlight,
    MaxBytes,
    MaxErrors,
    MaxRecords,
    RunDir,
    StuckAfter,
    Timeout,
    finish_with_report,
)
from tcetl.cli.options import examples
from tcetl.cli.preview import check_options, show_preview

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect

app = typer.Typer()


@app.command(**examples("tcetl batch resume runs/monday", "tcetl batch resume runs/monday --max-errors 1%"))
@connectable
def resume(
    connect: Connect,
    run: RunDir,
    *,
    dry_run: DryRun = False,
    diff: Diff = False,
    max_errors: MaxErrors = "0",
    in_flight: InFlight = 2,
    timeout: Timeout = 3600,
    stuck_after: StuckAfter = 900,
    json: Json = False,
) -> None:
    """Take the load at RUN from wherever it stands to its end; no chunk is uploaded twice.

    Of a load that has ended, this makes the report and the dead letters anew, and
    sends nothing.
    """
    from tcetl.pipeline import preview_run, resume_load

    check_options(dry_run=dry_run, diff=diff)
    if dry_run:
        show_preview(connect, lambda tc, told: preview_run(run, diff_with=tc, on_progress=told), diff=diff, json=json)
        return
    with connect() as tc:
        finish_with_report(
            lambda on_progress: resume_load(
                tc,
                run,
                max_errors=max_errors,
                in_flight=in_flight,
                timeout=timeout,
                stuck_after=stuck_after,
                on_progress=on_progress,
            ),
            json=json,
        )


app.command(
    "submit", help="Send the load planned at RUN: another name of resume.", **examples("tcetl batch submit runs/monday")
)(resume)


@app.command(
    **examples(
        "tcetl batch errors runs/monday               # what was refused, and why",
        "tcetl batch retry runs/monday --dry-run      # what would be sent, after mending runs/monday/rejects.csv",
        "tcetl batch retry runs/monday",
    )
)
@connectable
def retry(
    connect: Connect,
    run: RunDir,
    *,
    dry_run: DryRun = False,
    diff: Diff = False,
    run_dir: Annotated[
        str | None,
        typer.Option(help="Directory of the retry, a load like any other. Else RUN-retry-1.", metavar="DIR"),
    ] = None,
    max_errors: MaxErrors = "0",
    in_flight: InFlight = 2,
    timeout: Timeout = 3600,
    stuck_after: StuckAfter = 900,
    max_records: MaxRecords = 10_000,
    max_bytes: MaxBytes = 50_000_000,
    json: Json = False,
) -> None:
    """Send exactly those records of RUN again that were not loaded, as somebody mended them.

    Edit RUN/rejects.csv first, in any spreadsheet: mend type or summary of a
    row, or the JSON in its record; delete the rows of records that are not to be
    sent again. Unedited, all of them are sent as they were.

    A retry is a load of its own, to be resumed and retried in turn. When it was
    interrupted, the same command goes on with it.
    """
    from tcetl.pipeline import preview_retry, retry_load

    check_options(dry_run=dry_run, diff=diff)
    limits: dict[str, Any] = {"max_records": max_records, "max_bytes": max_bytes}
    if dry_run:
        show_preview(
            connect,
            lambda tc, told: preview_retry(run, diff_with=tc, on_progress=told, **limits),
            diff=diff,
            json=json,
        )
        return
    with connect() as tc:
        finish_with_report(
            lambda on_progress: retry_load(
                tc,
                run,
                run_dir,
                max_errors=max_errors,
                in_flight=in_flight,
                timeout=timeout,
                stuck_after=stuck_after,
                on_progress=on_progress,
                **limits,
            ),
            json=json,
        )


@app.command(**examples("tcetl batch abandon runs/monday 4711", "tcetl batch abandon runs/monday   # all open jobs"))
@connected
def abandon(
    tc: "ThreatConnect",
    run: RunDir,
    jobs: Annotated[
        list[int] | None, typer.Argument(help="The jobs; all open ones if none is named.", metavar="JOB…")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Stop waiting for jobs of RUN that do not end; their records count as unprocessed, for a retry.

    The platform cannot cancel a job. Should it carry one out after all, the retry
    loads its records a second time, which changes nothing but for attributes
    under the write type Append.
    """
    from tcetl.load import Run
    from tcetl.load import abandon as give_up

    opened = Run.open(run)
    given_up = give_up(tc, opened, jobs or ())
    lost = sum(receipt.records for receipt in opened.receipts() if receipt.batch_id in given_up)
    if json:
        print_json({"abandoned": given_up, "records": lost})
        return
    print_facts(
        f"Abandoned {counted(len(given_up), 'job')}",
        {
            "jobs": ", ".join(map(str, given_up)) or "none is open",
            "records": lost,
            "next": f"tcetl batch resume {run}",
        },
    )
