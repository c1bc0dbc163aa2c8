"""An owner's indicators go into the lake: all of them, or through API filters."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Context

from tcetl.airflow.operators.base import ThreatConnectOperator, progress_log
from tcetl.lake import Dataset
from tcetl.pipeline import bulk_to_lake, retrieve_to_lake


class ThreatConnectBulkDownloadOperator(ThreatConnectOperator):
    """Stream an owner's bulk report into one published Parquet dataset, in constant memory.

    Returns ``dataset`` and ``manifest`` (paths), ``run_id``, ``owner``, ``rows``, ``rejected`` (records that are no
    indicators, kept beside the manifest), ``bytes``, ``files`` (their number) and ``by_type``.

    Args:
        lake: Root folder of the lake.
        tc_owner: Owner whose JSON bulk report is enabled; the connection's default owner when empty.
        run_id: Name of the dataset's run, which publishing again replaces; the DAG run's own when empty.
        run_now: Have the platform make a fresh report first, and wait for it.
        max_age: Refuse a report older than this.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = ("lake", "tc_owner", "run_id", "run_now", "threatconnect_conn_id")

    def __init__(
        self,
        *,
        lake: str,
        tc_owner: str | None = None,
        run_id: str | None = None,
        run_now: bool = False,
        max_age: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lake = lake
        self.tc_owner = tc_owner
        self.run_id = run_id
        self.run_now = run_now
        self.max_age = max_age

    def execute(self, context: Context) -> dict[str, Any]:
        """Download the report and publish the dataset."""
        hook = self.hook
        owner = hook.owner(self.tc_owner)
        with hook.get_conn() as tc:
            dataset = bulk_to_lake(
                tc,
                owner,
                self.lake,
                run_id=self.run_id or context["run_id"],
                run_now=self.run_now,
                max_age=self.max_age,
                on_progress=progress_log(self.log.info),
            )
        return self.emit(context, _summary(dataset, owner))


class ThreatConnectRetrieveOperator(ThreatConnectOperator):
    """Page an owner's indicators through API filters into one published Parquet dataset.

    Returns the same as :class:`ThreatConnectBulkDownloadOperator`.

    Args:
        lake: Root folder of the lake.
        tc_owner: Owner to read from; the connection's default owner when empty.
        run_id: Name of the dataset's run, which publishing again replaces; the DAG run's own when empty.
        type: One indicator type, such as ``Host``; all when None.
        filters: API filters such as ``confidence>50``.
        match_any: Keep what matches any filter instead of all.
        modified_since: Only indicators modified at or after this time: a datetime or ISO 8601 text, in UTC unless it
            says otherwise.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = (
        "lake",
        "tc_owner",
        "run_id",
        "type",
        "filters",
        "modified_since",
        "threatconnect_conn_id",
    )

    def __init__(
        self,
        *,
        lake: str,
        tc_owner: str | None = None,
        run_id: str | None = None,
        type: str | None = None,  # noqa: A002 - the API's word
        filters: Sequence[str] = (),
        match_any: bool = False,
        modified_since: datetime | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lake = lake
        self.tc_owner = tc_owner
        self.run_id = run_id
        self.type = type
        self.filters = filters
        self.match_any = match_any
        self.modified_since = modified_since

    def execute(self, context: Context) -> dict[str, Any]:
        """Page through the indicators and publish the dataset."""
        hook = self.hook
        owner = hook.owner(self.tc_owner)
        with hook.get_conn() as tc:
            dataset = retrieve_to_lake(
                tc,
                owner,
                self.lake,
                run_id=self.run_id or context["run_id"],
                type=self.type,
                filters=self.filters,
                match_any=self.match_any,
                modified_since=_moment(self.modified_since),
                on_progress=progress_log(self.log.info),
            )
        return self.emit(context, _summary(dataset, owner))


def _moment(value: datetime | str | None) -> datetime | None:
    """*value* as an aware datetime; None when it is empty."""
    if not value:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _summary(dataset: Dataset, owner: str) -> dict[str, Any]:
    return {
        "dataset": str(dataset.path),
        "manifest": str(dataset.manifest_path),
        "run_id": dataset.run_id,
        "owner": owner,
        "rows": dataset.rows,
        "rejected": dataset.rejected,
        "bytes": dataset.bytes,
        "files": len(dataset.files),
        "by_type": dataset.by_type,
    }
