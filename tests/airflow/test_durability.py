"""Kill the task's process at each step; the next try must go on from there and upload no chunk twice."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from airflow_home import RECORDS

from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator
from tcetl.load import Run

CREATE = {"route": "/v2/batch", "method": "POST"}
UPLOAD = {"route": "/v2/batch/*", "method": "POST"}
LOOK = {"route": "/v2/batch/*", "method": "GET"}
BEFORE = {"kind": "delay", "seconds": 60}
"""The platform has not got round to the request."""
AFTER = {"kind": "drip", "bytes": 1, "seconds": 60}
"""The platform has done it; its answer is on the way."""


def _kill_when_struck(emulator, run_dir):
    command = [sys.executable, Path(__file__).with_name("run_upload.py"), run_dir]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not emulator.faults()[0]["struck"]:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)  # let the platform act
    finally:
        process.kill()
        process.wait()
    emulator.clear_faults()


@pytest.mark.parametrize(
    ("fault", "phase", "uploads"),
    [
        pytest.param(CREATE | BEFORE, "planned", 1, id="before the job is made"),
        pytest.param(CREATE | AFTER, "planned", 1, id="before the job's id is known"),
        pytest.param(UPLOAD | AFTER, "created", 0, id="before the upload is known to have arrived"),
        pytest.param(LOOK | BEFORE, "uploaded", 0, id="while waiting"),
        pytest.param(LOOK | AFTER, "uploaded", 0, id="before the end is known"),
    ],
)
def test_killed_at_any_step_a_load_goes_on(default_connection, run_dir, context, *, fault, phase, uploads):
    emulator = default_connection
    emulator.add_fault(**fault)
    _kill_when_struck(emulator, run_dir)
    (receipt,) = Run.open(run_dir).receipts()
    assert receipt.phase == phase
    before = len(emulator.journal(**UPLOAD))

    task = ThreatConnectBatchUploadOperator(task_id="upload", run_dir=run_dir, deferrable=True)
    result = task.execute(context)

    assert (result["sent"], result["succeeded"]) == (RECORDS, RECORDS)
    assert sum(emulator.counts(emulator.SOURCE).values()) == RECORDS
    assert len(emulator.journal(**UPLOAD)) - before == uploads
