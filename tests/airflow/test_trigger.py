import asyncio
import json
import threading
import time

import pytest
from airflow.sdk.module_loading import import_string

from tcetl.airflow.hooks.threatconnect import ThreatConnectHook
from tcetl.airflow.triggers import batch
from tcetl.airflow.triggers.batch import BatchJobsTrigger
from tcetl.client import BatchSettings
from tcetl.client.batch import BatchStatus


@pytest.fixture
def job(default_connection, monkeypatch):
    """A job that has no file yet; in a triggerer, connections come by the asynchronous way."""
    hook = ThreatConnectHook()

    async def found(conn_id):
        return hook.get_connection(conn_id)

    monkeypatch.setattr(ThreatConnectHook, "aget_connection", staticmethod(found))
    with hook.get_conn() as tc:
        yield tc.batch.create(BatchSettings(owner=default_connection.SOURCE))


def _trigger(*batch_ids, seconds=30.0, poll_interval=0.05, stuck_after=60.0):
    return BatchJobsTrigger(
        threatconnect_conn_id="threatconnect_default",
        batch_ids=batch_ids,
        poll_interval=poll_interval,
        deadline=time.time() + seconds,
        stuck_after=stuck_after,
    )


def _fire(trigger):
    async def first():
        return await anext(aiter(trigger.run()))

    return asyncio.run(first()).payload


def test_serialises_to_ids_and_numbers():
    path, arguments = _trigger(1, 2).serialize()
    assert import_string(path)(**arguments).serialize() == (path, arguments)
    assert set(arguments) == {"threatconnect_conn_id", "batch_ids", "poll_interval", "deadline", "stuck_after"}
    json.dumps(arguments)


def test_fires_when_a_job_has_ended(default_connection, job):
    with ThreatConnectHook().get_conn() as tc:
        tc.batch.upload(job, b'{"indicator": [{"summary": "198.51.100.1", "type": "Address"}]}')
    trigger = _trigger(job)
    assert _fire(trigger) == {"deadline": trigger.deadline, "stuck": []}
    assert time.time() < trigger.deadline


def test_fires_at_the_deadline(default_connection, job):
    trigger = _trigger(job, seconds=0.3)
    _fire(trigger)
    assert time.time() >= trigger.deadline
    assert len(default_connection.journal("/v2/batch/*", method="GET")) >= 2


def test_looks_away_before_the_first_look(default_connection, job):
    _fire(_trigger(job, seconds=0, poll_interval=5))
    assert default_connection.journal("/v2/batch/*", method="GET") == []


def test_passing_failures_are_waited_out(default_connection, job, monkeypatch):
    default_connection.add_fault("status", route="/v2/batch/*", method="GET", status=503, retry_after=0, count=4)
    trigger = _trigger(job, seconds=1.5)
    _fire(trigger)
    assert time.time() >= trigger.deadline


def test_fires_when_a_job_stands_still_and_names_it(default_connection, job):
    trigger = _trigger(job, stuck_after=0.2)
    assert _fire(trigger) == {"deadline": trigger.deadline, "stuck": [job]}
    assert time.time() < trigger.deadline - 20


@pytest.mark.parametrize("status", [400, 401, 404])
def test_lasting_failures_wake_the_worker_at_once(default_connection, job, status):
    default_connection.add_fault("status", route="/v2/batch/*", method="GET", status=status, count=None)
    trigger = _trigger(job)
    _fire(trigger)
    assert time.time() < trigger.deadline - 20


def test_so_do_failures_without_end(default_connection, job, monkeypatch):
    monkeypatch.setattr(batch, "FAILURES", 2)
    default_connection.add_fault("status", route="/v2/batch/*", method="GET", status=503, retry_after=0, count=None)
    trigger = _trigger(job)
    _fire(trigger)
    assert time.time() < trigger.deadline


def test_the_event_loop_is_never_blocked(job, monkeypatch):
    threads = set()

    def look(self, tc):
        threads.add(threading.get_ident())
        return [BatchStatus(id=job, status="Completed")]

    monkeypatch.setattr(BatchJobsTrigger, "_look", look)
    _fire(_trigger(job))
    assert threads
    assert threading.get_ident() not in threads
