"""Watching batch jobs without holding a worker."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tcetl.airflow.hooks.threatconnect import ThreatConnectHook
from tcetl.client import ThreatConnect
from tcetl.errors import ApiError, ConnectionFailedError, TcetlError, TlsError

FAILURES: Final = 10
"""Looks in a row that may fail for passing reasons before the worker is woken."""


class BatchJobsTrigger(BaseTrigger):
    """Fires when one of the jobs has ended, when the time is up, or when watching is of no use any more.

    It only looks: creating, uploading, judging and failing are the worker's, which asks the platform again in any case
    and so meets the same trouble with a clear error. Death of the triggerer costs nothing but a look.

    Args:
        threatconnect_conn_id: The connection; its secrets are never among the trigger's arguments.
        batch_ids: The jobs to watch.
        poll_interval: Seconds between two looks, and before the first: the worker has just looked.
        deadline: Unix time at which the trigger fires in any case.
    """

    def __init__(
        self, *, threatconnect_conn_id: str, batch_ids: Sequence[int], poll_interval: float, deadline: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.threatconnect_conn_id = threatconnect_conn_id
        self.batch_ids = list(batch_ids)
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and arguments from which any triggerer makes this trigger again."""
        return (
            "tcetl.airflow.triggers.batch.BatchJobsTrigger",
            {
                "threatconnect_conn_id": self.threatconnect_conn_id,
                "batch_ids": self.batch_ids,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch until there is something to do; the event carries the deadline back to the operator."""
        try:
            with await ThreatConnectHook(self.threatconnect_conn_id).aget_conn() as tc:
                await self._watch(tc)
        except TcetlError as error:
            self.log.warning("no use watching jobs %s: %s", self.batch_ids, error)
        yield TriggerEvent({"deadline": self.deadline})  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Say which jobs the platform still works on: it offers no way to stop them."""
        self.log.warning("killed; jobs %s go on at the platform", self.batch_ids)

    async def _watch(self, tc: ThreatConnect) -> None:
        failures = 0
        while (left := self.deadline - time.time()) > 0:
            await asyncio.sleep(min(self.poll_interval, left))
            try:
                # The client is a blocking one: it must not run in the loop that all triggers share.
                if await asyncio.to_thread(self._any_finished, tc):
                    return
                failures = 0
            except (ApiError, ConnectionFailedError) as error:
                failures += 1
                if failures >= FAILURES or not _passing(error):
                    raise
                self.log.warning("look %s of %s failed: %s", failures, FAILURES, error)

    def _any_finished(self, tc: ThreatConnect) -> bool:
        return any(tc.batch.status(batch_id).finished for batch_id in self.batch_ids)


def _passing(error: ApiError | ConnectionFailedError) -> bool:
    if isinstance(error, ApiError):
        return error.status == 429 or error.status >= 500
    return not isinstance(error, TlsError)
