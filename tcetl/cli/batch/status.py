"""``tcetl batch status``: where a load stands."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tcetl.cli.connection import Connect, connectable
from tcetl.cli.console import Json, by_reason, counted, print_facts, print_json, print_table
from tcetl.cli.loading import RunDir
from tcetl.cli.options import examples

if TYPE_CHECKING:
    from tcetl.client.batch import BatchStatus
    from tcetl.load import Receipt
    from tcetl.load.chain import Generation
    from tcetl.load.standing import Standing

app = typer.Typer()

_LINES: Final = 20


@app.command(
    **examples(
        "tcetl batch status runs/monday",
        "tcetl batch status runs/monday --refresh   # and how its open jobs stand at the platform",
        "tcetl batch status s3://loads/monday --json",
    )
)
@connectable
def status(
    connect: Connect,
    run: RunDir,
    *,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the platform how the open jobs stand; nothing is written down.")
    ] = False,
    all_chunks: Annotated[bool, typer.Option("--all", help=f"Every chunk, not {_LINES} at most.")] = False,
    json: Json = False,
) -> None:
    """Where the load at RUN stands: its chunks and jobs, who is at work on it, its retries.

    Reads the directory alone, unless told to --refresh, and may be asked while
    the load goes on.
    """
    from tcetl.load import Run
    from tcetl.load.standing import look, standing

    opened = Run.open(run)
    live: Mapping[int, BatchStatus] = {}
    if refresh and standing(opened).open_jobs:
        with connect() as tc:
            live = look(tc, opened)
    now = standing(opened)
    if json:
        print_json({"standing": now, "live": list(live.values())})
        return
    print_facts(f"Load {now.run_dir}", _facts(now))
    chunks = now.chunks if all_chunks else _telling(now.chunks)
    if chunks:
        columns = ("chunk", "phase", "job", "records", "loaded", "failed", "unprocessed", "for")
        print_table(f"\n{_heading(chunks, now.chunks)}", columns, [_line(chunk, live) for chunk in chunks])
    if len(now.generations) > 1:
        print_table(
            "The load and its retries, in records",
            ("run", "owed", "mended", "set aside", "sent", "loaded", "left"),
            [_generation(one) for one in now.generations],
        )


def _generation(one: "Generation") -> tuple[Any, ...]:
    name = one.run_dir.rstrip("/").rpartition("/")[2]
    aside = one.removed + one.unattributed + one.rejected + one.duplicates
    return (name, one.owed, one.mended, aside, one.sent, one.succeeded, one.left)


def _facts(now: "Standing") -> dict[str, Any]:
    ended = now.succeeded + now.failed + now.unprocessed
    counts = f"{now.succeeded:,} loaded, {now.failed:,} failed, {now.unprocessed:,} unprocessed"
    return {
        "state": _state(now),
        "owner": f"{now.owner} ({now.action})",
        "records": f"{now.records:,} to send, {now.sent:,} sent, {ended:,} answered for",
        "of those": counts if ended else None,
        "chunks": by_reason(now.phases),
        "open jobs": ", ".join(map(str, now.open_jobs)) or "none",
        "at work": ", ".join(map(_holder, now.holders)) or "nobody",
        "notes": "\n".join(now.notes) or None,
        "retry of": now.parent,
        "retried in": now.retried_in,
        "next": _next(now),
    }


def _state(now: "Standing") -> str:
    if now.report is None or now.state != "incomplete":
        return now.state
    refused = by_reason(now.report.refused)
    return f"incomplete: {now.failed + now.unprocessed:,} of {now.records:,} records were not loaded ({refused})"


def _holder(holder: Any) -> str:
    what = "" if holder.chunk is None else f" (chunk {holder.chunk})"
    return f"process {holder.pid} on {holder.host} since {holder.since}{what}"


def _next(now: "Standing") -> str | None:
    match now.state:
        case "planned" | "interrupted" | "answered":
            return f"tcetl batch resume {now.run_dir}"
        case "incomplete" if now.retried_in:
            return f"tcetl batch status {now.retried_in}"
        case "incomplete":
            return f"tcetl batch errors {now.run_dir}\ntcetl batch retry {now.run_dir}"
        case _:
            return None


def _telling(chunks: list["Receipt"]) -> list["Receipt"]:
    """The chunks that say most: those under way, then those that lost records, then the others."""
    ranked = sorted(chunks, key=lambda one: (not one.is_open, not (one.failed or one.unprocessed), one.chunk))
    return sorted(ranked[:_LINES], key=lambda one: one.chunk)


def _heading(shown: list["Receipt"], of: list["Receipt"]) -> str:
    return counted(len(of), "chunk") if len(shown) == len(of) else f"{len(shown)} of {len(of):,} chunks (--all)"


def _line(receipt: "Receipt", live: Mapping[int, "BatchStatus"]) -> Iterable[Any]:
    now: Any = live.get(receipt.batch_id or 0)
    phase = f"{receipt.phase}: {now.status}" if now else "abandoned" if receipt.abandoned_at else receipt.phase
    counts = now or receipt
    job = str(receipt.batch_id) if receipt.batch_id else ""
    ended = (counts.succeeded, counts.failed, counts.unprocessed)
    return (receipt.chunk, phase, job, receipt.records, *ended, _age(receipt))


def _age(receipt: "Receipt") -> str:
    if receipt.created_at is None:
        return ""
    seconds = ((receipt.completed_at or datetime.now(UTC)) - receipt.created_at).total_seconds()
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
