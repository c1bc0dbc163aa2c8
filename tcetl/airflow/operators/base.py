"""What all operators share: the connection, results for XCom and assets, and when a retry is of no use."""

import time
from collections.abc import Callable
from typing import Any, Final

from airflow.sdk import Asset, BaseOperator, Context, ExceptionRetryPolicy, RetryAction, RetryRule

from tcetl.airflow.hooks.threatconnect import ThreatConnectHook
from tcetl.errors import (
    AuthenticationError,
    ConfigError,
    FeedError,
    OwnerNotFoundError,
    ReconciliationError,
    RejectedRecordsError,
    TlsError,
    TransformError,
)

SURE_FAILURES: Final = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[
                AuthenticationError,
                ConfigError,
                FeedError,
                OwnerNotFoundError,
                ReconciliationError,
                RejectedRecordsError,
                TlsError,
                TransformError,
            ],
            action=RetryAction.FAIL,
            reason="trying again would fail in the same way",
        )
    ]
)
"""The operators' default ``retry_policy``: fail at once where somebody has to mend something first."""


class EtlOperator(BaseOperator):
    """Base of the operators. ``execute`` returns a small dict, whose keys can be had as ``task.output["key"]``.

    Args:
        **kwargs: As for every operator; ``retry_policy`` is :data:`SURE_FAILURES` unless given.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", SURE_FAILURES)
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)

    def emit(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        """Attach *result* to the event of every outlet asset, and return it for XCom."""
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra = result
        return result


class ThreatConnectOperator(EtlOperator):
    """Base of the operators that talk to the platform.

    Args:
        threatconnect_conn_id: The connection.
        **kwargs: As for every operator.
    """

    def __init__(self, *, threatconnect_conn_id: str = ThreatConnectHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threatconnect_conn_id = threatconnect_conn_id

    @property
    def hook(self) -> ThreatConnectHook:
        """The hook of the task's connection."""
        return ThreatConnectHook(self.threatconnect_conn_id)


def progress_log(write: Callable[[str], object], every: float = 10.0) -> Callable[[str, int, int | None], None]:
    """An ``on_progress`` that tells *write*, such as ``self.log.info``, at most once in *every* seconds."""
    last = time.monotonic()

    def on_progress(stage: str, done: int, total: int | None = None) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= every:
            last = now
            write(f"{stage}: {done:,}" + ("" if total is None else f" of {total:,}"))

    return on_progress
