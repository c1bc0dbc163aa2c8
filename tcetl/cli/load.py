"""``tcetl load``: a feed into ThreatConnect."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tcetl.cli.connection import connected, owner_or_default
from tcetl.cli.console import Json
from tcetl.cli.loading import (
    Action,
    AttributeWriteType,
    Diff,
    DryRun,
    FileMergeMode,
    HaltOnError,
    HashCollisionMode,
    InFlight,
    MaxBytes,
    MaxErrors,
    MaxRecords,
    PlaybookTriggers,
    SecurityLabelWriteType,
    StuckAfter,
    TagWriteType,
    Timeout,
    finish_with_report,
)
from tcetl.cli.options import Feed, Owner, examples, new_run_id
from tcetl.cli.preview import check_options, show_preview
from tcetl.cli.reading import FeedOptions, reads_feed

if TYPE_CHECKING:
    from tcetl.client import ThreatConnect


app = typer.Typer()


@app.command(
    **examples(
        "tcetl load urlhaus.csv --owner 'My Source' --tag urlhaus --confidence 60",
        "tcetl load urlhaus.csv --owner 'My Source' --dry-run --diff        # what would change",
        "tcetl load urlhaus.csv --owner 'My Source' --run-dir runs/monday   # again after a crash: goes on",
        "tcetl load threatfox-recent --owner 'OSINT' --state feeds.state   # a feed of tcetl feed list",
        "tcetl load ips.csv --owner 'My Source' --allow-list reserved --allow-list cdn.json=tag --tlp amber",
        "tcetl load mixed.csv --owner 'My Source' --column value=bad_url --also ip=Address",
        "tcetl load ips.csv --owner 'My Source' --score tag=c2,rating=5 --decay 30d",
        "tcetl load expired.txt --owner 'My Source' --action Delete --max-errors 1%",
    )
)
@connected
@reads_feed
def load(
    tc: "ThreatConnect",
    feed: Feed,
    *,
    options: FeedOptions,
    owner: Owner = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            help="The load's own directory; an interrupted load goes on there. Else a new one under runs/.",
            metavar="DIR",
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(help="Remember here what was loaded, so that next time only what is new is.", metavar="FILE"),
    ] = None,
    dry_run: DryRun = False,
    diff: Diff = False,
    groups: Annotated[
        bool,
        typer.Option(help="Load the reports, malware, events, rules, vulnerabilities … of a STIX or MISP feed too."),
    ] = False,
    max_errors: MaxErrors = "0",
    in_flight: InFlight = 2,
    timeout: Timeout = 3600,
    stuck_after: StuckAfter = 900,
    max_records: MaxRecords = 10_000,
    max_bytes: MaxBytes = 50_000_000,
    action: Action = "Create",
    halt_on_error: HaltOnError = False,
    attribute_write_type: AttributeWriteType = "Replace",
    tag_write_type: TagWriteType = "Replace",
    security_label_write_type: SecurityLabelWriteType = "Replace",
    file_merge_mode: FileMergeMode = None,
    hash_collision_mode: HashCollisionMode = None,
    playbook_triggers: PlaybookTriggers = False,
    json: Json = False,
) -> None:
    """Load FEED into an owner by batch jobs; every row ends as loaded, rejected or duplicate.

    Afterwards, tcetl batch shows where the load stands, what was refused and why, and tries that again.
    """
    from tcetl.client import BatchSettings
    from tcetl.feeds import feed_name
    from tcetl.pipeline import load_feed, preview_feed

    check_options(dry_run=dry_run, diff=diff)
    owner = owner_or_default(tc, owner)
    definition = options.definition(feed)
    settings = BatchSettings(
        owner=owner,
        action=action,
        halt_on_error=halt_on_error,
        attribute_write_type=attribute_write_type,
        tag_write_type=tag_write_type,
        security_label_write_type=security_label_write_type,
        file_merge_mode=file_merge_mode,
        hash_collision_mode=hash_collision_mode,
        playbook_triggers_enabled=playbook_triggers,
    )
    planning: dict[str, Any] = {
        "settings": settings,
        "state": state,
        "transforms": options.transforms,
        "columns": options.columns,
        "groups": groups,
        "max_records": max_records,
        "max_bytes": max_bytes,
    }
    if dry_run:
        tc.owner(owner)
        show_preview(
            lambda: nullcontext(tc),
            lambda with_, told: preview_feed(definition, owner, run_dir, diff_with=with_, on_progress=told, **planning),
            diff=diff,
            json=json,
        )
        return
    finish_with_report(
        lambda on_progress: load_feed(
            tc,
            definition,
            owner,
            run_dir or f"runs/{definition.name or feed_name(feed)}-{new_run_id()}",
            submitting={
                "max_errors": max_errors,
                "in_flight": in_flight,
                "timeout": timeout,
                "stuck_after": stuck_after,
            },
            on_progress=on_progress,
            **planning,
        ),
        json=json,
    )
