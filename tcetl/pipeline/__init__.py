"""The few whole jobs, each a composition of the rooms and nothing more.

Airflow's operators and the ``tcetl`` command are two thin faces on these functions; a script may call them as well:

* feed → ThreatConnect: :func:`plan_feed` and :func:`load_feed`; then :func:`resume_load` and :func:`retry_load`; and
  before any of them, :func:`preview_feed`, :func:`preview_run`, :func:`preview_retry`
* tables of indicators, groups and associations → ThreatConnect: :func:`load_tables`
* ThreatConnect → lake: :func:`bulk_to_lake` and :func:`retrieve_to_lake`
* lake → SIEM: :func:`lake_to_siem`

A job imports the rooms that it is made of when it is first asked for, and no others.
"""

from typing import TYPE_CHECKING

from tcetl.on_demand import on_demand

if TYPE_CHECKING:
    from tcetl.pipeline.feed import load_feed, plan_feed, preview_feed
    from tcetl.pipeline.lake import bulk_to_lake, retrieve_to_lake
    from tcetl.pipeline.load import check_settings, commit_fetched, load_tables, resume_load, retry_load
    from tcetl.pipeline.preview import preview_retry, preview_run
    from tcetl.pipeline.progress import AnyPath, OnProgress
    from tcetl.pipeline.siem import lake_to_siem

__all__ = [
    "AnyPath",
    "OnProgress",
    "bulk_to_lake",
    "check_settings",
    "commit_fetched",
    "lake_to_siem",
    "load_feed",
    "load_tables",
    "plan_feed",
    "preview_feed",
    "preview_retry",
    "preview_run",
    "resume_load",
    "retrieve_to_lake",
    "retry_load",
]


_MODULE_OF = {
    "AnyPath": "progress",
    "OnProgress": "progress",
    "bulk_to_lake": "lake",
    "check_settings": "load",
    "commit_fetched": "load",
    "lake_to_siem": "siem",
    "load_feed": "feed",
    "load_tables": "load",
    "plan_feed": "feed",
    "preview_feed": "feed",
    "preview_retry": "preview",
    "preview_run": "preview",
    "resume_load": "load",
    "retrieve_to_lake": "lake",
    "retry_load": "load",
}

__getattr__ = on_demand(__name__, _MODULE_OF)
