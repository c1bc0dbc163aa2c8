"""``tcetl batch errors``: what was not loaded, and why."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tcetl.cli.console import Json, counted, print_json
from tcetl.cli.loading import RunDir
from tcetl.cli.options import examples

if TYPE_CHECKING:
    import pyarrow as pa

    from tcetl.load.complaints import Complaint

app = typer.Typer()


@app.command(
    **examples(
        "tcetl batch errors runs/monday",
        "tcetl batch errors runs/monday --code 0x1005 --csv > invalid.csv",
        "tcetl batch errors runs/monday --severity warning   # loaded, but not all of it",
    )
)
def errors(
    run: RunDir,
    *,
    code: Annotated[
        list[str], typer.Option(help="Only this code, such as 0x1005 or bad-url; repeat for more.", metavar="CODE")
    ] = [],  # noqa: B006 - typer copies it
    severity: Annotated[
        Literal["error", "warning", "info"] | None,
        typer.Option(help="Only this severity. By default errors and warnings; info is of duplicates and the like."),
    ] = None,
    unattributed: Annotated[
        bool, typer.Option("--unattributed", help="Only complaints that name no record with certainty.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print each of them, in the form of RUN/rejects.csv.")] = False,
    json: Json = False,
) -> None:
    """What the load at RUN did not load, by code and reason, with examples and where they stood in the source.

    Rows refused before anything was sent have a code in words (bad-url); the
    platform's begin with 0x. To mend records, edit RUN/rejects.csv, and then:
    tcetl batch retry RUN.
    """
    from tcetl.load import Run
    from tcetl.load.complaints import SEVERITIES, by_reason, chosen, rejects

    opened = Run.open(run)
    severities = (severity,) if severity else SEVERITIES[:2]
    found = chosen(rejects(opened), codes=code, severities=severities, unattributed=unattributed)
    if csv:
        _print_csv(found)
        return
    complaints = by_reason(found)
    if json:
        print_json(complaints)
    elif complaints:
        _print(run, complaints)
    else:
        typer.echo(f"{run} has none such.")


def _print_csv(tables: "Iterable[pa.Table]") -> None:
    from tcetl.load.spreadsheet import SheetWriter

    sheet = SheetWriter(sys.stdout.buffer)
    for table in tables:
        sheet.write(table)


def _print(run: str, complaints: "list[Complaint]") -> None:
    records = sum(complaint.count for complaint in complaints)
    title = f"{counted(records, 'record')} of {run}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("code", no_wrap=True)
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold", ratio=3)
    table.add_column("for example", overflow="fold", ratio=2)
    for complaint in complaints:
        code = complaint.code if complaint.severity == "error" else f"{complaint.code}\n({complaint.severity})"
        example = "\n".join(_example(one) for one in complaint.examples[:2])
        table.add_row(escape(code), f"{complaint.count:,}", escape(complaint.reason), escape(example))
    Console().print(table)


def _example(row: dict[str, Any]) -> str:
    place = ":".join(
        str(part) for part in (row["file"] or row["source"], row["pointer"] or row["row"]) if part is not None
    )
    name = row["summary"] if row["summary"] is not None else "no record named" if row["chunk"] is not None else ""
    return "  ".join(part for part in (place, name[:60]) if part)
