"""What becomes of the same records, on the same platform, under the same misfortune: the vendor's tcex 5.0, and ours.

tcex is used as its documentation shows: ``tcex.api.tc.v2.batch(owner)``, records added, ``submit_all()``. The tests pin
down what it does, so that a later tcex that does better is noticed. Where it happens is said by module and function of
``tcex.api.tc.v2.batch``.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from fake_platform import indicators

from tcetl.client import ThreatConnect
from tcetl.client.batch import BatchSettings
from tcetl.errors import ApiError, RejectedRecordsError
from tcetl.load import Run, plan, steps, submit
from tcetl.schema import REJECTS

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

pytest.importorskip("tcex")
submitting = sys.modules["tcetl.load.submit"]
OWNER = "Demo Community"
NAMES = [f"host-{number}.example" for number in range(6)]
FOLDER = Path(__file__).parent
# The platform's own words for batch jobs switched off, and a gateway's for a platform that restarts.
SWITCHED_OFF = {
    "status": 503,
    "content_type": "text/plain",
    "body": "Batch job api is not available.  Ensure that batchJobEnabled is true and document storage is enabled and "
    "configured;",
}
RESTARTING = {"status": 503, "content_type": "text/html", "body": "<html><title>503 Service Unavailable</title></html>"}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE", 0.3)
    monkeypatch.setattr(submitting, "POLL", (0.02, 0.1))


@pytest.fixture
def tc(tc_emulator_tls: "Emulator") -> Iterator[ThreatConnect]:
    emulator = tc_emulator_tls
    with ThreatConnect(
        base_url=emulator.url,
        access_id=emulator.access_id,
        secret_key=emulator.secret_key,
        verify=str(emulator.ca_file),
    ) as connection:
        yield connection


def ours(path: Path, names: list[str]) -> Run:
    table = indicators([("Host", name) for name in names])
    return plan(table, REJECTS.empty_table(), path, settings=BatchSettings(owner=OWNER), counts={})


def batch_of(tcex: Any, names: list[str]) -> Any:
    batch = tcex.api.tc.v2.batch(OWNER, halt_on_error=False)
    for name in names:
        batch.save(batch.indicator("Host", name))
    return batch


def theirs(batch: Any) -> Any:
    """What ``submit_all`` returns; an exception of tcex's is one of the test's."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # its first look is 15 s after the upload
        return batch.submit_all(halt_on_error=True)


def loaded(emulator: "Emulator") -> dict[str, int]:
    return {found["name"]: found["writes"] for found in emulator.contents(OWNER)}


def test_the_version_compared_with() -> None:
    assert version("tcex").startswith("5.0")


@pytest.mark.parametrize("fault", [SWITCHED_OFF, RESTARTING], ids=["switched off", "restarting"])
def test_a_503(
    tcex: Any, tc: ThreatConnect, tc_emulator_tls: "Emulator", tmp_path: Path, fault: dict[str, Any]
) -> None:
    """tcex loses the records and says nothing; ours goes on when that can help, and otherwise says why it cannot.

    ``Batch.submit_create_and_upload`` would raise for a 503 when told to (``halt_on_error``), but overrides what it is
    told by the property ``halt_on_batch_error`` unless that is None, and the property turns an unset None into False.
    So the error is logged, ``r.json()`` of an answer that is no JSON raises, that is caught and logged too, and ``{}``
    is returned; ``submit_all`` returns ``[{}]``. By then ``Batch.data`` has taken the records out of the batch: a
    second ``submit_all`` has nothing left to send. 503 is not among the statuses that ``TcSession.retry`` retries, and
    POST is not among the methods.
    """
    tc_emulator_tls.add_fault("status", route="/v2/batch**", method="POST", **fault)
    batch = batch_of(tcex, NAMES)
    assert theirs(batch) == [{}]
    assert len(batch) == 0
    assert batch.submit_all() == []
    assert loaded(tc_emulator_tls) == {}
    assert tcex.exit.code == 0

    tc_emulator_tls.clear_faults()
    tc_emulator_tls.add_fault("status", route="/v2/batch**", method="POST", **fault)
    run = ours(tmp_path / "run", NAMES)
    if fault is SWITCHED_OFF:  # waiting does not help: somebody has to do something
        with pytest.raises(ApiError, match="503 Batch job api is not available") as raised:
            submit(tc, run)
        assert raised.value.hint == "ask an administrator to enable batch jobs and document storage"
    assert submit(tc, run).succeeded == len(NAMES)
    assert loaded(tc_emulator_tls) == dict.fromkeys(NAMES, 1)


