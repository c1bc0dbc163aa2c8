"""What the commands print: progress on standard error, results as tables or JSON on standard output."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]

# Stage of a pipeline job → what it is called while it runs, and its unit.
_STAGES: Final = {
    "read": ("Reading the feed", "rows"),
    "load": ("Loading", "records"),
    "compare": ("Reading the owner", "indicators"),
    "download": ("Downloading", "bytes"),
    "retrieve": ("Retrieving", "indicators"),
    "sort": ("Sorting", "indicators"),
    "export": ("Exporting", "indicators"),
}

_SHORT: Final = 20


@contextmanager
def progress() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Show the stages of a pipeline job while it runs; yields its ``on_progress``, None when nobody is watching."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Done(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def on_progress(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                description, unit = _STAGES.get(stage, (stage, ""))
                tasks[stage] = bars.add_task(description, total=total, unit=unit)
            bars.update(tasks[stage], completed=done, total=total)

        yield on_progress


class _Done(ProgressColumn):
    """``1,200 / 6,000 rows``, or ``12.1 MB`` where no total is known."""

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit", "")
        number = decimal if unit == "bytes" else "{:,}".format
        parts = [number(int(task.completed))]
        if task.total is not None:
            parts.append(number(int(task.total)))
        return Text(" / ".join(parts) + (f" {unit}" if unit != "bytes" else ""), style="progress.download")


def print_json(result: Any) -> None:
    """Print *result* as one JSON document on standard output; what JSON does not know is printed as text."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2).decode())


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print names and values as a two-column table; numbers to the right with thousands separators."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, escape(_text(value)))
    Console().print(table)


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print *rows* under *columns*, one line each: what does not fit is cut."""
    listed = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numbers = any(row[index] is not None for row in listed) and all(
            isinstance(row[index], int | float | None) for row in listed
        )
        short = all(len(_text(row[index])) <= _SHORT for row in listed)
        # Only long columns give way where the terminal is narrow.
        table.add_column(column, justify="right" if numbers else "left", no_wrap=short)
    for row in listed:
        table.add_row(*(Text(_text(value), no_wrap=True, overflow="ellipsis") for value in row))
    Console().print(table)


def print_records(title: str, records: Iterable[Any]) -> None:
    """Print *records* as JSON, one after the other, indented, and coloured where somebody looks."""
    import msgspec

    console = Console(soft_wrap=True)
    if title:
        console.print(title, style="bold", highlight=False)
    for record in records:
        console.print_json(msgspec.json.encode(record).decode(), indent=2)


def print_lines(title: str, records: Iterable[Any]) -> None:
    """Print *records* as JSON, one a line, for eyes: the terminal breaks what is long."""
    import msgspec

    console = Console(soft_wrap=True, highlight=False)
    console.print(title, style="bold")
    for record in records:
        console.print(escape(msgspec.json.encode(record).decode()))


def by_reason(counts: Mapping[str, int]) -> str:
    """``bad-url: 3, bad-hash: 1``: counts by name, the largest first; ``none`` for no counts."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name}: {count:,}" for name, count in ordered if count) or "none"


def counted(count: int, thing: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _text(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if value is None:
        return ""
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
