"""What `tcetl load` and `tcetl batch` share: the options of a load, and how its report is shown."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from tcetl.cli.console import by_reason, counted, print_facts, print_json, progress
from tcetl.errors import RejectedRecordsError

if TYPE_CHECKING:
    from tcetl.load import LoadReport
    from tcetl.pipeline import OnProgress


def _threshold(text: str) -> str:
    from tcetl.errors import LoadError
    from tcetl.load.threshold import allowed

    try:
        allowed(text, 0)
    except LoadError as error:
        raise typer.BadParameter(f"{text!r} is neither a number of records nor a share such as 1%") from error
    return text


_SENDING: Final = "Sending"
_JOBS: Final = "Batch job settings"

MaxErrors = Annotated[
    str,
    typer.Option(
        help="Records that the platform may refuse or leave before the load counts as failed (exit code 3): a number, "
        "or a share of those sent such as 1%.",
        metavar="N|N%",
        parser=_threshold,
        rich_help_panel=_SENDING,
    ),
]
InFlight = Annotated[
    int,
    typer.Option(
        help="Most batch jobs open on the platform at a time; it works on few at once in any case.",
        min=1,
        rich_help_panel=_SENDING,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        help="Seconds for all jobs together. When they are up the load pauses: resume it any time.",
        min=1,
        rich_help_panel=_SENDING,
    ),
]
StuckAfter = Annotated[
    float,
    typer.Option(
        help="Seconds that a job may stand still, in state and counts, before that is an error.",
        min=1,
        rich_help_panel=_SENDING,
    ),
]
MaxRecords = Annotated[
    int,
    typer.Option(
        help="Most records in one job. The platform takes 25,000; fewer is less to redo when a job is lost.",
        min=1,
        max=25_000,
        rich_help_panel=_SENDING,
    ),
]
MaxBytes = Annotated[
    int,
    typer.Option(
        help="Most bytes in one job: lower it where the platform says 'File size greater than allowable limit'.",
        min=100,
        rich_help_panel=_SENDING,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be sent, and write nothing to the platform, nor keep anything."),
]
Diff = Annotated[
    bool,
    typer.Option("--diff", help="With --dry-run: read what the platform holds, and show what would change there."),
]
RunDir = Annotated[str, typer.Argument(help="The load's run directory.", metavar="RUN")]

_CHOICE: Final[dict[str, Any]] = {"case_sensitive": False, "rich_help_panel": _JOBS}

Action = Annotated[
    Literal["Create", "Delete"],
    typer.Option(
        help="Create: make the indicators, or update those that are there. Delete: remove them.",
        metavar="ACTION",
        **_CHOICE,
    ),
]
HaltOnError = Annotated[
    bool,
    typer.Option(
        "--halt-on-error",
        help="A job stops at its first bad record; the rest of it counts as unprocessed, for a retry.",
        rich_help_panel=_JOBS,
    ),
]
AttributeWriteType = Annotated[
    Literal["Replace", "Append", "Singleton", "Static"],
    typer.Option(
        help="Attributes of indicators that are there. Replace: all of them. Append: add, so that a second load "
        "doubles them. Singleton: replace those of the same types. Static: leave them.",
        metavar="TYPE",
        **_CHOICE,
    ),
]
TagWriteType = Annotated[
    Literal["Replace", "Append"],
    typer.Option(
        help="Tags of indicators that are there. Replace: only the feed's remain. Append: add the feed's.",
        metavar="TYPE",
        **_CHOICE,
    ),
]
SecurityLabelWriteType = Annotated[
    Literal["Replace", "Append"],
    typer.Option(help="Security labels, likewise: Replace or Append.", metavar="TYPE", **_CHOICE),
]
FileMergeMode = Annotated[
    Literal["Merge", "Distribute"] | None,
    typer.Option(
        help="A File whose hashes are those of several that are there. Merge: make them one. Distribute: keep them, "
        "and update each. Else the platform's choice, Merge.",
        metavar="MODE",
        **_CHOICE,
    ),
]
HashCollisionMode = Annotated[
    Literal["FavorIncoming", "FavorExisting", "IgnoreIncoming", "IgnoreExisting", "Split"] | None,
    typer.Option(
        help="A File that shares one hash with one that is there and contradicts another. FavorIncoming, "
        "FavorExisting: whose hash wins. IgnoreIncoming: skip it. IgnoreExisting: drop the hashes, or the Files, in "
        "conflict. Split: keep both, update both. Else the platform's choice, FavorIncoming.",
        metavar="MODE",
        **_CHOICE,
    ),
]
PlaybookTriggers = Annotated[
    bool,
    typer.Option("--playbook-triggers", help="Let every record trigger playbooks.", rich_help_panel=_JOBS),
]


def finish_with_report(load: Callable[["OnProgress | None"], "LoadReport"], *, json: bool) -> None:
    """Run *load* under a progress bar and print its report, also when it fails for what was refused."""
    from tcetl.load import Run

    try:
        with progress() as on_progress:
            report = load(on_progress)
    except RejectedRecordsError as error:
        if error.run_dir is not None:  # the run is over and fully accounted for: show it, then fail
            print_report(Run.open(error.run_dir).report(), json=json)
        raise
    print_report(report, json=json)


def _sent_by_kind(report: "LoadReport") -> dict[str, int]:
    return {kind: counts.sent for kind, counts in report.kinds.items()}


def print_report(report: "LoadReport", *, json: bool) -> None:
    """Print what a load came to."""
    if json:
        print_json(report.to_json())
        return
    facts: dict[str, Any] = {
        "retry of": report.parent,
        "rows read" if report.parent is None else "records owed": report.rows_read,
        "rejected": by_reason(report.rejected),
        "duplicates": report.duplicates,
        "merged": report.merged or None,
        "sent": f"{report.sent:,} in {counted(report.jobs, 'job')}",
        "of these": by_reason(kinds) if (kinds := _sent_by_kind(report)).keys() - {"indicator"} else None,
        "succeeded": report.succeeded,
        "failed": report.failed,
        "unprocessed": report.unprocessed,
        "seconds": report.seconds,
        "notes": "\n".join(report.notes) or None,
        "run": report.run_dir,
        "rejects": report.rejects_path,
    }
    print_facts(f"Load into {report.owner}", facts)
