"""A feed becomes a planned load."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from airflow.sdk import Context, conf
from airflow.sdk.exceptions import AirflowSkipException

from tcetl.airflow.operators.base import ThreatConnectOperator, progress_log
from tcetl.airflow.operators.run import planned
from tcetl.catalogue import resolve
from tcetl.client import BatchSettings
from tcetl.errors import ConfigError, NothingNewError
from tcetl.load import MAX_RECORDS, Run
from tcetl.pipeline import check_settings, plan_feed
from tcetl.transform import Transform
from tcetl.transform.user import Function


class FeedPlanOperator(ThreatConnectOperator):
    """Turn a feed into batch files in a run directory; nothing is sent. A directory that holds a plan is kept as it is.

    Returns ``run_dir``, ``owner``, ``chunks``, ``records`` and the feed's counts. The task is skipped, and what follows
    it, when the provider says that nothing is new since what *state* remembers.

    Args:
        feed: A feed that tcetl knows, by name (``tcetl feed list``); a definition of one's own (``….toml``); or a path,
            a pattern or an address.
        tc_owner: Owner to load into; the connection's default owner when empty.
        run_dir: The load's directory, the same for every try of this task; where none is given, one per DAG run under
            the provider's data folder.
        format: ``auto``, or a format that :func:`tcetl.feeds.open_feed` names.
        allow_private: Allow an address on your own network, not the public internet.
        options: Options of the format's reader, such as ``{"records": "/data/items"}``.
        member: The one file of an archive to read.
        password_env: The environment variable that holds the archive's password.
        columns: Columns by their role, such as ``{"value": "url", "also": {"ip": "Address"}}``; see
            :class:`tcetl.transform.ColumnMap`. All others are found by their names and values.
        state: File that remembers what was fetched; it moves on when the load has ended well.
        rating: Rating (0-5) for rows without one.
        confidence: Confidence (0-100) for rows without one.
        tags: Tags for every indicator.
        security_labels: Security labels for indicators and groups that bring none, such as ``TLP:AMBER``.
        allow: Allow-lists: ``reserved``, ``LIST=tag``, or ``{"list": …, "action": …, "urls_by_host": …}``.
        scores: Scores for what is tagged in some way or of some type: ``tag=c2,rating=5``, or as a mapping.
        decay: How confidence falls with age: ``30d``, or ``30d,10`` for a floor of 10.
        transforms: pandas functions, named as ``module:function``, in order; see docs/transforms.md.
        max_records: Most records in a batch job, at most 25,000.
        settings: Settings of the batch jobs beside the owner: fields of :class:`tcetl.client.BatchSettings` such as
            ``{"action": "Delete"}``; the defaults may be planned and uploaded again without harm.
        **kwargs: As for every operator.
    """

    template_fields: Sequence[str] = (
        "feed",
        "tc_owner",
        "run_dir",
        "format",
        "options",
        "member",
        "password_env",
        "columns",
        "state",
        "rating",
        "confidence",
        "tags",
        "security_labels",
        "allow",
        "scores",
        "decay",
        "transforms",
        "max_records",
        "settings",
        "threatconnect_conn_id",
    )

    def __init__(
        self,
        *,
        feed: str,
        tc_owner: str | None = None,
        run_dir: str | None = None,
        format: str = "auto",  # noqa: A002 - the word users know
        allow_private: bool = False,
        options: Mapping[str, Any] | None = None,
        member: str | None = None,
        password_env: str | None = None,
        columns: Mapping[str, Any] | None = None,
        state: str | None = None,
        rating: float | None = None,
        confidence: int | None = None,
        tags: Sequence[str] = (),
        security_labels: Sequence[str] = (),
        allow: Sequence[str | Mapping[str, Any]] = (),
        scores: Sequence[str | Mapping[str, Any]] = (),
        decay: str | Mapping[str, Any] | None = None,
        transforms: Sequence[str] = (),
        max_records: int = MAX_RECORDS,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.feed = feed
        self.tc_owner = tc_owner
        self.run_dir = run_dir
        self.format = format
        self.allow_private = allow_private
        self.options = options
        self.member = member
        self.password_env = password_env
        self.columns = columns
        self.state = state
        self.rating = rating
        self.confidence = confidence
        self.tags = tags
        self.security_labels = security_labels
        self.allow = allow
        self.scores = scores
        self.decay = decay
        self.transforms = transforms
        self.max_records = max_records
        self.settings = settings

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan the load, or take up the plan of an earlier try."""
        owner = self.hook.owner(self.tc_owner)
        run_dir = self.run_dir or _own_run_dir(context)
        settings = self._settings(owner)
        if Run.is_planned(run_dir):
            run = Run.open(run_dir)
            check_settings(run, settings)
            self.log.info("%s holds a plan already: going on with it", run_dir)
        else:
            run = self._planned(
                resolve(self.feed, self.format, allow_private=self.allow_private),
                owner,
                run_dir,
                options=self.options or {},
                member=self.member,
                password_env=self.password_env,
                columns=self.columns,
                state=self.state,
                rating=self.rating,
                confidence=self.confidence,
                tags=self.tags,
                security_labels=self.security_labels,
                allow=self.allow,
                scores=self.scores,
                decay=self.decay,
                transforms=self.transforms_of_try(context),
                max_records=int(self.max_records),
                settings=settings,
                on_progress=progress_log(self.log.info),
            )
        for note in run.plan.notes:
            self.log.warning(note)
        return self.emit(context, planned(run))

    def transforms_of_try(self, context: Context) -> Sequence[Transform | Function | str]:  # noqa: ARG002 - for those beneath
        """Return the transforms of this try."""
        return self.transforms

    def _planned(self, *feed: Any, **options: Any) -> Run:
        try:
            return plan_feed(*feed, **options)
        except NothingNewError as error:
            raise AirflowSkipException(str(error)) from error

    def _settings(self, owner: str) -> BatchSettings:
        try:
            return BatchSettings(owner=owner, **(self.settings or {}))
        except TypeError as error:
            raise ConfigError(f"settings {self.settings!r} are not those of a batch job: {error}") from None


def _own_run_dir(context: Context) -> str:
    folder = conf.get("threatconnect", "data_folder")
    return os.path.join(folder, "runs", context["dag"].dag_id, quote(context["run_id"], safe=""))  # noqa: PTH118 - may be a URL