def test_a_503_of_which_tcex_was_told_to_stop(tcex: Any, tc_emulator_tls: "Emulator") -> None:
    """An app that sets ``halt_on_batch_error`` gets an exception; the records are gone from the batch all the same."""
    tc_emulator_tls.add_fault("status", route="/v2/batch**", method="POST", **RESTARTING)
    batch = batch_of(tcex, NAMES)
    batch.halt_on_batch_error = True
    with pytest.raises(RuntimeError, match="503"):
        theirs(batch)
    assert len(batch) == 0


def test_refused_records(tcex: Any, tc: ThreatConnect, tc_emulator_tls: "Emulator", tmp_path: Path) -> None:
    """tcex leaves it to the app to look; ours fails the load, with the row of every record refused.

    ``Batch.submit_all`` fetches the errors and puts them beside the counts, but neither raises nor touches the exit
    code, which ``Exit`` starts at success: an app that does not look for ``errors`` in every status ends well. What an
    error is about is a text; which record that was, and which line of whose file, is not known any more.
    """
    names = [*NAMES, "not a host"]
    (status,) = theirs(batch_of(tcex, names))
    assert (status["status"], status["successCount"], status["errorCount"]) == ("Completed", 6, 1)
    assert [error["errorSource"] for error in status["errors"]] == ["not a host is not valid."]
    assert tcex.exit.code == 0

    tc_emulator_tls.reset()
    run = ours(tmp_path / "run", names)
    with pytest.raises(RejectedRecordsError, match=r"1 of 7 records were not loaded into .+ \(1 0x1005\)"):
        submit(tc, run)
    (row,) = pq.read_table(run.rejects_path).to_pylist()
    assert (row["file"], row["row"], row["summary"], row["code"]) == ("feed.csv", 7, "not a host", "0x1005")


def test_a_load_killed_once_its_upload_was_taken(
    tcex: Any, tc: ThreatConnect, tc_emulator_tls: "Emulator", tmp_path: Path
) -> None:
    """Run again, tcex uploads again; ours asks what became of the first upload and goes on from there.

    ``Batch`` keeps the job's id and the records in memory only, so a new process knows of neither. Under the default
    write types loading twice does no visible harm; under ``Append`` every attribute is there twice.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TC_")},
        "TC_API_URL": tc_emulator_tls.url,
        "TC_ACCESS_ID": tc_emulator_tls.access_id,
        "TC_SECRET_KEY": tc_emulator_tls.secret_key,
        "TC_VERIFY_TLS": str(tc_emulator_tls.ca_file),
    }

    def kill(*command: str) -> None:
        ended = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, timeout=120, check=False
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()

    (tmp_path / "app").mkdir()
    kill(str(FOLDER / "killed_tcex.py"), str(tmp_path / "app"), OWNER, *NAMES)
    theirs(batch_of(tcex, NAMES))
    assert [len(job["uploads"]) for job in tc_emulator_tls.batches()] == [1, 1]
    assert loaded(tc_emulator_tls) == dict.fromkeys(NAMES, 2)

    tc_emulator_tls.reset()
    run = ours(tmp_path / "run", NAMES)
    kill(str(FOLDER / "killed_load.py"), str(run.path), "after upload", "1")
    report = submit(tc, Run.open(run.path))
    assert (report.sent, report.succeeded) == (6, 6)
    assert [len(job["uploads"]) for job in tc_emulator_tls.batches()] == [1]
    assert loaded(tc_emulator_tls) == dict.fromkeys(NAMES, 1)
