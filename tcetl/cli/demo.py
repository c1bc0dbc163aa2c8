"""``tcetl demo``: the whole product on this machine, for real."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tcetl.cli.console import Json, by_reason, counted, print_facts, print_json
from tcetl.cli.options import examples, new_run_id
from tcetl.errors import ReconciliationError, RejectedRecordsError

if TYPE_CHECKING:
    from tcetl.demo.outcome import Outcome
    from tcetl.demo.run import OnStep

app = typer.Typer()


@app.command(**examples("tcetl demo", "tcetl demo --feed urlhaus.csv --out my-demo", "tcetl demo --seed-count 1000"))
def demo(
    *,
    feed: Annotated[Path | None, typer.Option(help="Load this feed instead of the demo's own.", metavar="PATH")] = None,
    seed_count: Annotated[int, typer.Option(help="Indicators that the platform holds before.", min=0)] = 100_000,
    out: Annotated[
        Path | None, typer.Option(help="New directory for all of it. Else one under tcetl-demo/.", metavar="DIR")
    ] = None,
    json: Json = False,
) -> None:
    """Run the main job, all of it, for real, without an account: feed, ThreatConnect, lake, SIEM.

    A local ThreatConnect (the emulator) and Airflow with a fresh database are started; three DAGs load a feed with bad
    rows planted in it, bring the bulk report back as Parquet and export it; at the end everything is counted again.
    """
    from tcetl.demo.run import run_demo

    out = out or Path("tcetl-demo") / new_run_id()
    with _steps() as on_step:
        outcome = run_demo(out, feed=feed, seed_count=seed_count, on_step=on_step)
    if json:
        print_json(outcome.to_json())
    else:
        _print(outcome)
    _judge(outcome)


@contextmanager
def _steps() -> Iterator["OnStep"]:
    """Show the steps as they come: live on a terminal, else one line when each is done."""
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}
        began: dict[str, float] = {}

        def on_step(step: str, detail: str, done: bool) -> None:
            if step not in tasks:
                tasks[step], began[step] = progress.add_task(step, total=1), time.monotonic()
            description = f"{step} [dim]{detail}[/]" if detail else step
            progress.update(tasks[step], description=description, completed=int(done))
            if done and not console.is_terminal:
                console.print(f"✓ {step} ({time.monotonic() - began[step]:.1f} s)", soft_wrap=True)

        yield on_step


def _print(outcome: "Outcome") -> None:
    load, dataset = outcome.load, outcome.dataset
    print_facts(
        "\nWhat became of the feed",
        {
            "rows read": load.rows_read,
            "rejected": by_reason(load.rejected),
            "duplicates": load.duplicates,
            "sent": f"{load.sent:,} in {counted(load.jobs, 'job')}",
            "succeeded": load.succeeded,
            "failed": f"{load.failed:,} ({by_reason(load.refused)})" if load.failed else 0,
            "on the platform": f"{outcome.before:,} before, {outcome.new:,} new, {outcome.updated:,} updated",
            "in the lake": f"{dataset.rows:,} indicators, {decimal(dataset.bytes)} of Parquet",
            "SIEM lines": by_reason(outcome.siem),
            "seconds": outcome.seconds,
        },
    )
    print_facts("\nDoes it add up?", {check.claim: "yes" if check.holds else "NO" for check in outcome.checks})
    print_facts("\nWhere everything lies", outcome.files)


def _judge(outcome: "Outcome") -> None:
    """Fail where counts do not reconcile, or where the platform refused records that nobody planted."""
    if broken := [check.claim for check in outcome.checks if not check.holds]:
        raise ReconciliationError(f"counts do not reconcile: {'; '.join(broken)}", hint=f"see {outcome.report_path}")
    if outcome.planted is None and (lost := outcome.load.failed + outcome.load.unprocessed):
        raise RejectedRecordsError(
            f"the platform refused {counted(lost, 'record')} ({by_reason(outcome.load.refused)})",
            hint=f"see {outcome.files['rejects']}",
        )
