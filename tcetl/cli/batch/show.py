"""``tcetl batch show``: what a load would send, or has sent."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal

from tcetl.cli.console import Json, by_reason, counted, print_facts, print_json, print_records, print_table
from tcetl.cli.loading import RunDir
from tcetl.cli.options import examples
from tcetl.cli.preview import settings_text
from tcetl.errors import LoadError

if TYPE_CHECKING:
    from tcetl.load import Receipt, Run
    from tcetl.load.trace import Trace

app = typer.Typer()


@app.command(
    **examples(
        "tcetl batch show runs/monday",
        "tcetl batch show runs/monday --chunk 3 --rows 20",
        "tcetl batch show runs/monday --record c2.example.net   # what became of it",
    )
)
def show(
    run: RunDir,
    *,
    chunk: Annotated[
        int | None, typer.Option(help="One chunk, and the first of its records.", min=0, metavar="N")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            help="The records with this value or hash: origin, content, and what became of them.", metavar="VALUE"
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Records of the chunk to show.", min=0)] = 5,
    json: Json = False,
) -> None:
    """What the load at RUN is to send, or has sent: its settings, its chunks, their records."""
    from tcetl.load import Run

    opened = Run.open(run)
    if record is not None:
        _show_record(opened, record, json=json)
    elif chunk is not None:
        _show_chunk(opened, chunk, rows, json=json)
    else:
        _show_run(opened, json=json)


def _show_run(run: "Run", *, json: bool) -> None:
    from tcetl.load.mending.mends import read_mends

    receipts, mends = run.receipts(), read_mends(run)
    types = [Counter(run.origins(receipt.chunk)["type"].to_pylist()) for receipt in receipts]
    if json:
        chunks = [
            {"chunk": receipt.chunk, "records": receipt.records, "bytes": receipt.bytes, "types": types[index]}
            for index, receipt in enumerate(receipts)
        ]
        print_json(
            {"run_dir": run.path, "planned_at": run.plan.created_at, "settings": run.settings.to_json()}
            | {"counts": dict(run.counts), "rejected": run.plan.rejected, "chunks": chunks, "mends": mends}
        )
        return
    rejected = Counter(run.counts.get("rejected", {})) + Counter(run.plan.rejected)
    print_facts(
        f"Load {run.path}",
        {
            "owner": run.settings.owner,
            "planned": f"{run.plan.created_at:%Y-%m-%d %H:%M:%S} UTC",
            "settings": settings_text(run.settings.to_json()),
            "rows read": run.counts.get("rows_read"),
            "rejected": by_reason(rejected),
            "duplicates": run.counts.get("duplicates"),
            "mended by hand": run.counts.get("mended"),
            "records": by_reason(sum(types, Counter())),
            "size": decimal(sum(receipt.bytes for receipt in receipts)),
            "retry of": run.plan.parent,
        },
    )
    if receipts:
        columns = ("chunk", "phase", "job", "records", "size", "types")
        print_table(
            f"\n{counted(len(receipts), 'chunk')}",
            columns,
            [_line(*pair) for pair in zip(receipts, types, strict=True)],
        )
    if mends:
        shown = mends[:10]
        title = f"{len(shown)} of {len(mends):,} records that were mended by hand"
        lines = [
            (one.letter, f"{one.was.type} {one.was.summary}", f"{one.now.type} {one.now.summary}") for one in shown
        ]
        print_table(title, ("letter", "was", "is"), lines)


def _line(receipt: "Receipt", types: Counter[str]) -> tuple[Any, ...]:
    job = str(receipt.batch_id) if receipt.batch_id else ""
    return (receipt.chunk, receipt.phase, job, receipt.records, decimal(receipt.bytes), by_reason(types))


def _show_chunk(run: "Run", number: int, rows: int, *, json: bool) -> None:
    import msgspec

    receipt = run.receipts([number])[0]
    records = [msgspec.json.decode(record) for record in run.records(number)[:rows]]
    types = Counter(run.origins(number)["type"].to_pylist())
    if json:
        print_json({"receipt": receipt, "types": types, "records": records})
        return
    print_facts(
        f"Chunk {number} of {run.path}",
        {
            "phase": receipt.phase,
            "job": str(receipt.batch_id) if receipt.batch_id else "none yet",
            "records": by_reason(types),
            "size": f"{receipt.bytes:,} bytes",
            "sha256": receipt.sha256,
            "loaded": receipt.succeeded,
            "failed": receipt.failed,
            "unprocessed": receipt.unprocessed,
        },
    )
    print_records(f"\nThe first {len(records)} of its records", records)


def _show_record(run: "Run", value: str, *, json: bool) -> None:
    from tcetl.load.trace import trace

    found = trace(run, value)
    if not found:
        raise LoadError(
            f"{run.path} has no record {value!r}", hint="give a whole value, or one hash, as it is shown elsewhere"
        )
    if json:
        print_json(found)
        return
    for one in found:
        print_facts(f"{one.type or 'Row'} {one.summary or value}", _trace_facts(one))
        if one.record is not None:
            print_records("", [one.record])


def _trace_facts(one: "Trace") -> dict[str, Any]:
    origin = one.origin
    place = ":".join(str(origin[key]) for key in ("file", "row", "pointer") if key in origin)
    return {
        "came from": place or origin.get("source"),
        "as": origin.get("raw"),
        "place": None if one.chunk is None else f"record {one.index} of chunk {one.chunk}",
        "job": str(one.batch_id) if one.batch_id else None,
        "outcome": one.outcome,
    }
