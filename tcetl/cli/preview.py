"""How `--dry-run` shows what would be sent, and with `--diff` what would change."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

from tcetl.cli.connection import Connect
from tcetl.cli.console import by_reason, counted, print_facts, print_json, print_lines, print_table, progress
from tcetl.errors import ConfigError

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect
    from tcetl.load.diff import Diff
    from tcetl.load.preview import Preview
    from tcetl.pipeline import OnProgress

_Previewing = Callable[["ThreatConnect | None", "OnProgress | None"], "Preview"]


def check_options(*, dry_run: bool, diff: bool) -> None:
    """Refuse `--diff` without `--dry-run`."""
    if diff and not dry_run:
        raise ConfigError("--diff goes with --dry-run", hint="it shows what would change, before anything is sent")


def show_preview(connect: Connect, previewing: _Previewing, *, diff: bool, json: bool) -> None:
    """Make a preview, with the connection only if *diff* wants it, and print it."""
    with progress() as on_progress:
        if diff:
            with connect() as tc:
                shown = previewing(tc, on_progress)
        else:
            shown = previewing(None, on_progress)
    if json:
        print_json(shown)
    else:
        _print(shown)


def settings_text(settings: dict[str, Any]) -> str:
    """The settings of a batch job, but for the owner, in one line."""
    return ", ".join(
        f"{key} {str(value).lower() if isinstance(value, bool) else value}"
        for key, value in settings.items()
        if key != "owner"
    )


def _print(shown: "Preview") -> None:
    print_facts(
        "Dry run: nothing was sent",
        {
            "run": shown.run_dir,
            "owner": shown.settings["owner"],
            "settings": settings_text(shown.settings),
            "rows read": shown.rows_read,
            "rejected": by_reason(shown.rejected),
            "duplicates": shown.duplicates,
            "mended by hand": len(shown.mends) or None,
            "would send": by_reason(shown.records),
            "in": f"{counted(shown.jobs, 'job')}, {decimal(shown.bytes)}",
            "beside them": counted(shown.files, "file upload") if shown.files else None,
            **(_diff_facts(shown.diff) if shown.diff else {}),
            "notes": "\n".join(shown.notes) or None,
        },
    )
    if shown.mends:
        few = shown.mends[:10]
        lines = [(one.letter, f"{one.was.type} {one.was.summary}", f"{one.now.type} {one.now.summary}") for one in few]
        print_table(f"\n{len(few)} of {counted(len(shown.mends), 'mend')}", ("letter", "was", "is"), lines)
    if shown.diff and (lines_of_diff := list(_diff_lines(shown.diff))):
        title = "What would change, of some of the records"
        print_table(f"\n{title}", ("type", "value", "field", "is", "becomes"), lines_of_diff)
    if shown.samples:
        print_lines(f"\n{len(shown.samples)} of the records", shown.samples)


def _diff_facts(diff: "Diff") -> dict[str, Any]:
    outcomes = {str(outcome): count for outcome, count in diff.outcomes.items()}
    return {
        "of those": by_reason(outcomes),
        "would change": by_reason(diff.fields) if diff.fields else None,
        "not compared": by_reason(diff.not_compared) if diff.not_compared else None,
    }


def _diff_lines(diff: "Diff") -> Iterator[tuple[str, ...]]:
    for outcome in ("changed", "new", "deleted", "not there"):
        for one in diff.examples.get(outcome, ()):
            for change in one.changes:
                yield (one.type, one.summary, change.field, change.was, change.becomes)
            if not one.changes:
                yield (one.type, one.summary, f"({outcome})", "", "")
