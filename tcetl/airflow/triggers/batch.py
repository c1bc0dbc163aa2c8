"""Watching batch jobs without holding a worker."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tcetl.airflow.hooks.threatconnect import ThreatConnectHook
from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchStatus
from tcetl.errors import ApiError, ConnectionFailedError, TcetlError, TlsError
from tcetl.load import StuckWatch

FAILURES: Final = 10
"""Looks in a row that may fail for passing reasons before the worker is woken."""


class BatchJobsTrigger(BaseTrigger):
    """Fires when one of the jobs has ended or stands still, when the time is up, or when watching is of no use.

    It only looks: creating, uploading, judging and failing are the worker's, which asks the platform again in any case
    and so meets the same trouble with a clear error. Death of the triggerer costs nothing but a look.

    Args:
        threatconnect_conn_id: The connection; its secrets are never among the trigger's arguments.
        batch_ids: The jobs to watch.
        poll_interval: Seconds between two looks, and before the first: the worker has just looked.
        deadline: Unix time at which the trigger fires in any case.
        stuck_after: Seconds after which a job that does not move stands still.
    """

    def __init__(
        self,
        *,
        threatconnect_conn_id: str,
        batch_ids: Collection[int],
        poll_interval: float,
        deadline: float,
        stuck_after: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.threatconnect_conn_id = threatconnect_conn_id
        self.batch_ids = list(batch_ids)
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.stuck_after = stuck_after

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and arguments from which any triggerer makes this trigger again."""
        return (
            "tcetl.airflow.triggers.batch.BatchJobsTrigger",
            {
                "threatconnect_conn_id": self.threatconnect_conn_id,
                "batch_ids": self.batch_ids,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "stuck_after": self.stuck_after,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch until there is something to do; the event carries the deadline back to the operator."""
        stuck: list[int | None] = []
        try:
            with await ThreatConnectHook(self.threatconnect_conn_id).aget_conn(retries=0) as tc:
                stuck = await self._watch(tc)
        except TcetlError as error:
            self.log.warning("no use watching jobs %s: %s", self.batch_ids, error)
        yield TriggerEvent({"deadline": self.deadline, "stuck": stuck})  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Say which jobs the platform still works on: it offers no way to stop them."""
        self.log.warning("killed; jobs %s go on at the platform", self.batch_ids)

    async def _watch(self, tc: ThreatConnect) -> list[int | None]:
        """Return when a job has ended or the time is up, or return the jobs that stand still."""
        watch = StuckWatch(self.stuck_after)
        failures = 0
        while (left := self.deadline - time.time()) > 0:
            await asyncio.sleep(min(self.poll_interval, left))
            try:
                # The client is a blocking one: it must not run in the loop that all triggers share.
                jobs = await asyncio.to_thread(self._look, tc)
            except (ApiError, ConnectionFailedError) as error:
                failures += 1
                if failures >= FAILURES or not _passing(error):
                    raise
                self.log.warning("look %s of %s failed: %s", failures, FAILURES, error)
                continue
            failures = 0
            if any(job.finished for job in jobs):
                break
            if stuck := watch.look(jobs, time.monotonic()):
                return [job.id for job in stuck]
        return []

    def _look(self, tc: ThreatConnect) -> list[BatchStatus]:
        return [tc.batch.status(batch_id) for batch_id in self.batch_ids]


def _passing(error: ApiError | ConnectionFailedError) -> bool:
    if isinstance(error, ApiError):
        return error.status == 429 or error.status >= 500
    return not isinstance(error, TlsError)
